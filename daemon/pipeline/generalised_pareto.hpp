#pragma once

#include <span>

namespace anomalyd::pipeline {

/// The distribution of how far values exceed a high threshold, whatever they are distributed like.
///
/// `shape` 0 is the exponential distribution, above 0 tails are heavier, below 0 they end.
struct GeneralisedPareto {
  double shape = 0.1;
  double scale = 1.0;  ///< > 0.

  /// The probability that an excess is larger than `excess` >= 0. Zero beyond a finite end.
  [[nodiscard]] double probability_above(double excess) const;
  /// The excess that is exceeded with `probability` > 0.
  [[nodiscard]] double excess_at(double probability) const;
};

/// Estimates the shape by the quasi-Bayesian rule of Zhang and Stephens (2009): a weighted mean
/// over a grid of candidates, so there is no root to find and nothing that can fail to converge.
/// `excesses` are positive, at least two.
[[nodiscard]] double fit_shape(std::span<const double> excesses);

}  // namespace anomalyd::pipeline
