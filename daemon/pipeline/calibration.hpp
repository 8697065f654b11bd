#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::pipeline {

/// The two running means of one member's cost: a short one for spikes, a long one for shapes and
/// slow faults.
struct Smoothed {
  double fast = 0;
  double slow = 0;
};

/// Joins members into one figure: the root mean square over members of the mean over both spans
/// of log(1 + cost / scale). The logarithm keeps one loud member from drowning the others, the
/// square lets one that is far off count for more than several that are slightly off.
[[nodiscard]] double combine(std::span<const Smoothed> costs, std::span<const Smoothed> scales);

/// Turns the residuals of a row into a score, on scales learned from held-out rows.
///
/// Per member and channel the absolute residual is standardised, turned into its tail cost and
/// summed over channels; per member the sum is smoothed by two running means and compared with a
/// high quantile of its own past.
///
/// Missing cells (NaN) have no cost, and the sum is scaled up by channels / observed channels, so
/// that a gap neither hides nor feigns an anomaly. A member that sees nothing keeps its means.
class Calibration {
 public:
  struct Options {
    double fast_rows = 5;          ///< >= 1. Span of the short running mean.
    double slow_rows = 50;         ///< >= 1. Span of the long one.
    double scale_floor = 0.05;     ///< > 0. Least deviation of a channel, in the member's overall.
    double score_quantile = 0.99;  ///< 0..1. Of the calibration rows: what makes a score of 0.7.
    double rule_quantile = 0.95;   ///< 0..1. The same for the scales that the alert rule moves.
    /// Whether rows of calibration that look like incidents are left out of all but a part of the
    /// scale of the score. Rows to learn from are seldom all healthy. Where they are, it takes
    /// rare but ordinary spikes for incidents and alerts on the next ones.
    bool exclude_incidents = true;
  };

  /// What the calibration rows say beside the scales themselves.
  struct Learned;

  /// Nothing learned yet: what `load` fills.
  Calibration() = default;

  /// Learns from `residuals`, [rows x members x channels] in time order, NaN where missing. Rows
  /// in which nothing is observed are left out.
  [[nodiscard]] static Learned learn(std::span<const float> residuals, std::size_t members,
                                     std::size_t channels, const Options& options);

  enum class Seen : std::uint8_t { kNothing, kSomething };

  /// Takes in the next row, [members x channels]. kNothing: no cell was observed, all stays.
  Seen observe(std::span<const float> residuals);

  /// The score after the last row: about 0.7 when ordinary, larger is stranger.
  [[nodiscard]] double score() const { return combine(smoothed_, score_scales_); }
  /// The running means after the last row, one per member.
  [[nodiscard]] std::span<const Smoothed> smoothed() const noexcept { return smoothed_; }

  /// Each channel's share of the cost of `residuals`, members weighted by their part in the score.
  [[nodiscard]] std::vector<double> attribute(std::span<const float> residuals) const;
  /// The member with the largest part in the score, of those that saw something in `residuals`
  /// and are not in `without`; none if there is no such member.
  [[nodiscard]] std::optional<std::size_t> leading_member(
      std::span<const float> residuals, std::span<const std::size_t> without) const;

  [[nodiscard]] std::size_t members() const noexcept { return smoothed_.size(); }
  [[nodiscard]] std::size_t channels() const noexcept { return channels_; }

  /// Takes the spans of `options`; the rest of them matters only to `learn`.
  void use(const Options& options);

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  struct Scale {
    float mean = 0;
    float per_deviation = 1;  // 1 / standard deviation
  };

  Calibration(std::size_t members, std::size_t channels, const Options& options);
  [[nodiscard]] static std::vector<char> ordinary_rows(std::span<const float> residuals,
                                                       std::size_t members, std::size_t channels);
  [[nodiscard]] std::vector<Smoothed> observe_all(std::span<const float> residuals);
  void learn_scales(std::span<const float> residuals, double scale_floor);
  [[nodiscard]] double cost(std::size_t member, std::size_t channel, float residual) const;
  [[nodiscard]] double part_of(std::size_t member) const;

  double fast_rate_ = 0;  // of the running means
  double slow_rate_ = 0;
  std::size_t channels_ = 0;
  bool started_ = false;                // the running means hold a row
  std::vector<Scale> scales_;           // [members x channels]
  std::vector<Smoothed> smoothed_;      // [members]
  std::vector<Smoothed> score_scales_;  // [members]
};

struct Calibration::Learned {
  Calibration calibration;
  std::vector<double> scores;         ///< One per row in which something was observed.
  std::vector<Smoothed> rule_scales;  ///< `rule_quantile` of the running means, one per member.
};

}  // namespace anomalyd::pipeline
