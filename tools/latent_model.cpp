#include "tools/latent_model.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/torch_models.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kWindowsAtOnce = 2048;

}  // namespace

Result<LatentModel> LatentModel::open(std::unique_ptr<Scorer> scorer, Need need,
                                      const std::string& member) {
  const std::vector<std::string> names = scorer->info().members;
  LatentModel model{std::move(scorer), 0};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!member.empty() && names[i] != member) continue;
    model.member_ = i;
    const Status measured = model.measure(need);
    if (measured) return model;
    if (!member.empty() || measured.error().kind != ErrorKind::kInvalid) {
      return Failure{measured.error()};
    }
  }
  const std::string wanted =
      member.empty() ? "an autoencoder of all channels, such as dense_ae" : "one of them";
  return fail(ErrorKind::kInvalid, fmt::format("{}the model has the members {}; expected {}",
                                               member.empty() ? "" : "member '" + member + "': ",
                                               fmt::join(names, ", "), wanted));
}

/// Asks the member for one window of zeros.
Status LatentModel::measure(Need need) {
  const std::size_t context = info().context;
  Batch batch{channels(), context, std::vector<float>(context * channels()), {}};
  auto memory = scorer_->memorize(batch.rows, 0, context);
  if (!memory) return Failure{memory.error()};
  memory_ = *std::move(memory);
  batch.windows.push_back(
      {.end_row = static_cast<std::uint32_t>(context - 1), .slot = 0, .memory = &memory_});
  const auto expected = models::reconstruct(*scorer_, batch, member_);
  if (!expected) return Failure{expected.error()};
  window_ = expected->window;
  if (need == Need::kReconstruction) return {};
  const auto codes = models::encode(*scorer_, batch, member_);
  if (!codes) return Failure{codes.error()};
  width_ = codes->width;
  classes_ = member_name().starts_with("aae_") ? info().classes.size() : 0;
  content_ = codes->latent - classes_;
  return {};
}

Batch LatentModel::batch_of(const ScaledSeries& series, std::span<const float> rows,
                            std::span<const std::size_t> ends) {
  // The model may read more rows than this member: those before the first repeat it.
  const std::size_t context = info().context;
  const std::size_t first = ends.front(), last = ends.back();
  Batch batch{channels(), context, {}, {}};
  for (std::size_t i = 0; i < context - 1 + last + 1 - first; ++i) {
    const std::size_t source = first + i >= context - 1 ? first + i + 1 - context : 0;
    const auto row = rows.subspan(source * channels(), channels());
    batch.rows.insert(batch.rows.end(), row.begin(), row.end());
  }
  for (const std::size_t end : ends) {
    batch.windows.push_back({.end_row = static_cast<std::uint32_t>(context - 1 + end - first),
                             .slot = series.slot,
                             .memory = &memory_,
                             .time = series.times[end].time_since_epoch().count(),
                             .entity = series.entity});
  }
  return batch;
}

Result<std::vector<float>> LatentModel::encode(const ScaledSeries& series,
                                               std::span<const std::size_t> ends,
                                               const ProgressFn& progress) {
  const std::vector<float> held = series.held();
  std::vector<float> values;
  values.reserve(ends.size() * width_);
  for (std::size_t i = 0; i < ends.size(); i += kWindowsAtOnce) {
    const auto part = ends.subspan(i, std::min(kWindowsAtOnce, ends.size() - i));
    auto codes = models::encode(*scorer_, batch_of(series, held, part), member_);
    if (!codes) return fail(std::move(codes.error()), "encoding windows of " + series.id);
    values.insert(values.end(), codes->values.begin(), codes->values.end());
    if (progress) progress(i + part.size());
  }
  return values;
}

Result<std::vector<float>> LatentModel::reconstruct(const ScaledSeries& series,
                                                    std::span<const float> rows,
                                                    std::span<const std::size_t> ends) {
  std::vector<float> values;
  values.reserve(ends.size() * window_ * channels());
  for (std::size_t i = 0; i < ends.size(); i += kWindowsAtOnce) {
    const auto part = ends.subspan(i, std::min(kWindowsAtOnce, ends.size() - i));
    auto expected = models::reconstruct(*scorer_, batch_of(series, rows, part), member_);
    if (!expected) {
      return fail(std::move(expected.error()), "reconstructing windows of " + series.id);
    }
    values.insert(values.end(), expected->expected.begin(), expected->expected.end());
  }
  return values;
}

Result<std::vector<float>> LatentModel::decode(std::vector<float> codes, std::uint32_t slot) {
  std::vector<float> values;
  for (std::size_t i = 0; i < codes.size(); i += kWindowsAtOnce * width_) {
    const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(i);
    const auto count = std::min(kWindowsAtOnce * width_, codes.size() - i);
    const models::Codes part{width_, content_ + classes_,
                             std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(count))};
    auto windows = models::decode(*scorer_, part, slot, member_);
    if (!windows) return fail(std::move(windows.error()), "decoding");
    values.insert(values.end(), windows->begin(), windows->end());
  }
  return values;
}

}  // namespace anomalyd::tools
