#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/alert_rule.hpp"
#include "daemon/pipeline/calibration.hpp"
#include "daemon/pipeline/threshold.hpp"

namespace anomalyd::pipeline {

/// What was decided about one row.
struct Verdict {
  double score = 0;      ///< S of RECIPE section 4: about 0.7 when ordinary, larger is stranger.
  double p_value = 1;    ///< Tail probability of the score among the recent ones.
  double threshold = 0;  ///< The score that would have been rare enough at this row.
  double magnitude = 0;  ///< m: the score on scales that follow the stream. 1 is large.
  bool condition = false;  ///< Rare and large: the incident goes on while this holds.
  bool alert = false;      ///< The condition speaks now (it has to be re-earned when it lasts).
  ThresholdRule rule = ThresholdRule::kTail;  ///< Which rule gave the p-value.
};

/// Judges the rows of one series: residuals -> tail costs -> two-span score -> threshold -> alert.
///
/// Strictly in row order, one row at a time, so batching upstream never changes a verdict. Causal:
/// a row is judged by what came before it, then learned.
class Detector {
 public:
  struct Options {
    Calibration::Options calibration;
    Threshold::Options threshold;
    AlertRule::Options rule;
  };

  /// Learns scales and tail from held-out rows in time order.
  ///
  /// Shapes   `residuals` is [rows x members x channels]; NaN where the cell was missing.
  /// Units    `alpha` and `budget` as in AlertBudget: per row.
  static Detector calibrate(std::span<const float> residuals, std::size_t members,
                            std::size_t channels, const Options& options);

  /// Judges the newest row, then learns it. `residuals` is [members x channels], NaN where missing.
  [[nodiscard]] Verdict judge(std::span<const float> residuals);

  /// Each channel's share of the cost of this row: [channels], adds up to 1 (all zero if the cost
  /// is). Call with the same residuals as `judge`.
  [[nodiscard]] std::vector<double> attribute(std::span<const float> residuals) const;
  /// The member with the largest part in the score of this row: its residuals give "expected".
  [[nodiscard]] std::size_t leading_member(std::span<const float> residuals) const;

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

  /// Options are not state: a detector that was loaded gets the configured ones here.
  void use(const Options& options);
};

}  // namespace anomalyd::pipeline
