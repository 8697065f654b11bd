#include "daemon/pipeline/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "daemon/pipeline/score_scale.hpp"
#include "daemon/pipeline/tail_cost.hpp"

namespace anomalyd::pipeline {
namespace {

constexpr double kLeastScale = 1e-9;

// What an incident in the calibration rows is: see Calibration::ordinary_rows.
constexpr double kIncidentPeak = 3.5;
constexpr double kIncidentEdge = 1.5;
constexpr std::size_t kEchoRows = 8;   // behind it: the mean is below the edge, not yet at rest
constexpr double kMaxExcluded = 0.20;  // of the rows
// How much incidents still count for the scale of the score, in log units. If they count in full, a
// few of them hide what comes later; if not at all, the slow mean says too much of a spiky series.
constexpr double kIncidentPart = 0.6;

// One logarithm serves both spans.
double mean_log_ratio(const Smoothed& cost, const Smoothed& scale) {
  return 0.5 * std::log((1 + cost.fast / scale.fast) * (1 + cost.slow / scale.slow));
}

// The figure that lies so far from `a` to `b`, in log units.
Smoothed between(const Smoothed& a, const Smoothed& b, double share) {
  return {a.fast * std::pow(b.fast / a.fast, share), a.slow * std::pow(b.slow / a.slow, share)};
}

// The quantile of both running means over [rows x members].
std::vector<Smoothed> quantiles(std::span<const Smoothed> rows, std::size_t members, double level) {
  std::vector<Smoothed> result(members, {1, 1});
  if (rows.empty()) return result;
  for (std::size_t j = 0; j < members; ++j) {
    std::vector<double> fast;
    std::vector<double> slow;
    for (std::size_t i = j; i < rows.size(); i += members) {
      fast.push_back(rows[i].fast);
      slow.push_back(rows[i].slow);
    }
    result[j] = {std::max(quantile_of(std::move(fast), level), kLeastScale),
                 std::max(quantile_of(std::move(slow), level), kLeastScale)};
  }
  return result;
}

// Caps the size of column `cell` of [rows x width] at its quantile.
void cap_at_quantile(std::vector<float>& rows, std::size_t cell, std::size_t width, double level) {
  std::vector<double> sizes;
  for (std::size_t i = cell; i < rows.size(); i += width) {
    if (!std::isnan(rows[i])) sizes.push_back(std::abs(static_cast<double>(rows[i])));
  }
  if (sizes.empty()) return;
  const auto cap = static_cast<float>(quantile_of(std::move(sizes), level));
  for (std::size_t i = cell; i < rows.size(); i += width) {
    if (std::abs(rows[i]) > cap) rows[i] = cap;
  }
}

struct Run {
  std::size_t begin = 0;
  std::size_t end = 0;
  double peak = 0;
};

// The runs of values above `edge`, highest peak first.
std::vector<Run> runs_above(std::span<const double> values, double edge) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] <= edge) continue;
    if (runs.empty() || runs.back().end != i) runs.push_back({i, i, 0});
    runs.back().end = i + 1;
    runs.back().peak = std::max(runs.back().peak, values[i]);
  }
  std::ranges::stable_sort(runs, std::greater{}, &Run::peak);
  return runs;
}

}  // namespace

double combine(std::span<const Smoothed> costs, std::span<const Smoothed> scales) {
  double sum = 0.0;
  for (std::size_t j = 0; j < costs.size(); ++j) {
    const double part = mean_log_ratio(costs[j], scales[j]);
    sum += part * part;
  }
  return std::sqrt(sum / static_cast<double>(costs.size()));
}

Calibration::Calibration(std::size_t members, std::size_t channels, const Options& options)
    : channels_{channels},
      scales_(members * channels),
      smoothed_(members),
      score_scales_(members, {1, 1}) {
  use(options);
}

void Calibration::use(const Options& options) {
  fast_rate_ = 2 / (options.fast_rows + 1);
  slow_rate_ = 2 / (options.slow_rows + 1);
}

