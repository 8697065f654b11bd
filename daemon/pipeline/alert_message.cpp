#include "daemon/pipeline/alert_message.hpp"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kMaxNamed = 3;
constexpr double kMinShare = 0.1;  // channels with less are not worth a person's time

std::string with_unit(double value, const std::string& unit) {
  const std::string number = fmt::format("{:.4g}", value);
  return unit.empty() ? number : fmt::format("{} {}", number, unit);
}

std::string length_text(EventTime::duration length) {
  const double seconds = std::chrono::duration<double>{length}.count();
  if (seconds < 120) return fmt::format("{:.3g} s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{:.3g} min", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{:.3g} h", seconds / 3600);
  return fmt::format("{:.3g} d", seconds / 86400);
}

std::string channels_text(const Alert& alert) {
  std::string text;
  std::size_t named = 0;
  for (const Alert::Feature& feature : alert.features) {
    if (named == kMaxNamed || (named > 0 && feature.share < kMinShare)) break;
    const std::string expected =
        std::isnan(feature.expected)
            ? ""
            : fmt::format(" where {} was expected", with_unit(feature.expected, feature.unit));
    text += fmt::format("{}{} {}{} ({:.0f} % of the score)", named == 0 ? "" : "; ", feature.name,
                        with_unit(feature.observed, feature.unit), expected, 100 * feature.share);
    ++named;
  }
  return named == 0 ? fmt::format("score {:.3g} over {:.3g}", alert.score, alert.threshold) : text;
}

int fault_severity(AlertType type) {
  switch (type) {
    case AlertType::kSilentSeries:
    case AlertType::kStuckSensor: return 50;
    case AlertType::kClockSkew:
    case AlertType::kChangedChannels: return 40;
    case AlertType::kGap: return 30;
    case AlertType::kAnomaly: break;
  }
  return 0;
}

}  // namespace

std::string incident_id(std::string_view series, AlertType type, EventTime start) {
  const std::string named =
      fmt::format("{}\n{}\n{}", series, to_string(type), start.time_since_epoch().count());
  const XXH128_hash_t hash = XXH3_128bits(named.data(), named.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

int severity_of(double p_value, double magnitude, int rows) {
  const double rarity = std::min(1.0, -std::log10(std::max(p_value, 1e-12)) / 9);
  const double size = std::clamp(magnitude / 4, 0.0, 1.0);
  const double length = std::min(1.0, std::log10(1.0 + std::max(rows, 0)) / 3);
  return static_cast<int>(std::lround(30 * rarity + 55 * size + 15 * length));
}

std::string summary_of(const Alert& alert) {
  std::string channels = channels_text(alert);
  if (!alert.window_class.empty()) channels += " (" + alert.window_class + ")";
  const std::string learning = alert.provisional ? ", still learning this series" : "";
  if (!alert.end) return channels + learning;
  return fmt::format("over after {}: {}{}", length_text(*alert.end - alert.start), channels,
                     learning);
}

Alert data_fault_alert(std::string_view series, const DataFaults::Event& event, EventTime time,
                       Offset offset) {
  Alert alert;
  alert.id = incident_id(series, event.type, event.start);
  alert.type = event.type;
  alert.state = event.state;
  alert.series = series;
  alert.start = event.start;
  alert.time = time;
  if (event.state == AlertState::kResolve) alert.end = time;
  alert.severity = fault_severity(event.type);
  alert.rule = "data_fault";
  alert.summary = event.detail;
  alert.first_offset = offset;
  alert.last_offset = offset;
  return alert;
}

}  // namespace anomalyd::pipeline
