#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace anomalyd::pipeline {

/// P(X >= count) for a Poisson variable X of this mean, >= 0.
[[nodiscard]] double poisson_tail(std::size_t count, double mean);

/// The largest count that chance makes of this mean: P(X > count) < 1 - confidence.
[[nodiscard]] std::size_t poisson_bound(double mean, double confidence);

/// P(X >= worse) for X of Binomial(worse + better, 1/2): the exact sign test. Of pairs that differ,
/// `worse` speak against and `better` for (McNemar, 1947).
[[nodiscard]] double sign_test(std::size_t worse, std::size_t better);

/// Absolute residuals of two models on the same rows of one series, in a unit common to both.
///
/// Shapes  [rows x members x channels], rows in time order; NaN where a cell does not count.
struct PairedLosses {
  std::size_t members = 0;
  std::size_t channels = 0;
  std::vector<float> challenger;
  std::vector<float> champion;

  [[nodiscard]] std::size_t rows() const noexcept {
    return members * channels == 0 ? 0 : champion.size() / (members * channels);
  }
};

/// The challenger's loss in units of the champion's, with its confidence limits.
struct LossRatio {
  double ratio = 1;
  double low = 1;
  double high = 1;
  std::size_t rows = 0;             ///< It rests on; 0: there was nothing to compare.
  std::vector<double> by_member{};  ///< The ratio of each.
};

/// Compares two models by the mean absolute residual, robustly and in pairs.
///
/// - A cell counts in units of the champion's mean in that series, member and channel, at least a
///   twentieth of the mean over the channels: so each counts as much as another, as in a score.
/// - A row's loss is the mean over its observed cells. Of each member the twentieth of the rows
///   with the largest sum of both losses is left out, whichever model has the larger.
/// - The ratio is the geometric mean over members of that of the sums.
/// - Its one-sided limits at `confidence` are quantiles of 1000 ratios of resampled blocks of 16
///   successive rows: neighbouring rows have much the same loss (moving blocks: Kunsch, 1989).
///
/// The same seed gives the same limits. All series have the same members; their channels may
/// differ.
[[nodiscard]] LossRatio compare_losses(std::span<const PairedLosses> series, double confidence,
                                       std::uint64_t seed);

}  // namespace anomalyd::pipeline