Calibration::Learned Calibration::learn(std::span<const float> residuals, std::size_t members,
                                        std::size_t channels, const Options& options) {
  Learned learned{Calibration{members, channels, options}, {}, {}};
  Calibration& calibration = learned.calibration;
  const std::size_t width = members * channels;
  std::span<const float> teaching = residuals;
  std::vector<float> kept;
  if (options.exclude_incidents) {
    const auto ordinary = ordinary_rows(residuals, members, channels);
    for (std::size_t row = 0; row < ordinary.size(); ++row) {
      const auto values = residuals.subspan(row * width, width);
      if (ordinary[row] != 0) kept.insert(kept.end(), values.begin(), values.end());
    }
    teaching = kept;
  }
  calibration.learn_scales(teaching, options.scale_floor);

  Calibration with_incidents = calibration;
  const std::vector<Smoothed> rows = calibration.observe_all(teaching);
  calibration.score_scales_ = quantiles(rows, members, options.score_quantile);
  learned.rule_scales = quantiles(rows, members, options.rule_quantile);
  if (teaching.size() < residuals.size()) {
    const auto whole =
        quantiles(with_incidents.observe_all(residuals), members, options.score_quantile);
    for (std::size_t j = 0; j < members; ++j) {
      calibration.score_scales_[j] = between(calibration.score_scales_[j], whole[j], kIncidentPart);
    }
  }
  for (std::size_t begin = 0; begin < rows.size(); begin += members) {
    learned.scores.push_back(
        combine(std::span{rows}.subspan(begin, members), calibration.score_scales_));
  }
  return learned;
}

// The running means after each row in which something was observed, [rows x members].
std::vector<Smoothed> Calibration::observe_all(std::span<const float> residuals) {
  const std::size_t width = scales_.size();
  std::vector<Smoothed> rows;
  rows.reserve(residuals.size() / width * members());
  for (std::size_t begin = 0; begin < residuals.size(); begin += width) {
    if (observe(residuals.subspan(begin, width)) == Seen::kNothing) continue;
    rows.insert(rows.end(), smoothed_.begin(), smoothed_.end());
  }
  return rows;
}

// Which calibration rows may set the scales. They are judged on scales that an incident cannot
// move: absolute residuals capped at their Q90, running means at their Q75. An incident is a run
// above the edge whose peak is high enough, with its echo. The largest go first, and one that
// would take too many rows away stays: then it is what the series is like.
std::vector<char> Calibration::ordinary_rows(std::span<const float> residuals, std::size_t members,
                                             std::size_t channels) {
  const std::size_t width = members * channels;
  const std::size_t num_rows = residuals.size() / width;
  std::vector<float> capped{residuals.begin(), residuals.end()};
  for (std::size_t cell = 0; cell < width; ++cell) cap_at_quantile(capped, cell, width, 0.9);
  Calibration robust{members, channels, {}};
  robust.learn_scales(capped, Options{}.scale_floor);

  std::vector<Smoothed> means;
  for (std::size_t row = 0; row < num_rows; ++row) {
    robust.observe(residuals.subspan(row * width, width));
    for (const Smoothed& mean : robust.smoothed_) means.push_back({mean.fast, mean.fast});
  }
  const auto scales = quantiles(means, members, 0.75);
  std::vector<double> level(num_rows);
  for (std::size_t row = 0; row < num_rows; ++row) {
    level[row] = combine(std::span{means}.subspan(row * members, members), scales);
  }

  std::vector<char> ordinary(num_rows, 1);
  std::size_t excluded = 0;
  for (const Run& run : runs_above(level, kIncidentEdge)) {
    if (run.peak <= kIncidentPeak) break;
    const auto first = ordinary.begin() + static_cast<std::ptrdiff_t>(run.begin);
    const auto last =
        ordinary.begin() + static_cast<std::ptrdiff_t>(std::min(run.end + kEchoRows, num_rows));
    const auto more = static_cast<std::size_t>(std::count(first, last, 1));
    if (static_cast<double>(excluded + more) > kMaxExcluded * static_cast<double>(num_rows))
      continue;
    std::fill(first, last, 0);
    excluded += more;
  }
  return ordinary;
}

void Calibration::learn_scales(std::span<const float> residuals, double scale_floor) {
  struct Sums {
    double count = 0, sum = 0, squares = 0;
  };
  std::vector<Sums> sums(scales_.size());
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    if (std::isnan(residuals[i])) continue;
    Sums& cell = sums[i % sums.size()];
    const double size = std::abs(static_cast<double>(residuals[i]));
    cell.count += 1;
    cell.sum += size;
    cell.squares += size * size;
  }
  for (std::size_t member = 0; member < smoothed_.size(); ++member) {
    const auto channels = std::span{sums}.subspan(member * channels_, channels_);
    double count = 0;
    double squares = 0;
    for (const Sums& cell : channels) {
      count += cell.count;
      squares += cell.squares;
    }
    const double floor = scale_floor * std::sqrt(squares / std::max(count, 1.0)) + 1e-6;
    for (std::size_t c = 0; c < channels_; ++c) {
      const Sums& cell = channels[c];
      const double mean = cell.sum / std::max(cell.count, 1.0);
      const double variance = cell.squares / std::max(cell.count, 1.0) - mean * mean;
      const double deviation = std::max(std::sqrt(std::max(variance, 0.0)), floor);
      scales_[member * channels_ + c] = {static_cast<float>(mean),
                                         static_cast<float>(1 / deviation)};
    }
  }
}

