#include "tools/disentangling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/probe.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kMostStyles = 64;  // that aae_supervised tells apart
constexpr std::size_t kFewestWindows = 100;
constexpr std::size_t kMostWindows = 4000;  // encoded for the figures
constexpr const char* kMember = "aae_supervised";

/// One scaler for all series, so that a level is part of the style.
pipeline::Scaler common_scaler(const HistoryCollector::Group& group) {
  pipeline::History all;
  all.width = group.channels.size();
  for (const pipeline::History& history : group.histories) {
    all.times.insert(all.times.end(), history.times.begin(), history.times.end());
    all.rows.insert(all.rows.end(), history.rows.begin(), history.rows.end());
  }
  return fit_scaler(all, {});
}

Status check(const std::vector<std::string>& styles) {
  if (styles.size() < 2 || styles.size() > kMostStyles) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} styles; expected 2 to {} series, or --modes with several",
                            styles.size(), kMostStyles));
  }
  for (const std::string& style : styles) {
    if (!style.starts_with(kFaultClass)) continue;
    return fail(ErrorKind::kInvalid,
                fmt::format("style '{}': a model learns no shape from faults; expected a name "
                            "without '{}'",
                            style, kFaultClass));
  }
  return {};
}

/// The stretches of rows that are not held out, each on its own: no window spans two of them.
void add_stretches(const ScaledSeries& series, std::span<const std::int16_t> styles,
                   TrainingSet& set) {
  const HeldOut held_out{series};
  bool continues = false;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (held_out.contains(series.times[i])) {
      continues = false;
      continue;
    }
    if (!continues || std::ranges::binary_search(series.restarts, i)) {
      set.series.push_back({series.id, {}, {}, {}});
    }
    continues = true;
    TrainingSet::Series& stretch = set.series.back();
    const auto row = std::span{series.rows}.subspan(i * series.channels, series.channels);
    stretch.rows.insert(stretch.rows.end(), row.begin(), row.end());
    stretch.times.push_back(series.times[i].time_since_epoch().count());
    stretch.labels.push_back(styles[i]);
  }
}

/// Mean over channels of the correlation of two windows [rows x channels]; a channel that is
/// constant in one of them has none.
double correlation(std::span<const float> a, std::span<const float> b, std::size_t channels) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::size_t rows = a.size() / channels;
    const auto n = static_cast<double>(rows);
    double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
    for (std::size_t i = c; i < a.size(); i += channels) {
      mean_a += static_cast<double>(a[i]) / n;
      mean_b += static_cast<double>(b[i]) / n;
    }
    for (std::size_t i = c; i < a.size(); i += channels) {
      const double x = static_cast<double>(a[i]) - mean_a, y = static_cast<double>(b[i]) - mean_b;
      aa += x * x, bb += y * y, ab += x * y;
    }
    if (aa * bb <= 0) continue;
    sum += ab / std::sqrt(aa * bb);
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace

std::vector<std::string> styles_of(const HistoryCollector::Group& group,
                                   std::span<const pipeline::Label> labels) {
  if (!labels.empty()) return pipeline::classes_of(labels);
  std::vector<std::string> names;
  for (const pipeline::History& history : group.histories) names.push_back(history.series);
  return names;
}

Result<Disentangling> Disentangling::learn(const HistoryCollector::Group& group,
                                           std::span<const pipeline::Label> labels,
                                           ModelFactory& factory, const ProgressFn& progress,
                                           std::stop_token stop) {
  TrainingSet set{group.channels, {}, styles_of(group, labels)};
  if (auto checked = check(set.classes); !checked) return Failure{checked.error()};
  const pipeline::Scaler scaler = common_scaler(group);
  std::vector<ScaledSeries> all;
  std::vector<std::vector<std::size_t>> style_of_row;
  for (std::size_t s = 0; s < group.histories.size(); ++s) {
    all.push_back(scale(group.histories[s], scaler));
    const ScaledSeries& series = all.back();
    std::vector<std::int64_t> times;
    for (const EventTime time : series.times) times.push_back(time.time_since_epoch().count());
    std::vector<std::int16_t> styles(series.size(), static_cast<std::int16_t>(s));
    if (!labels.empty()) styles = label_rows(labels, set.classes, series.id, times);
    for (std::int16_t& style : styles) style = std::max<std::int16_t>(style, 0);
    add_stretches(series, styles, set);
    style_of_row.emplace_back(styles.begin(), styles.end());
  }
  TrainingReport report;
  auto scorer = factory.train(set, progress, std::move(stop), report);
  if (!scorer) return Failure{std::move(scorer.error())};
  auto model = LatentModel::open(*std::move(scorer), LatentModel::Need::kCodes, kMember);
  if (!model) return Failure{std::move(model.error())};
  Disentangling self{*std::move(model)};
  self.series_ = std::move(all);
  self.style_of_row_ = std::move(style_of_row);
  return self;
}

