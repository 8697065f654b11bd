#include "tools/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace anomalyd::tools {
namespace {

struct Run {
  std::size_t begin;
  std::size_t end;  // half-open
};

/// Runs of ones; those at most `gap` rows apart are joined.
std::vector<Run> runs_of(std::span<const std::uint8_t> flags, std::size_t gap = 0) {
  std::vector<Run> runs;
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

double median(std::vector<double> values) {
  if (values.empty()) return Figures::kNone;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double ratio(std::size_t part, std::size_t whole) {
  return whole == 0 ? Figures::kNone : static_cast<double>(part) / static_cast<double>(whole);
}

double f1_of(double recall, double precision) {
  if (std::isnan(recall) || std::isnan(precision) || recall * precision == 0) return 0;
  return 2 * recall * precision / (recall + precision);
}

struct Column {
  const char* name;
  const char* json_name;
  double Figures::*figure;
  int digits;
};
constexpr Column kColumns[] = {
    {"recall", "event_recall", &Figures::event_recall, 3},
    {"precision", "event_precision", &Figures::event_precision, 3},
    {"F1", "event_f1", &Figures::event_f1, 3},
    {"alert rate", "normal_row_alert_rate", &Figures::normal_alert_rate, 5},
    {"false/10k", "false_alerts_per_10k", &Figures::false_alerts_per_10k, 2},
    {"delay", "median_delay", &Figures::median_delay, 1},
};

nlohmann::ordered_json to_json(const Figures& figures) {
  nlohmann::ordered_json json;
  for (const Column& column : kColumns) {
    const double value = figures.*column.figure;
    if (std::isnan(value)) {
      json[column.json_name] = nullptr;
    } else {
      json[column.json_name] = value;
    }
  }
  return json;
}

}  // namespace

Figures measure(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> alerts,
                const FigureRules& rules) {
  const auto events = runs_of(labels);
  // A gap of zero would join nothing but touching runs, and those are one run already.
  const auto alarms = runs_of(alerts, rules.gap);
  std::vector<std::uint8_t> alarmed(labels.size(), 0);
  std::size_t good = 0;
  std::size_t wrong = 0;
  for (const Run& alarm : alarms) {
    std::fill(alarmed.begin() + static_cast<std::ptrdiff_t>(alarm.begin),
              alarmed.begin() + static_cast<std::ptrdiff_t>(alarm.end), std::uint8_t{1});
    const auto span = labels.subspan(alarm.begin, alarm.end - alarm.begin);
    const auto inside = static_cast<std::size_t>(std::ranges::count(span, 1));
    if (inside > 0) ++good;
    wrong += (span.size() - inside) / rules.repeat + (inside == 0 ? 1 : 0);
  }

  std::vector<std::uint8_t> near(labels.begin(), labels.end());
  std::vector<double> delays;
  std::size_t found = 0;
  for (const Run& event : events) {
    const auto first = alarmed.begin() + static_cast<std::ptrdiff_t>(event.begin);
    const auto last = alarmed.begin() + static_cast<std::ptrdiff_t>(event.end);
    if (std::find(first, last, 1) != last) ++found;
    const auto decisions = alerts.subspan(event.begin, event.end - event.begin);
    const auto hit = std::ranges::find(decisions, 1);
    if (hit != decisions.end()) delays.push_back(static_cast<double>(hit - decisions.begin()));
    const std::size_t from = event.begin - std::min(event.begin, rules.buffer);
    const std::size_t to = std::min(event.end + rules.buffer, labels.size());
    for (std::size_t i = from; i < to; ++i) near[i] = 1;
  }
  std::size_t normal = 0;
  std::size_t alerted = 0;
  for (std::size_t i = 0; i < near.size(); ++i) {
    if (near[i] != 0) continue;
    ++normal;
    alerted += alerts[i];
  }

  Figures result;
  result.event_recall = ratio(found, events.size());
  result.event_precision = ratio(good, good + wrong);
  if (alarms.empty() && !events.empty()) result.event_precision = 0;
  result.event_f1 = f1_of(result.event_recall, result.event_precision);
  result.normal_alert_rate = ratio(alerted, normal);
  result.false_alerts_per_10k = ratio(wrong * 10000, labels.size());
  result.median_delay = median(std::move(delays));
  return result;
}

Figures mean(std::span<const Figures> figures) {
  Figures result;
  for (const Column& column : kColumns) {
    double sum = 0;
    std::size_t count = 0;
    for (const Figures& one : figures) {
      if (std::isnan(one.*column.figure)) continue;
      sum += one.*column.figure;
      ++count;
    }
    if (count > 0) result.*column.figure = sum / static_cast<double>(count);
  }
  return result;
}

std::vector<GroupFigures> by_group(std::span<const SeriesFigures> series) {
  std::vector<GroupFigures> groups;
  for (const SeriesFigures& one : series) {
    if (std::ranges::find(groups, one.group, &GroupFigures::group) == groups.end()) {
      groups.push_back({.group = one.group, .num_series = 0, .figures = {}});
    }
  }
  std::vector<Figures> of_groups;
  for (GroupFigures& group : groups) {
    std::vector<Figures> members;
    for (const SeriesFigures& one : series) {
      if (one.group == group.group) members.push_back(one.figures);
    }
    group.num_series = members.size();
    group.figures = mean(members);
    of_groups.push_back(group.figures);
  }
  groups.push_back({.group = "MACRO", .num_series = series.size(), .figures = mean(of_groups)});
  return groups;
}

std::string figures_table(std::span<const GroupFigures> groups) {
  std::string text = fmt::format("{:<14}{:>4}", "group", "n");
  for (const Column& column : kColumns) text += fmt::format("{:>12}", column.name);
  text += '\n';
  for (const GroupFigures& group : groups) {
    text += fmt::format("{:<14}{:>4}", group.group, group.num_series);
    for (const Column& column : kColumns) {
      const double value = group.figures.*column.figure;
      text += std::isnan(value) ? fmt::format("{:>12}", "-")
                                : fmt::format("{:>12.{}f}", value, column.digits);
    }
    text += '\n';
  }
  return text;
}

std::string figures_json(std::span<const SeriesFigures> series) {
  nlohmann::ordered_json json;
  json["series"] = nlohmann::ordered_json::array();
  for (const SeriesFigures& one : series) {
    nlohmann::ordered_json item = {
        {"group", one.group}, {"entity", one.entity}, {"rows", one.rows}};
    item.update(to_json(one.figures));
    json["series"].push_back(std::move(item));
  }
  for (const GroupFigures& group : by_group(series)) {
    json["groups"][group.group] = to_json(group.figures);
  }
  return json.dump(1);
}

}  // namespace anomalyd::tools
