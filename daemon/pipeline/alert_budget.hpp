#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/result.hpp"

namespace anomalyd::pipeline {

/// How many alerts a person can stand: the main knob of the daemon.
///
/// Written as `1 per series per week`, `3 per series per day`, `20 per fleet per day` or
/// `1 per series per 1000 rows`.
///
/// A budget over time becomes the p-value that an alert needs through the extremal index of each
/// series: neighbouring rows exceed a threshold together, so b onsets per row need alpha = b /
/// theta (see Detector). A budget over rows is that p-value itself: whoever counts in rows, as
/// evaluations do, means the nominal rate.
struct AlertBudget {
  enum class Scope : std::uint8_t { kSeries, kFleet };

  double alerts = 1;
  Scope scope = Scope::kSeries;
  std::chrono::microseconds time = std::chrono::weeks{1};  ///< Unused when `rows` is set.
  std::optional<double> rows;

  /// Errors: kInvalid; the message says what was found and what a budget looks like.
  [[nodiscard]] static Result<AlertBudget> parse(std::string_view text);

  /// Alert onsets that one row of one series may spend. `period` is the time between two rows,
  /// `num_series` the size of the fleet that shares a fleet's budget; at least 1 each.
  [[nodiscard]] double per_row(std::chrono::microseconds period, std::size_t num_series) const;

  [[nodiscard]] std::string text() const;

  bool operator==(const AlertBudget&) const = default;
};

}  // namespace anomalyd::pipeline