Result<Disentangling::Windows> Disentangling::windows(std::size_t index, bool held_out) {
  const ScaledSeries& series = series_[index];
  const std::size_t window = model_.window();
  const HeldOut kept{series};
  std::size_t rows = 0;
  for (const ScaledSeries& one : series_) rows += one.size();
  const auto all = series.complete(
      series.window_ends(window, 0, series.size(), std::max<std::size_t>(1, rows / kMostWindows)),
      window);
  Windows result{
      held_out ? kept.inside(series, all, window) : kept.outside(series, all, window), {}, {}};
  if (!result.ends.empty()) {
    auto codes = model_.encode(series, result.ends);
    if (!codes) return Failure{codes.error()};
    result.codes = *std::move(codes);
  }
  for (const std::size_t end : result.ends) result.styles.push_back(style_of_row_[index][end]);
  return result;
}

Result<std::vector<float>> Disentangling::change(
    std::span<const float> codes, const std::function<std::size_t(std::size_t)>& to) {
  std::vector<float> other{codes.begin(), codes.end()};
  for (std::size_t i = 0; i < other.size() / model_.width(); ++i) {
    const auto style =
        std::span{other}.subspan(i * model_.width() + model_.content(), model_.classes());
    std::ranges::fill(style, 0.0F);
    style[to(i)] = 1;
  }
  auto changed = model_.decode(std::move(other), 0);
  if (!changed) return changed;
  auto before = model_.decode({codes.begin(), codes.end()}, 0);
  if (!before) return before;
  for (std::size_t i = 0; i < changed->size(); ++i) (*changed)[i] -= (*before)[i];
  return changed;
}

Result<Disentangling::Figures> Disentangling::figures() {
  const std::size_t window = model_.window(), channels = model_.channels();
  const std::size_t cells = window * channels;
  struct Views {
    LabelledPoints windows, style, content;
  };
  LabelledPoints swapped;
  Views seen, unseen;
  Figures figures;
  for (std::size_t s = 0; s < series_.size(); ++s) {
    for (const bool held_out : {false, true}) {
      const auto some = windows(s, held_out);
      if (!some) return Failure{some.error()};
      const auto other = [&](std::size_t i) { return (some->styles[i] + 1 + i) % styles().size(); };
      const auto changes = held_out ? change(some->codes, other) : std::vector<float>{};
      if (!changes) return Failure{changes.error()};
      Views& views = held_out ? unseen : seen;
      for (std::size_t i = 0; i < some->ends.size(); ++i) {
        const auto code = std::span{some->codes}.subspan(i * model_.width(), model_.width());
        const auto real =
            std::span{series_[s].rows}.subspan((some->ends[i] + 1 - window) * channels, cells);
        views.windows.add(window_features(real, channels), some->styles[i]);
        views.content.add(code.first(model_.content()), some->styles[i]);
        views.style.add(code.subspan(model_.content(), model_.classes()), some->styles[i]);
        if (!held_out || other(i) == some->styles[i]) continue;
        std::vector<float> restyled{real.begin(), real.end()};
        for (std::size_t k = 0; k < cells; ++k) restyled[k] += (*changes)[i * cells + k];
        swapped.add(window_features(restyled, channels), other(i));
        figures.shape_kept += correlation(real, restyled, channels);
      }
    }
  }
  figures.windows = unseen.windows.size();
  if (figures.windows < kFewestWindows || seen.windows.size() < kFewestWindows) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} complete windows of {} rows in the rows held out; expected {} at "
                            "least",
                            figures.windows, window, kFewestWindows));
  }
  figures.chance = chance(unseen.windows);
  figures.from_windows = probe(seen.windows, unseen.windows);
  figures.from_style = probe(seen.style, unseen.style);
  figures.from_content = probe(seen.content, unseen.content);
  figures.swapped = probe(seen.windows, swapped);
  figures.shape_kept /= static_cast<double>(std::max<std::size_t>(1, swapped.size()));
  return figures;
}

Result<std::vector<double>> Disentangling::restyled(const ScaledSeries& series, std::size_t style) {
  const std::size_t window = model_.window(), channels = model_.channels();
  std::vector<double> rows(series.raw.size(), NAN);
  const auto ends = series.window_ends(window, 0, series.size(), window);
  const auto codes = model_.encode(series, ends);
  if (!codes) return Failure{codes.error()};
  const auto changes = change(*codes, [&](std::size_t) { return style; });
  if (!changes) return Failure{changes.error()};
  for (std::size_t i = 0; i < changes->size(); ++i) {
    const std::size_t first = (ends[i / (window * channels)] + 1 - window) * channels;
    const std::size_t cell = first + i % (window * channels);
    rows[cell] = series.scaler.restore(cell % channels,
                                       static_cast<double>(series.rows[cell] + (*changes)[i]));
  }
  return rows;
}

std::string Disentangling::Figures::table() const {
  std::string text =
      fmt::format("how often a classifier knows the style of {} windows held out; chance {:.3f}\n",
                  windows, chance);
  const auto line = [&](const char* what, double value) {
    text += fmt::format("  {:<44} {:.3f}\n", what, value);
  };
  line("by the windows themselves", from_windows);
  line("by the style of their codes", from_style);
  line("by the content of their codes", from_content);
  line("takes a window in another style for that one", swapped);
  text += fmt::format("correlation of such a window with what it was: {:.3f}\n", shape_kept);
  return text;
}

Fleet::Options disentangling_fleet() {
  using std::chrono::hours;
  return {.machines = 6,
          .period = std::chrono::minutes{5},
          .span = hours{24 * 30},
          .clean = hours{24 * 30},
          .diversity = 0.15,
          .faults = 0};
}

}  // namespace anomalyd::tools
