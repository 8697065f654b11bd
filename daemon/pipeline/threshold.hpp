#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/adaptive_tail.hpp"

namespace anomalyd::pipeline {

/// Which rule decides about a row.
enum class ThresholdRule : std::uint8_t {
  kTail,         ///< The fitted tail of the recent scores.
  kExponential,  ///< A tail with too few excesses for a fit.
  kWarmUp,       ///< Distance from the median: too few scores for a tail.
  kFixed,        ///< Exceeding a value that the operator has set.
  kQuantile,     ///< Exceeding a quantile of the recent scores.
  kMad,          ///< Exceeding the recent median by so many median absolute deviations.
};

/// The rule in snake case, as in alerts and metrics.
[[nodiscard]] std::string_view to_string(ThresholdRule rule);

/// What a threshold says about one score.
struct Reading {
  double p_value = 1;    ///< 1e-12..1, from the tail whatever the rule.
  double threshold = 0;  ///< Scores above it are rare.
  ThresholdRule rule = ThresholdRule::kTail;
};

/// What scores are compared with.
///
/// The adaptive tail always runs along, so every row has a p-value, and switching to another kind
/// takes effect at once: only what the score is compared with changes.
class Threshold {
 public:
  enum class Kind : std::uint8_t { kTail, kFixed, kQuantile, kMad };
  struct Options {
    Kind kind = Kind::kTail;
    double fixed = 2.0;       ///< > 0. For `fixed`: the score; ordinary ones are about 0.7.
    double quantile = 0.999;  ///< 0.5..1. For `quantile`: share of the recent scores below it.
    double deviations = 6;    ///< > 0. For `mad`: counted on the logarithm of the score.
    AdaptiveTail::Options tail{};
  };

  /// `scores` are those of calibration rows, in time order.
  Threshold(std::span<const double> scores, const Options& options);

  /// Compares `score` with what came before, then learns it. Rare means rarer than `alpha` where
  /// the tail decides. A score that is not finite is no information: p-value 1, nothing learned.
  [[nodiscard]] Reading observe(double score, double alpha);

  [[nodiscard]] const AdaptiveTail& tail() const noexcept { return tail_; }

  /// Replaces the options; what is learned stays.
  void use(const Options& options);

  void save(StateWriter& out) const { tail_.save(out); }
  [[nodiscard]] bool load(StateReader& in);

 private:
  [[nodiscard]] double threshold(double alpha) const;
  [[nodiscard]] ThresholdRule rule() const;

  Options options_;
  AdaptiveTail tail_;
  // A threshold costs a power and rarely changes: the last one is kept until alpha or tail move.
  double kept_threshold_ = 0;
  double kept_alpha_ = -1;
  std::uint64_t kept_revision_ = 0;
};

}  // namespace anomalyd::pipeline
