#include "daemon/pipeline/calibration.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/pipeline/score_scale.hpp"
#include "daemon/pipeline/tail_cost.hpp"

namespace anomalyd::pipeline {
namespace {

constexpr double kLeastScale = 1e-9;

// One logarithm serves both spans.
double mean_log_ratio(const Smoothed& cost, const Smoothed& scale) {
  return 0.5 * std::log((1 + cost.fast / scale.fast) * (1 + cost.slow / scale.slow));
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
  calibration.learn_scales(residuals, options.scale_floor);

  const std::size_t width = members * channels;
  std::vector<Smoothed> rows;
  rows.reserve(residuals.size() / width * members);
  for (std::size_t begin = 0; begin < residuals.size(); begin += width) {
    if (calibration.observe(residuals.subspan(begin, width)) == Seen::kNothing) continue;
    rows.insert(rows.end(), calibration.smoothed_.begin(), calibration.smoothed_.end());
  }
  calibration.score_scales_ = quantiles(rows, members, options.score_quantile);
  learned.rule_scales = quantiles(rows, members, options.rule_quantile);
  for (std::size_t begin = 0; begin < rows.size(); begin += members) {
    learned.scores.push_back(
        combine(std::span{rows}.subspan(begin, members), calibration.score_scales_));
  }
  return learned;
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

std::size_t Calibration::leading_member(std::span<const float> residuals) const {
  std::size_t leading = 0;
  double largest = -1.0;
  for (std::size_t member = 0; member < smoothed_.size(); ++member) {
    const auto row = residuals.subspan(member * channels_, channels_);
    if (std::ranges::all_of(row, [](float r) { return std::isnan(r); })) continue;
    if (part_of(member) <= largest) continue;
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
  const auto is_scale = [](const Smoothed& s) { return s.fast > 0 && s.slow > 0; };
  return channels > 0 && channels <= scales_.size() && !smoothed_.empty() &&
         scales_.size() == smoothed_.size() * channels_ &&
         score_scales_.size() == smoothed_.size() && std::ranges::all_of(score_scales_, is_scale);
}

}  // namespace anomalyd::pipeline
