#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tools/incident_table.hpp"
#include "tools/truth.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// Known faults, and which of them count.
struct KnownFaults {
  Truth truth;
  std::chrono::microseconds slack{0};   ///< How late behind its end one still counts as found.
  EventTime since = EventTime::min();   ///< Only those that began then or later,
  EventTime before = EventTime::max();  ///< and before this; incidents by their first report.
};

/// The faults that a command compares incidents with, if it is told of any.
struct TruthArguments {
  std::string file;
  std::string slack = "30m";
  std::string since;
  std::string before;

  /// Adds --truth, --slack, --since and --before.
  void add_to(CLI::App& command);
  /// nullopt without --truth. Errors: kInvalid.
  [[nodiscard]] Result<std::optional<KnownFaults>> load() const;
};

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
/// while the fault lasted, or was reported within the slack after its end.
///
/// Data faults count as incidents: a stuck sensor is found by either. Anything reported before
/// `truth.start` is left out. What began or was reported outside of `since` and `before` is matched
/// all the same, so that a late report of an earlier fault is no false alert, but does not count.
[[nodiscard]] FaultReport compare(const IncidentBook& book, const KnownFaults& known);

/// The report as a table for a terminal, with totals. `budget` is shown beside the achieved rate.
[[nodiscard]] std::string report_table(const FaultReport& report, const std::string& budget);

}  // namespace anomalyd::tools
