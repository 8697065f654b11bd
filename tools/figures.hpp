#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace anomalyd::tools {

/// How well alerts meet labelled events, in one series or averaged over several.
///
/// Undefined figures (no events, no normal rows, nothing found) are NaN and left out of means.
struct Figures {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double event_recall = kNone;     ///< Events touched by an alert.
  double event_precision = kNone;  ///< Alerts that touch an event / (those + false alerts).
  double event_f1 = kNone;
  double normal_alert_rate = kNone;     ///< Alerted share of rows 50 or more rows from any event.
  double false_alerts_per_10k = kNone;  ///< Per 10 000 rows.
  double median_delay = kNone;          ///< Rows from the start of a found event to its alert.
};

/// The rules of `measure`.
struct FigureRules {
  std::size_t gap = 5;       ///< Alerts at most this many rows apart are one alert.
  std::size_t repeat = 100;  ///< An alert counts one more false alert per so many rows off events.
  std::size_t buffer = 50;   ///< Rows around an event that count neither as normal nor as event.
};

/// Compares decisions with labels, both 0 or 1 per row and of equal length.
[[nodiscard]] Figures measure(std::span<const std::uint8_t> labels,
                              std::span<const std::uint8_t> alerts, const FigureRules& rules = {});

/// The mean of each figure over those for which it is defined.
[[nodiscard]] Figures mean(std::span<const Figures> figures);

/// Figures of one series, and where it belongs.
struct SeriesFigures {
  std::string group;
  std::string entity;
  std::size_t rows = 0;
  Figures figures;
};

/// Figures of one group: the mean over its series.
struct GroupFigures {
  std::string group;
  std::size_t num_series = 0;
  Figures figures;
};

/// One entry per group in order of appearance; "MACRO", the mean over groups, comes last.
[[nodiscard]] std::vector<GroupFigures> by_group(std::span<const SeriesFigures> series);

/// Formats the groups as a table for a terminal.
[[nodiscard]] std::string figures_table(std::span<const GroupFigures> groups);

/// Everything as a JSON object {"series": [...], "groups": {...}}; undefined figures are null.
[[nodiscard]] std::string figures_json(std::span<const SeriesFigures> series);

}  // namespace anomalyd::tools