double Calibration::cost(std::size_t member, std::size_t channel, float residual) const {
  const Scale& scale = scales_[member * channels_ + channel];
  const float z = (std::abs(residual) - scale.mean) * scale.per_deviation;
  return tail_cost(static_cast<double>(z));
}

Calibration::Seen Calibration::observe(std::span<const float> residuals) {
  Seen seen = Seen::kNothing;
  for (std::size_t member = 0; member < smoothed_.size(); ++member) {
    double sum = 0.0;
    std::size_t observed = 0;
    for (std::size_t c = 0; c < channels_; ++c) {
      const float residual = residuals[member * channels_ + c];
      if (std::isnan(residual)) continue;
      sum += cost(member, c, residual);
      ++observed;
    }
    if (observed == 0) continue;
    seen = Seen::kSomething;
    if (observed < channels_) {
      sum *= static_cast<double>(channels_) / static_cast<double>(observed);
    }
    Smoothed& mean = smoothed_[member];
    if (!started_) mean = {sum, sum};
    mean.fast += fast_rate_ * (sum - mean.fast);
    mean.slow += slow_rate_ * (sum - mean.slow);
  }
  if (seen == Seen::kSomething) started_ = true;
  return seen;
}

double Calibration::part_of(std::size_t member) const {
  return mean_log_ratio(smoothed_[member], score_scales_[member]);
}

std::vector<double> Calibration::attribute(std::span<const float> residuals) const {
  std::vector<double> shares(channels_, 0.0);
  std::vector<double> costs(channels_);
  double total = 0.0;
  for (std::size_t member = 0; member < smoothed_.size(); ++member) {
    double sum = 0.0;
    for (std::size_t c = 0; c < channels_; ++c) {
      const float residual = residuals[member * channels_ + c];
      costs[c] = std::isnan(residual) ? 0.0 : cost(member, c, residual);
      sum += costs[c];
    }
    if (sum <= 0) continue;
    const double weight = part_of(member) * part_of(member);
    total += weight;
    for (std::size_t c = 0; c < channels_; ++c) shares[c] += weight * costs[c] / sum;
  }
  if (total <= 0) return std::vector<double>(channels_, 0.0);
  for (double& share : shares) share /= total;
  return shares;
}

std::optional<std::size_t> Calibration::leading_member(std::span<const float> residuals,
                                                       std::span<const std::size_t> without) const {
  std::optional<std::size_t> leading;
  double largest = -1.0;
  for (std::size_t member = 0; member < smoothed_.size(); ++member) {
    const auto row = residuals.subspan(member * channels_, channels_);
    if (std::ranges::all_of(row, [](float r) { return std::isnan(r); })) continue;
    if (part_of(member) <= largest || std::ranges::find(without, member) != without.end()) continue;
    leading = member;
    largest = part_of(member);
  }
  return leading;
}

void Calibration::save(StateWriter& out) const {
  out.put(static_cast<std::uint64_t>(channels_));
  out.put(started_);
  out.put_all(scales_);
  out.put_all(smoothed_);
  out.put_all(score_scales_);
}

bool Calibration::load(StateReader& in) {
  std::uint64_t channels = 0;
  std::uint8_t started = 0;
  if (!in.get(channels) || !in.get(started) || !in.get_all(scales_) || !in.get_all(smoothed_) ||
      !in.get_all(score_scales_)) {
    return false;
  }
  channels_ = channels;
  started_ = started != 0;
  const auto is_scale = [](const Smoothed& s) {
    return s.fast > 0 && s.slow > 0 && std::isfinite(s.fast) && std::isfinite(s.slow);
  };
  const auto is_mean = [](const Smoothed& s) { return s.fast >= 0 && s.slow >= 0; };
  const auto is_usable = [](const Scale& s) {
    return std::isfinite(s.mean) && std::isfinite(s.per_deviation) && s.per_deviation > 0;
  };
  return channels > 0 && channels <= scales_.size() && !smoothed_.empty() &&
         scales_.size() == smoothed_.size() * channels_ &&
         score_scales_.size() == smoothed_.size() && std::ranges::all_of(score_scales_, is_scale) &&
         std::ranges::all_of(smoothed_, is_mean) && std::ranges::all_of(scales_, is_usable);
}

}  // namespace anomalyd::pipeline
