#include "daemon/pipeline/score_scale.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::pipeline {
namespace {

constexpr double kMeanToDeviation = 1.2533;  // of a normal distribution: sqrt(pi / 2)

}  // namespace

double quantile_of(std::vector<double> values, double level) {
  const double place = level * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto low = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), low, values.end());
  if (below + 1 == values.size()) return *low;
  const double high = *std::min_element(low + 1, values.end());
  return *low + (place - static_cast<double>(below)) * (high - *low);
}

ScoreScale::ScoreScale(std::span<const double> scores, double drift_rows) {
  std::vector<double> values{scores.begin(), scores.end()};
  offset_ = 0.1 * std::max(quantile_of(values, 0.1), 0.0) + 1e-12;
  for (double& value : values) value = std::log(std::max(value, 0.0) + offset_);
  centre_ = quantile_of(values, 0.5);
  double sum = 0.0;
  for (const double value : values) sum += std::abs(value - centre_);
  deviation_ = sum / static_cast<double>(values.size()) * kMeanToDeviation + 1e-9;
  first_deviation_ = deviation_;
  set_drift(drift_rows);
}

void ScoreScale::set_drift(double drift_rows) { rate_ = drift_rows > 0 ? 2 / (drift_rows + 1) : 0; }

double ScoreScale::at(double score) const {
  return (std::log(std::max(score, 0.0) + offset_) - centre_) / deviation_;
}

double ScoreScale::observe(double score) {
  const double x = at(score);
  if (!drifts()) return x;
  const double distance = x * deviation_;
  const double bounded = std::clamp(distance, -3 * deviation_, 3 * deviation_);
  centre_ += rate_ * bounded;
  deviation_ += rate_ * (std::abs(bounded) * kMeanToDeviation - deviation_);
  deviation_ = std::max(deviation_, 0.3 * first_deviation_);
  return x;
}

double ScoreScale::score_at(double x) const {
  return std::exp(std::min(x * deviation_ + centre_, 700.0)) - offset_;
}

void ScoreScale::save(StateWriter& out) const {
  out.put(offset_);
  out.put(centre_);
  out.put(deviation_);
  out.put(first_deviation_);
}

bool ScoreScale::load(StateReader& in) {
  return in.get(offset_) && in.get(centre_) && in.get(deviation_) && in.get(first_deviation_) &&
         offset_ > 0 && std::isfinite(offset_) && std::isfinite(centre_) && deviation_ > 0 &&
         std::isfinite(deviation_) && first_deviation_ > 0;
}

}  // namespace anomalyd::pipeline
