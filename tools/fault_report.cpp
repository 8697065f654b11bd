#include "tools/fault_report.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <tuple>

#include "tools/progress.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

double seconds(std::chrono::microseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

bool blames(const Alert& incident, const Fault& fault) {
  if (incident.type != AlertType::kAnomaly) return true;  // a data fault names no feature
  return !incident.features.empty() &&
         std::ranges::find(fault.channels, incident.features.front().name) != fault.channels.end();
}

/// Time that counts, added over the series, in weeks.
double judged_weeks(const KnownFaults& known) {
  const Truth& truth = known.truth;
  if (truth.num_series == 0) return truth.series_weeks;
  using Weeks = std::chrono::duration<double, std::chrono::weeks::period>;
  const auto series = static_cast<double>(truth.num_series);
  const auto end = truth.start + std::chrono::round<std::chrono::microseconds>(
                                     Weeks{truth.series_weeks / series});
  const Weeks judged = std::min(end, known.before) - std::max(truth.start, known.since);
  return series * judged.count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace

void TruthArguments::add_to(CLI::App& command) {
  command.add_option("--truth", file, "Compare with the known faults that `produce --truth` wrote");
  command
      .add_option("--slack", slack,
                  "With --truth: how late behind its end a fault still counts as found")
      ->capture_default_str();
  command.add_option("--since", since, "With --truth: only faults and incidents of this time on");
  command.add_option("--before", before, "With --truth: only those before this time");
}

Result<std::optional<KnownFaults>> TruthArguments::load() const {
  KnownFaults known;
  const auto allowed = parse_duration(slack);
  if (!allowed) return Failure{allowed.error()};
  known.slack = *allowed;
  for (const auto& [text, option, time] : {std::tuple{&since, "--since", &known.since},
                                           std::tuple{&before, "--before", &known.before}}) {
    if (text->empty()) continue;
    const auto parsed = parse_time(*text);
    if (!parsed) return fail(Error{parsed.error()}, option);
    *time = *parsed;
  }
  if (file.empty()) return std::nullopt;
  auto truth = read_truth(file);
  if (!truth) return Failure{truth.error()};
  known.truth = *std::move(truth);
  return known;
}

FaultReport compare(const IncidentBook& book, const KnownFaults& known) {
  const Truth& truth = known.truth;
  const auto counts = [&](EventTime time) { return known.since <= time && time < known.before; };
  FaultReport report;
  for (const Fault& fault : truth.faults) {
    report.faults.push_back({.fault = fault, .incident = {}, .delay = {}, .right_channel = false});
  }
  for (const Alert& incident : book.incidents()) {
    const EventTime reported = book.reported(incident.id);
    const EventTime last_seen = incident.end.value_or(incident.time);
    if (reported < truth.start) continue;
    bool expected = false;
    for (FaultReport::Line& line : report.faults) {
      const Fault& fault = line.fault;
      const bool belongs = incident.series == fault.series && last_seen >= fault.start &&
                           reported <= fault.end + known.slack;
      if (!belongs) continue;
      expected = true;
      if (line.incident && book.reported(line.incident->id) <= reported) continue;
      line.incident = incident;
      line.delay = std::max(reported - fault.start, std::chrono::microseconds{0});
      line.right_channel = blames(incident, fault);
    }
    if (!counts(reported)) continue;
    ++report.num_incidents;
    if (!expected) report.false_alerts.push_back(incident);
  }
  std::erase_if(report.faults,
                [&](const FaultReport::Line& line) { return !counts(line.fault.start); });
  if (const double weeks = judged_weeks(known); weeks > 0) {
    report.incidents_per_week = static_cast<double>(report.num_incidents) / weeks;
  }
  return report;
}

std::string report_table(const FaultReport& report, const std::string& budget) {
  std::string text =
      fmt::format("{:<11} {:<22} {:<12} {:<19} {:>7}  {:<7} {:>7}  {}\n", "fault", "series",
                  "channel", "start (UTC)", "lasts", "result", "delay", "blamed channel");
  std::size_t found = 0;
  std::vector<double> delays;
  for (const auto& [fault, incident, delay, right_channel] : report.faults) {
    std::string start = to_rfc3339(fault.start).substr(0, 19);
    start[10] = ' ';
    text += fmt::format("{:<11} {:<22} {:<12} {} {:>7}  ", fault.kind, fault.series,
                        fault.channels.empty() ? "-" : fault.channels.front(), start,
                        short_duration(seconds(fault.end - fault.start)));
    if (!incident) {
      text += "missed\n";
      continue;
    }
    ++found;
    delays.push_back(seconds(delay));
    const std::string blamed = incident->features.empty() ? std::string{to_string(incident->type)}
                                                          : incident->features.front().name;
    text += fmt::format("{:<7} {:>7}  {}{}\n", "found", short_duration(seconds(delay)), blamed,
                        right_channel || fault.channels.empty() ? "" : " (another)");
  }
  text += fmt::format("\nfaults found      {} of {}\n", found, report.faults.size());
  text += fmt::format("missed            {}\n", report.faults.size() - found);
  text += fmt::format("false alerts      {}\n", report.false_alerts.size());
  if (!delays.empty())
    text += fmt::format("median delay      {}\n", short_duration(median(delays)));
  text += fmt::format(
      "achieved rate     {:.2f} incidents per series per week ({:.2f} per day), faults included\n",
      report.incidents_per_week, report.incidents_per_week / 7);
  if (!budget.empty()) text += fmt::format("budget            {}\n", budget);
  return text;
}

}  // namespace anomalyd::tools
