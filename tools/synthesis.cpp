#include "tools/synthesis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace anomalyd::tools {
namespace {

constexpr std::size_t kFewestWindows = 64;
constexpr std::size_t kMostWindows = 6000;
constexpr std::chrono::hours kDay{24};

}  // namespace

Result<Synthesis> Synthesis::learn(LatentModel& model, const ScaledSeries& series,
                                   std::span<const std::size_t> ends, const Options& options) {
  Synthesis self{model, series, options};
  self.ends_ = series.complete(ends, model.window());
  if (self.ends_.size() < kFewestWindows) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: {} of {} windows of {} rows have all their cells; expected {} at "
                    "least; anomalyctl fill completes them",
                    series.id, self.ends_.size(), ends.size(), model.window(), kFewestWindows));
  }
  if (self.ends_.size() > kMostWindows) {  // the newest
    self.ends_.erase(self.ends_.begin(), self.ends_.end() - kMostWindows);
  }
  auto codes = model.encode(series, self.ends_);
  if (!codes) return Failure{codes.error()};
  self.codes_ = *std::move(codes);
  auto expected = model.decode(self.codes_, series.slot);
  if (!expected) return Failure{expected.error()};
  const std::size_t cells = model.window() * model.channels();
  self.residuals_ = *std::move(expected);
  for (std::size_t i = 0; i < self.residuals_.size(); ++i) {
    const std::size_t first = (self.ends_[i / cells] + 1 - model.window()) * model.channels();
    self.residuals_[i] = series.rows[first + i % cells] - self.residuals_[i];
  }
  const std::size_t count = self.ends_.size();
  for (std::size_t j = 0; j < model.content(); ++j) {
    double sum = 0, square = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto value = static_cast<double>(self.codes_[i * model.width() + j]);
      sum += value, square += value * value;
    }
    const double mean = sum / static_cast<double>(count);
    const double variance = std::max(0.0, square / static_cast<double>(count) - mean * mean);
    self.deviation_.push_back(static_cast<float>(std::sqrt(variance)));
  }
  self.all_.resize(count);
  std::iota(self.all_.begin(), self.all_.end(), std::size_t{0});
  return self;
}

std::span<const float> Synthesis::code(std::size_t i) const {
  return std::span{codes_}.subspan(i * model_->width(), model_->width());
}

std::vector<std::size_t> Synthesis::nearest(std::span<const float> to,
                                            std::span<const std::size_t> candidates,
                                            std::size_t most) const {
  std::vector<std::pair<float, std::size_t>> distances;
  distances.reserve(candidates.size());
  for (const std::size_t i : candidates) {
    float distance = 0;
    for (std::size_t j = 0; j < model_->content(); ++j) {
      const float off = codes_[i * model_->width() + j] - to[j];
      distance += off * off;
    }
    distances.emplace_back(distance, i);
  }
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, distances.size()));
  std::ranges::partial_sort(distances, distances.begin() + count);
  std::vector<std::size_t> result;
  for (auto near = distances.begin(); near < distances.begin() + count; ++near) {
    result.push_back(near->second);
  }
  return result;
}

std::size_t Synthesis::pick(std::span<const std::size_t> from) {
  return from[std::uniform_int_distribution<std::size_t>{0, from.size() - 1}(random_)];
}

std::vector<float> Synthesis::smoothed(std::size_t i) {
  std::normal_distribution<float> normal;
  std::vector<float> result{code(i).begin(), code(i).end()};
  for (std::size_t j = 0; j < model_->content(); ++j) {
    result[j] += static_cast<float>(options_.smoothing) * deviation_[j] * normal(random_);
  }
  return result;
}

Result<Synthesis::Drawn> Synthesis::draw(std::span<const std::size_t> windows) {
  std::vector<float> codes;
  for (const std::size_t i : windows) {
    const std::vector<float> z = smoothed(i);
    codes.insert(codes.end(), z.begin(), z.end());
  }
  auto expected = model_->decode(codes, series_->slot);
  if (!expected) return Failure{expected.error()};
  Drawn drawn{*std::move(expected), {}};
  drawn.noise.resize(drawn.expected.size());
  if (!options_.noise) return drawn;
  const std::size_t cells = model_->window() * model_->channels(), width = model_->width();
  for (std::size_t k = 0; k < windows.size(); ++k) {
    // Of another window: with its own noise it would be that real window again.
    std::vector<std::size_t> others = nearest(std::span{codes}.subspan(k * width, width), all_,
                                              options_.neighbours + 2 * model_->window());
    std::erase_if(others, [&](std::size_t j) {
      const std::size_t a = ends_[j], b = ends_[windows[k]];
      return std::max(a, b) - std::min(a, b) < model_->window();
    });
    if (others.empty()) others = all_;
    others.resize(std::min(others.size(), options_.neighbours));
    std::copy_n(&residuals_[pick(others) * cells], cells, &drawn.noise[k * cells]);
  }
  return drawn;
}

