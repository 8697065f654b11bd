#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/core/alert.hpp"

namespace anomalyd::tools {

enum class Colour { kNone, kAnsi };

/// The incidents that a stream of alerts tells of, each with its newest message.
///
/// Alerts may repeat, as they do after a restart of the daemon; the id tells.
class IncidentBook {
 public:
  /// Takes a message in. Returns false if it says nothing new about its incident.
  bool add(const Alert& alert);
  /// The newest message of each incident, by start.
  [[nodiscard]] std::vector<Alert> incidents() const;
  /// When each incident was first reported: the time of its opening message.
  [[nodiscard]] EventTime reported(const std::string& id) const { return reported_.at(id); }

 private:
  std::map<std::string, Alert> newest_;
  std::map<std::string, EventTime> reported_;
};

/// Names of the columns of `incident_line`.
[[nodiscard]] std::string incident_header();
/// One incident on one line: state, severity, series, start, duration, the worst feature observed
/// and expected, and the model.
[[nodiscard]] std::string incident_line(const Alert& alert, Colour colour);
/// What else a person wants to know when an incident opens, indented, one or more lines.
[[nodiscard]] std::string incident_details(const Alert& alert);

}  // namespace anomalyd::tools
