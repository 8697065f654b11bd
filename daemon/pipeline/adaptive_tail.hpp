#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/decayed_sketch.hpp"
#include "daemon/pipeline/generalised_pareto.hpp"
#include "daemon/pipeline/score_scale.hpp"

namespace anomalyd::pipeline {

/// Turns scores into tail probabilities that follow the recent scores of the series.
///
/// On a log scale, where tails are nearly exponential and an explosion is bounded: a decayed
/// sketch gives the level where the tail starts, a generalised Pareto distribution fitted to the
/// last excesses gives everything beyond.
///
/// What is learned decides everything. A row or two in the tail are ordinary tail data and are
/// learned with full weight; leaving them out would make the tail short and triple the alerts.
/// From the third row on it is an incident: capped, a tenth of the weight, every fourth row only
/// into the ring. So an incident cannot hide the next one, and a level that stays is accepted
/// after some hundred rows instead of never.
///
/// Causal: each p-value comes from earlier scores alone. About 7 KB per series with the defaults.
class AdaptiveTail {
 public:
  struct Options {
    double alpha = 1e-3;          ///< 0..1. Rows rarer than this count towards an incident.
    double level = 0.98;          ///< 0.5..1. Share of the scores below the start of the tail.
    double memory_rows = 2880;    ///< >= 100. A row's weight has faded to 1/e after this many.
    std::size_t excesses = 256;   ///< 16..4096. The newest that the tail is fitted to.
    double prior_shape = 0.1;     ///< -0.5..0.9. What the fitted shape is drawn towards.
    double prior_weight = 10;     ///< >= 0. In excesses.
    double trim = 3e-3;           ///< 0..0.02. Calibration scores rarer than this do not teach.
    int refit_rows = 32;          ///< >= 1. The start of the tail is renewed this often.
    int refit_excesses = 8;       ///< >= 0. Its shape only after this many new excesses, as soon
                                  ///< as it rests on four times as many.
    int free_rows = 2;            ///< >= 0. Rows of a run that still count as ordinary.
    double incident_share = 0.1;  ///< 0..1. Weight of a row of an incident.
    std::size_t bins = 512;       ///< 64..65536. Of the sketch.
    double drift_rows = 0;        ///< >= 0. Memory of a drifting centre; 0: the centre stays.
    int warm_up_rows = 100;  ///< >= 0. With fewer scores seen, distance from the median decides.
  };

  /// How the last p-value came about, from the weakest evidence to the strongest.
  enum class Footing : std::uint8_t {
    kWarmUp,       ///< Too few scores for a tail: 6 median absolute deviations count as alpha.
    kExponential,  ///< Too few excesses for a fit: the prior shape and their mean.
    kFitted,
  };

  /// Learns from scores of rows the model was not fitted on, in time order. Scores that are not
  /// finite are left out; without any the tail starts from a single score of 1.
  AdaptiveTail(std::span<const double> scores, const Options& options);

  /// The tail probability of `score`, 1e-12..1; then learns it. A score that is not finite is no
  /// information: 1, and nothing is learned.
  [[nodiscard]] double observe(double score);

  /// The score that has tail probability `alpha` now.
  [[nodiscard]] double threshold(double alpha) const;
  /// The score that a share of `level` of the recent ones lies below.
  [[nodiscard]] double quantile(double level) const;
  /// The recent median plus so many median absolute deviations, on the logarithm of the score.
  [[nodiscard]] double robust_threshold(double deviations) const;
  /// Changes whenever one of the three may be worth asking again: every `refit_rows`.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }
  [[nodiscard]] Footing footing() const noexcept;

  /// Clusters per row in the tail among `scores`, 0..1: rows of one cluster are at most `gap`
  /// rows apart. 1 means that exceedances come alone.
  [[nodiscard]] double extremal_index(std::span<const double> scores, int gap = 5) const;

  /// Replaces the options; what is already learned stays. `bins` holds from the next calibration.
  void use(const Options& options);

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  void start(std::span<const double> scaled);
  void learn(double x, double p);
  void keep(float x);
  void resize_ring();
  void refit();
  void fit_shape_and_scale();
  void update_caps();
  [[nodiscard]] std::vector<double> newest_excesses() const;
  [[nodiscard]] double p_value(double x) const;
  [[nodiscard]] double quantile_at(double p) const;
  [[nodiscard]] double warm_up_p_value(double x) const;

  Options options_;
  ScoreScale scale_;
  DecayedSketch sketch_;
  double tail_start_ = 0;
  GeneralisedPareto tail_;
  std::vector<float> ring_;  // the last scores near or in the tail, scaled
  std::uint32_t ring_next_ = 0;
  std::uint32_t new_excesses_ = 0;  // since the last fit
  std::uint32_t num_excesses_ = 0;  // in the last fit
  std::uint32_t run_ = 0;           // rows of the present run of exceedances
  std::uint64_t rows_ = 0;          // learned since calibration
  std::uint64_t calibration_rows_ = 0;
  std::uint64_t revision_ = 0;
  double incident_cap_ = 0;  // the most that a row of an incident is learned as; derived
  double ordinary_cap_ = 0;  // the same for an isolated row; derived
};

}  // namespace anomalyd::pipeline
