#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/scaler.hpp"

namespace anomalyd::tools {

/// The rows of a series as models see them, on the grid of its period.
///
/// Shapes   `raw` and `rows` are [n x channels], NaN where missing; rows that never came are
///          there, all missing, so far as the windower bridges a gap.
struct ScaledSeries {
  std::string id;
  std::uint32_t slot = 0;    ///< Weights of the model that are its own; 0 is the pooled.
  std::uint32_t entity = 0;  ///< Of those that the model tells apart; 0: none of them.
  pipeline::Scaler scaler;
  std::size_t channels = 0;
  std::chrono::microseconds period{0};  ///< Between rows; zero when not known.
  std::vector<EventTime> times;         ///< One per row.
  std::vector<double> raw;
  std::vector<float> rows;               ///< Scaled.
  std::vector<std::size_t> restarts{};   ///< Rows that do not continue the one before, in order.
  std::vector<std::uint8_t> inserted{};  ///< One per row: 1 for a row that never came.

  [[nodiscard]] std::size_t size() const noexcept { return times.size(); }
  /// The rows with missing cells holding the last value of their channel, 0 before the first.
  [[nodiscard]] std::vector<float> held() const;
  /// Last rows of the windows of `window` rows that end in [first, last), every `stride`-th row;
  /// none of them spans a restart.
  [[nodiscard]] std::vector<std::size_t> window_ends(std::size_t window, std::size_t first,
                                                     std::size_t last,
                                                     std::size_t stride = 1) const;
  /// Those of `ends` whose windows have no missing cell.
  [[nodiscard]] std::vector<std::size_t> complete(std::span<const std::size_t> ends,
                                                  std::size_t window) const;
};

/// Scales a history, and puts rows in where some were missing. `scaler` starts anew.
[[nodiscard]] ScaledSeries scale(const pipeline::History& history, pipeline::Scaler scaler);

/// Which rows of a series a check keeps from all that is learned: three of ten stretches of its
/// time, spread over it, since the newest ones would differ from the others by slow drift too.
class HeldOut {
 public:
  HeldOut(EventTime first, EventTime last) : first_{first}, last_{last} {}
  explicit HeldOut(const ScaledSeries& series)
      : HeldOut{series.times.front(), series.times.back()} {}

  [[nodiscard]] bool contains(EventTime time) const;
  /// Those of `ends` whose whole windows are held out, or those of which no row is.
  [[nodiscard]] std::vector<std::size_t> inside(const ScaledSeries& series,
                                                std::span<const std::size_t> ends,
                                                std::size_t window) const;
  [[nodiscard]] std::vector<std::size_t> outside(const ScaledSeries& series,
                                                 std::span<const std::size_t> ends,
                                                 std::size_t window) const;

 private:
  [[nodiscard]] std::int64_t stretch(EventTime time) const;

  EventTime first_;
  EventTime last_;
};

/// A history without those rows.
[[nodiscard]] pipeline::History without_held_out(const pipeline::History& history);

/// The same series with `factor` - 1 missing rows between each row and the next.
[[nodiscard]] ScaledSeries refined(const ScaledSeries& series, std::size_t factor);

}  // namespace anomalyd::tools
