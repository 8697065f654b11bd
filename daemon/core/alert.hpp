#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd {

enum class AlertState : std::uint8_t { kOpen, kUpdate, kResolve };

/// What an alert is about. Data faults never reach a model as values.
enum class AlertType : std::uint8_t {
  kAnomaly,
  kGap,              ///< Rows were missing for longer than a window can bridge.
  kStuckSensor,      ///< A channel that used to move has not moved for long.
  kClockSkew,        ///< Event times run ahead of, or far behind, this host.
  kSilentSeries,     ///< Nothing has come from a series for long.
  kChangedChannels,  ///< Channels appeared or disappeared.
};

enum class Severity : std::uint8_t { kInfo, kMinor, kMajor, kCritical };

[[nodiscard]] std::string_view to_string(AlertState state);
[[nodiscard]] std::string_view to_string(AlertType type);
[[nodiscard]] std::string_view to_string(Severity severity);

/// One message about one incident; three kinds of state make its life: open, update, resolve.
///
/// The id is derived from series, type and start, so reading the same input again repeats it and a
/// consumer may drop what it has already seen.
struct Alert {
  /// How one channel took part, in the units of the input.
  struct Feature {
    std::string name;
    std::string unit;
    double observed = 0;
    double expected = 0;
    double share = 0;  ///< Of the score, 0..1; shares of all channels add up to 1.
  };
  /// One of the rows that stood out most while the incident lasted.
  struct Step {
    EventTime time;
    double score = 0;
    std::string feature;  ///< The channel with the largest share in that row.
  };

  std::string id;
  AlertType type = AlertType::kAnomaly;
  AlertState state = AlertState::kOpen;
  std::string series;
  EventTime start;
  EventTime time;                ///< Of the row that caused this message.
  std::optional<EventTime> end;  ///< Set in kResolve.
  int severity = 0;              ///< 0..100, the highest so far.
  double score = 0;              ///< Of the worst row so far.
  double threshold = 0;          ///< What `score` was compared with then.
  double p_value = 1;            ///< Tail probability of the worst row.
  std::string rule;              ///< Which rule decided: "tail", "warm_up", "fixed", ...
  /// What the model calls the window of the worst row that it has a name for, "fault: pump" or
  /// "regime 2"; empty if there is none.
  std::string window_class;
  bool provisional = false;  ///< Judged before the series' own calibration was complete.
  std::string model_kind;
  std::string model_version;
  std::vector<Feature> features;  ///< Worst first.
  std::vector<Step> worst_steps;  ///< Worst first.
  std::string summary;            ///< One sentence for a person.
  PartitionId input;
  Offset first_offset = 0;  ///< Of the row that opened the incident.
  Offset last_offset = 0;   ///< Of the row that caused this message.
};

/// 0..24 info, 25..49 minor, 50..74 major, 75..100 critical.
[[nodiscard]] Severity severity_name(int severity);

}  // namespace anomalyd
