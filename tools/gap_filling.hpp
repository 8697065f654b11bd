#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::tools {

/// Rows of a series of which some cells are missing: [n x channels], NaN where missing.
struct GappyRows {
  std::size_t channels = 0;
  std::vector<float> cells;

  [[nodiscard]] std::size_t size() const noexcept {
    return channels == 0 ? 0 : cells.size() / channels;
  }
};

/// What a model expects of the windows of `rows` ([n x channels], no NaN) that end at `ends`:
/// [windows x window x channels].
using ReconstructFn = std::function<Result<std::vector<float>>(std::span<const float> rows,
                                                               std::span<const std::size_t> ends)>;

struct FillOptions {
  std::size_t window = 32;
  std::size_t iterations = 10;  ///< 1..1000.
  /// What a missing cell holds at first: its channel's last value, as in a Batch, or what lies on
  /// the line between its neighbours.
  enum class Start : std::uint8_t { kLast, kLinear } start = Start::kLinear;
  /// Rows after which a known cell tells half as much of how far off the model is. 0: nothing.
  double memory = 12;
};

/// Completes missing cells: each becomes the mean of what the model expects of it in all windows
/// that cover it, so a gap is seen from both sides, and what the model is wrong by on the known
/// cells of the channel on both sides; that again with the cells so completed. `ends` are those of
/// the windows that may be looked at, in order. A cell that none of them covers stays missing.
/// Errors: those of `reconstruct`.
[[nodiscard]] Result<std::vector<float>> fill_gaps(const GappyRows& rows,
                                                   std::span<const std::size_t> ends,
                                                   const ReconstructFn& reconstruct,
                                                   const FillOptions& options);

/// Completes by lines between the neighbours in a channel; a gap at an end holds the nearest value,
/// a channel without any is 0.
[[nodiscard]] std::vector<float> interpolate_linearly(const GappyRows& rows);

/// Completes by natural cubic splines through the values of each channel; ends and channels of
/// fewer than three values as linearly.
[[nodiscard]] std::vector<float> interpolate_by_spline(const GappyRows& rows);

}  // namespace anomalyd::tools
