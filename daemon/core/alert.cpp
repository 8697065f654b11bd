#include "daemon/core/alert.hpp"

namespace anomalyd {

std::string_view to_string(AlertState state) {
  switch (state) {
    case AlertState::kOpen: return "open";
    case AlertState::kUpdate: return "update";
    case AlertState::kResolve: return "resolve";
  }
  return "unknown";
}

std::string_view to_string(AlertType type) {
  switch (type) {
    case AlertType::kAnomaly: return "anomaly";
    case AlertType::kGap: return "gap";
    case AlertType::kStuckSensor: return "stuck_sensor";
    case AlertType::kClockSkew: return "clock_skew";
    case AlertType::kSilentSeries: return "silent_series";
    case AlertType::kChangedChannels: return "changed_channels";
  }
  return "unknown";
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kInfo: return "info";
    case Severity::kMinor: return "minor";
    case Severity::kMajor: return "major";
    case Severity::kCritical: return "critical";
  }
  return "unknown";
}

Severity severity_name(int severity) {
  if (severity < 25) return Severity::kInfo;
  if (severity < 50) return Severity::kMinor;
  if (severity < 75) return Severity::kMajor;
  return Severity::kCritical;
}

}  // namespace anomalyd
