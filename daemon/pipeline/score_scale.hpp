#pragma once

#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::pipeline {

/// The value below which `level` of `values` lies, interpolated. `values` is not empty.
[[nodiscard]] double quantile_of(std::vector<double> values, double level);

/// Brings scores onto a logarithmic scale: zero at their median, one is their typical deviation.
class ScoreScale {
 public:
  /// `scores` are finite and not empty. `drift_rows` > 0 lets the centre follow the scores with
  /// that memory, at most three deviations per row.
  ScoreScale(std::span<const double> scores, double drift_rows);

  /// The place of `score` on the scale.
  [[nodiscard]] double at(double score) const;
  /// The same, before the scale follows `score`.
  [[nodiscard]] double observe(double score);
  [[nodiscard]] double score_at(double x) const;
  [[nodiscard]] bool drifts() const noexcept { return rate_ > 0; }
  void set_drift(double drift_rows);

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  double offset_ = 0;  // keeps the logarithm of a zero score finite
  double centre_ = 0;
  double deviation_ = 1;
  double first_deviation_ = 1;
  double rate_ = 0;
};

}  // namespace anomalyd::pipeline
