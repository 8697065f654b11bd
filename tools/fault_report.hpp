#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tools/incident_table.hpp"
#include "tools/truth.hpp"

namespace anomalyd::tools {

/// What became of the known faults, once the alerts about them are in.
struct FaultReport {
  struct Line {
    Fault fault;
    std::optional<Alert> incident;       ///< The first one that found it.
    std::chrono::microseconds delay{0};  ///< From its start to that incident's first message.
    bool right_channel = false;          ///< The incident blames the channel that is at fault.
  };
  std::vector<Line> faults;         ///< As in the truth.
  std::vector<Alert> false_alerts;  ///< Incidents that belong to no fault.
  std::size_t num_incidents = 0;    ///< Of rows that were to be judged.
  double incidents_per_week = 0;    ///< Per series, false or not: what a budget is about.
};

/// Matches incidents with faults. An incident belongs to a fault of its series if it was going on
/// while the fault lasted, or was reported within `slack` after its end.
///
/// Data faults count as incidents: a stuck sensor is found by either. Anything reported before
/// `truth.start` is left out.
[[nodiscard]] FaultReport compare(const IncidentBook& book, const Truth& truth,
                                  std::chrono::microseconds slack);

/// The report as a table for a terminal, with totals. `budget` is shown beside the achieved rate.
[[nodiscard]] std::string report_table(const FaultReport& report, const std::string& budget);

}  // namespace anomalyd::tools
