#include "tools/incident_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

std::string coloured(const std::string& text, const char* code, Colour colour) {
  return colour == Colour::kNone ? text : fmt::format("\033[{}m{}\033[0m", code, text);
}

const char* colour_of(Severity severity) {
  switch (severity) {
    case Severity::kInfo: return "36";   // cyan
    case Severity::kMinor: return "33";  // yellow
    case Severity::kMajor: return "31";  // red
    case Severity::kCritical: return "1;31";
  }
  return "0";
}

/// "2026-11-20 22:15:04": to the second, for a table.
std::string short_time(EventTime time) {
  std::string text = to_rfc3339(time).substr(0, 19);
  text[10] = ' ';
  return text;
}

std::string feature_text(const Alert::Feature& feature) {
  const std::string unit = feature.unit.empty() ? "" : " " + feature.unit;
  const std::string expected =
      std::isnan(feature.expected) ? "" : fmt::format(" (expected {:.4g})", feature.expected);
  return fmt::format("{} {:.4g}{}{}", feature.name, feature.observed, unit, expected);
}

std::string what(const Alert& alert) {
  if (alert.type != AlertType::kAnomaly) return std::string{to_string(alert.type)};
  if (alert.features.empty()) return fmt::format("score {:.3g}", alert.score);
  return feature_text(alert.features.front());
}

}  // namespace

bool IncidentBook::add(const Alert& alert) {
  reported_.try_emplace(alert.id, alert.time);
  const auto [place, added] = newest_.try_emplace(alert.id, alert);
  if (added) return true;
  const Alert& known = place->second;
  const bool newer =
      alert.time > known.time || (alert.time == known.time && alert.state > known.state);
  if (!newer) return false;
  place->second = alert;
  return true;
}

std::vector<Alert> IncidentBook::incidents() const {
  std::vector<Alert> alerts;
  for (const auto& [id, alert] : newest_) alerts.push_back(alert);
  std::ranges::stable_sort(alerts, {}, &Alert::start);
  return alerts;
}

std::string incident_header() {
  return fmt::format("{:<8} {:<12} {:<20} {:<19} {:>8}  {:<44} {}", "state", "severity", "series",
                     "start (UTC)", "lasts", "what", "model");
}

std::string incident_line(const Alert& alert, Colour colour) {
  const Severity severity = severity_name(alert.severity);
  const std::string rank =
      fmt::format("{:<12}", fmt::format("{} {}", to_string(severity), alert.severity));
  const double seconds =
      std::chrono::duration<double>(alert.end.value_or(alert.time) - alert.start).count();
  const bool from_model = alert.type == AlertType::kAnomaly;
  return fmt::format("{:<8} {} {:<20} {} {:>8}  {:<44} {}", to_string(alert.state),
                     coloured(rank, colour_of(severity), colour), alert.series,
                     short_time(alert.start), short_duration(seconds), what(alert),
                     from_model ? alert.model_kind + " " + alert.model_version : "-");
}

std::string incident_details(const Alert& alert) {
  std::string text;
  if (!alert.summary.empty()) text += "    " + alert.summary + "\n";
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < std::min(kShown, alert.features.size()); ++i) {
    const Alert::Feature& feature = alert.features[i];
    if (alert.summary.find(feature.name + " ") != std::string::npos) continue;  // said already
    text += fmt::format("    {:3.0f} %  {}\n", feature.share * 100, feature_text(feature));
  }
  if (alert.type == AlertType::kAnomaly) {
    text += fmt::format(
        "    score {:.3g} against {:.3g}, p = {:.1e}{}\n", alert.score, alert.threshold,
        alert.p_value, alert.provisional ? ", provisional: the series is still being learned" : "");
  }
  return text;
}

}  // namespace anomalyd::tools
