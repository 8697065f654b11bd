#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace anomalyd::tools {

/// How well scores rank the rows of events before the others, whatever the threshold.
struct RankingFigures {
  /// Volume under the precision-recall surface: the area under the precision-recall curve,
  /// averaged over buffers of 0 to 100 rows around events, in which a row counts the less, the
  /// farther it is from the event (Paparrizos et al., "Volume under the surface", VLDB 2022; with
  /// thresholds at 250 ranks and buffers in steps of 5 rows).
  double vus_pr = std::numeric_limits<double>::quiet_NaN();
  /// Area under the precision-recall curve: average precision, equal scores together.
  double auc_pr = std::numeric_limits<double>::quiet_NaN();
};

/// Compares scores with labels, both one per row; a score that is not finite counts as the lowest
/// of the others, +infinity as above the highest. Without events both figures are NaN.
///
/// Takes O(n log n) and then, per buffer, the rows within it.
[[nodiscard]] RankingFigures rank(std::span<const std::uint8_t> labels,
                                  std::span<const double> scores);

}  // namespace anomalyd::tools