Result<std::vector<float>> Synthesis::windows(std::size_t count) {
  std::vector<std::size_t> picks;
  for (std::size_t k = 0; k < count; ++k) picks.push_back(pick(all_));
  auto drawn = draw(picks);
  if (!drawn) return Failure{drawn.error()};
  for (std::size_t i = 0; i < drawn->noise.size(); ++i) drawn->expected[i] += drawn->noise[i];
  return std::move(drawn->expected);
}

std::vector<std::size_t> Synthesis::at_time_of_day(EventTime time,
                                                   std::span<const std::size_t> from) const {
  constexpr std::chrono::minutes kNear{30};
  const auto& times = series_->times;
  if (times[ends_.back()] - times[ends_.front()] < 3 * kDay) return {from.begin(), from.end()};
  std::vector<std::size_t> result;
  for (const std::size_t i : from) {
    const auto apart = std::chrono::abs(times[ends_[i]] - time) % kDay;
    if (std::min<std::chrono::microseconds>(apart, kDay - apart) <= kNear) result.push_back(i);
  }
  return result.empty() ? std::vector<std::size_t>{from.begin(), from.end()} : result;
}

Result<std::vector<float>> Synthesis::rows(std::size_t count, EventTime start) {
  const std::size_t window = model_->window(), channels = model_->channels();
  const std::size_t overlap = window / 2, step = window - overlap;
  std::vector<std::size_t> followed;  // windows that another one follows, a step later
  std::vector<std::size_t> successor(ends_.size());
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const auto next = std::ranges::lower_bound(ends_, ends_[i] + step);
    const auto between = std::ranges::upper_bound(series_->restarts, ends_[i]);
    if (next == ends_.end() || *next != ends_[i] + step) continue;
    if (between != series_->restarts.end() && *between <= *next) continue;
    followed.push_back(i);
    successor[i] = static_cast<std::size_t>(next - ends_.begin());
  }
  if (followed.empty()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: no complete window with another one {} rows behind it; expected "
                            "some to chain",
                            series_->id, step));
  }
  std::vector<std::size_t> chain;
  const std::size_t num_windows = count / step + 1;
  for (std::size_t k = 0; k < num_windows; ++k) {
    const EventTime end =
        start + series_->period * (static_cast<std::int64_t>(k * step + window) - 1);
    const auto before =
        at_time_of_day(end - series_->period * static_cast<std::int64_t>(step), followed);
    if (k == 0) {
      chain.push_back(successor[pick(before)]);
      continue;
    }
    chain.push_back(successor[pick(nearest(code(chain.back()), before, options_.neighbours))]);
  }
  const auto drawn = draw(chain);
  if (!drawn) return Failure{drawn.error()};
  // Where two windows meet, one is faded into the other: what is expected by shares that add up to
  // one, noise by shares whose squares do, so that its variance stays.
  const auto fade = static_cast<float>(overlap);
  const std::size_t width = step * channels;
  std::vector<float> result(num_windows * width + overlap * channels);
  for (std::size_t k = 0; k < num_windows; ++k) {
    for (std::size_t i = 0; i < window * channels; ++i) {
      const std::size_t row = i / channels, left = window - 1 - row;
      float share = 1;
      if (k > 0 && row < overlap) share = (static_cast<float>(row) + 0.5F) / fade;
      if (k + 1 < num_windows && left < overlap) share = (static_cast<float>(left) + 0.5F) / fade;
      const std::size_t cell = k * window * channels + i;
      result[k * width + i] +=
          share * drawn->expected[cell] + std::sqrt(share) * drawn->noise[cell];
    }
  }
  result.resize(count * channels);
  return result;
}

}  // namespace anomalyd::tools
