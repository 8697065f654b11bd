#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/alert_rule.hpp"
#include "daemon/pipeline/calibration.hpp"
#include "daemon/pipeline/threshold.hpp"

namespace anomalyd::pipeline {

/// What was decided about one row.
struct Verdict {
  double score = 0;        ///< S of the calibration: about 0.7 when ordinary, larger is stranger.
  double p_value = 1;      ///< Tail probability of the score among the recent ones.
  double threshold = 0;    ///< The score that would have been rare enough at this row.
  double magnitude = 0;    ///< The score on scales that follow the stream. 1 is large.
  bool condition = false;  ///< Rare and large: the incident goes on while this holds.
  bool lasting = false;    ///< The condition or nearly so: an open incident is not over yet.
  bool alert = false;      ///< The condition speaks now (it has to be re-earned when it lasts).
  bool benign = false;     ///< It would have, but the window is of a class known to be harmless.
  std::int16_t window_class = -1;  ///< Which of the model's classes the window is; -1: no classes.
  bool judged = true;  ///< False if no cell of the row was observed; then nothing is learned.
  ThresholdRule rule = ThresholdRule::kTail;  ///< Which rule decided.
};

/// Judges the rows of one series: residuals -> tail costs -> two-span score -> threshold -> alert.
///
/// Where the model tells regimes apart, each one that had enough rows to calibrate on has scales,
/// tail and rule of its own.
///
/// Strictly in row order, one row at a time, so batching upstream never changes a verdict. Causal:
/// a row is judged by what came before it, then learned. A copy is a detector of its own: a new
/// series starts from a copy of one that was calibrated on its group.
class Detector {
 public:
  struct Options {
    Calibration::Options calibration{};
    Threshold::Options threshold{};
    AlertRule::Options rule{};
    bool per_regime = true;  ///< Scales and tail for each regime, where the model tells them apart.
    double budget = 1e-3;    ///< > 0. Alert onsets per row, from AlertBudget::per_row.
    /// 0..0.01. The p-value that alerts. Unset: from the budget through the extremal index theta
    /// of the calibration scores, min(1e-3, budget / theta), because neighbouring rows exceed a
    /// threshold together. Set to the budget where that counts in rows.
    std::optional<double> alpha;
  };

  /// A detector that has learned nothing: what `load` fills.
  Detector() : Detector{Options{}} {}
  explicit Detector(const Options& options);

  /// Learns scales and tail from held-out rows in time order.
  ///
  /// Shapes   `residuals` is [rows x members x channels]; NaN where the cell was missing.
  [[nodiscard]] static Detector calibrate(std::span<const float> residuals, std::size_t members,
                                          std::size_t channels, const Options& options);

  /// The same, where `regimes` says of each row which of `num_regimes` it belongs to.
  [[nodiscard]] static Detector calibrate(std::span<const float> residuals, std::size_t members,
                                          std::size_t channels, const Options& options,
                                          std::span<const std::int16_t> regimes,
                                          std::size_t num_regimes);

  /// Judges the newest row, then learns it. `residuals` is [members x channels], NaN where missing.
  [[nodiscard]] Verdict judge(std::span<const float> residuals, std::int16_t regime = -1);

  /// Each channel's share of the cost of the row last judged: [channels], adds up to 1 (all zero if
  /// the cost is). Call with the same residuals as `judge`.
  [[nodiscard]] std::vector<double> attribute(std::span<const float> residuals) const {
    return active().calibration_.attribute(residuals);
  }
  /// The member with the largest part in the score of that row, of all but those in `without`.
  [[nodiscard]] std::optional<std::size_t> leading_member(
      std::span<const float> residuals, std::span<const std::size_t> without) const {
    return active().calibration_.leading_member(residuals, without);
  }

  /// The p-value that alerts with the whole budget left.
  [[nodiscard]] double alpha() const noexcept { return alpha_; }
  /// Alerts held back to keep the budget.
  [[nodiscard]] std::uint64_t suppressed_alerts() const noexcept;
  /// Rows that it was calibrated on.
  [[nodiscard]] std::size_t calibration_rows() const noexcept { return rule_.calibration_rows(); }
  /// Whether a governor can lower alpha no further; of any regime, where they have their own.
  [[nodiscard]] bool at_clamp() const noexcept;
  /// Whether what it takes for normal now was a condition at first. See AlertRule.
  [[nodiscard]] bool at_second_level() const noexcept { return active().rule_.at_second_level(); }
  /// Regimes that may have scales of their own; 0 without any.
  [[nodiscard]] std::size_t num_regimes() const noexcept { return regimes_.size(); }
  [[nodiscard]] std::size_t members() const noexcept { return calibration_.members(); }
  [[nodiscard]] std::size_t channels() const noexcept { return calibration_.channels(); }

  void save(StateWriter& out) const;
  /// Reads what was learned. Options are not state: `use` has to follow.
  [[nodiscard]] bool load(StateReader& in);
  /// Replaces the options; what is learned stays.
  void use(const Options& options);

 private:
  Detector(Calibration::Learned learned, const Options& options);

  [[nodiscard]] Verdict judge_here(std::span<const float> residuals);
  [[nodiscard]] bool load_one(StateReader& in);
  void save_one(StateWriter& out) const;
  [[nodiscard]] const Detector& active() const noexcept {
    return active_ < 0 ? *this : regimes_[static_cast<std::size_t>(active_)];
  }

  double theta_ = 1;  // extremal index of the calibration scores
  double alpha_ = 0;  // derived from it and the options
  Calibration calibration_;
  Threshold threshold_;
  AlertRule rule_;
  bool per_regime_ = true;
  std::vector<Detector> regimes_;  // those with too few rows have no channels, and are not used
  std::int32_t active_ = -1;       // which of them judged last; -1: this one did
};

}  // namespace anomalyd::pipeline
