#include "tools/events.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace anomalyd::tools {
namespace {

// The standard profile of NAB. A missed event costs as much as a perfect alert earns.
constexpr double kHit = 1.0;
constexpr double kMiss = 1.0;
constexpr double kFalseAlert = 0.11;

/// NAB's scaled sigmoid: from 1 far before the end of a window, through 0 at its end, to -1 far
/// behind.
double sigmoid(double position) {
  return position > 3 ? -1.0 : 2 / (1 + std::exp(5 * position)) - 1;
}

/// Where `row` lies: -1 at the start of the event, 0 at its last row.
double position(std::size_t row, const RowRange& event) {
  const auto width = static_cast<double>(event.end - event.begin);
  return (static_cast<double>(row) - static_cast<double>(event.end - 1)) / std::max(1.0, width - 1);
}

/// The rows that begin an alert, as NAB counts them; of those in an event only the first.
std::vector<std::size_t> onsets(std::span<const std::uint8_t> labels,
                                std::span<const std::uint8_t> alerts, const FigureRules& rules) {
  std::vector<std::size_t> rows;
  std::optional<std::size_t> last;
  std::size_t begun = 0;
  bool alerted_in_event = false;
  for (std::size_t i = 0; i < alerts.size(); ++i) {
    if (labels[i] == 0) alerted_in_event = false;
    if (alerts[i] == 0) continue;
    const bool begins = !last || i - *last > rules.gap || i - begun >= rules.repeat;
    if (begins) begun = i;
    last = i;
    const bool counts = labels[i] == 0 ? begins : !alerted_in_event;
    if (counts) rows.push_back(i);
    if (labels[i] != 0) alerted_in_event = true;
  }
  return rows;
}

}  // namespace

std::vector<RowRange> runs_of(std::span<const std::uint8_t> flags, std::size_t gap) {
  std::vector<RowRange> runs;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i] == 0) continue;
    const bool joins = !runs.empty() && i - runs.back().end <= gap;
    if (joins) {
      runs.back().end = i + 1;
    } else {
      runs.push_back({i, i + 1});
    }
  }
  return runs;
}

std::vector<EventFinding> find_events(std::span<const std::uint8_t> labels,
                                      std::span<const std::uint8_t> alerts,
                                      const FigureRules& rules) {
  const auto alarms = runs_of(alerts, rules.gap);
  std::vector<EventFinding> findings;
  auto alarm = alarms.begin();
  for (const RowRange& event : runs_of(labels)) {
    while (alarm != alarms.end() && alarm->end <= event.begin) ++alarm;
    EventFinding finding{.rows = event, .found = false, .delay = {}};
    finding.found = alarm != alarms.end() && alarm->begin < event.end;
    const auto decisions = alerts.subspan(event.begin, event.end - event.begin);
    const auto hit = std::ranges::find(decisions, 1);
    if (hit != decisions.end()) {
      finding.delay = static_cast<std::size_t>(hit - decisions.begin());
    }
    findings.push_back(finding);
  }
  return findings;
}

NabPoints& NabPoints::operator+=(const NabPoints& other) noexcept {
  gain += other.gain;
  range += other.range;
  return *this;
}

double NabPoints::score() const noexcept {
  return range > 0 ? 100 * gain / range : std::numeric_limits<double>::quiet_NaN();
}

NabPoints nab_points(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> alerts,
                     const FigureRules& rules) {
  const auto events = runs_of(labels);
  NabPoints points{.gain = 0, .range = (kHit + kMiss) * static_cast<double>(events.size())};
  auto next = events.begin();  // the first event that does not end before the alert
  for (const std::size_t row : onsets(labels, alerts, rules)) {
    while (next != events.end() && next->end <= row) ++next;
    if (next != events.end() && next->begin <= row) {
      points.gain += kMiss + kHit * sigmoid(position(row, *next)) / sigmoid(-1);
    } else if (next == events.begin()) {
      points.gain -= kFalseAlert;
    } else {
      points.gain += kFalseAlert * sigmoid(position(row, *std::prev(next)));
    }
  }
  return points;
}

}  // namespace anomalyd::tools
