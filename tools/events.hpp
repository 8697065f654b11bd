#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace anomalyd::tools {

/// Neighbouring rows, half-open.
struct RowRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const RowRange&) const = default;
};

/// How rows become alerts and events.
struct FigureRules {
  std::size_t gap = 5;       ///< Alerts at most this many rows apart are one alert.
  std::size_t repeat = 100;  ///< An alert counts one more false alert per so many rows off events.
  std::size_t buffer = 50;   ///< Rows around an event that count neither as normal nor as event.
};

/// Runs of ones; those at most `gap` rows apart are joined.
[[nodiscard]] std::vector<RowRange> runs_of(std::span<const std::uint8_t> flags,
                                            std::size_t gap = 0);

/// A labelled event and what became of it.
struct EventFinding {
  RowRange rows;
  bool found = false;                ///< An alert touches it.
  std::optional<std::size_t> delay;  ///< Rows from its start to the first alerted row in it.
};

/// Compares decisions with labels, both 0 or 1 per row and of equal length: an entry per event.
[[nodiscard]] std::vector<EventFinding> find_events(std::span<const std::uint8_t> labels,
                                                    std::span<const std::uint8_t> alerts,
                                                    const FigureRules& rules = {});

/// What a series adds to the NAB score (Lavin and Ahmad 2015, "Evaluating real-time anomaly
/// detection algorithms", standard profile), in NAB's points.
///
/// The first alert in an event earns up to 1, the sooner the more; an event without one costs 1; an
/// alert outside costs up to 0.11, less just behind an event. NAB counts alerts, not alerted rows:
/// an alert that goes on counts once per `repeat` rows, and once in each event it reaches.
struct NabPoints {
  double gain = 0;   ///< Above a detector that never alerts.
  double range = 0;  ///< Of a perfect detector, above the same.

  NabPoints& operator+=(const NabPoints& other) noexcept;
  /// 0 for a detector that never alerts, 100 for a perfect one; NaN where there are no events.
  [[nodiscard]] double score() const noexcept;
};
[[nodiscard]] NabPoints nab_points(std::span<const std::uint8_t> labels,
                                   std::span<const std::uint8_t> alerts,
                                   const FigureRules& rules = {});

}  // namespace anomalyd::tools
