#include "tools/truth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tools/csv_file.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

EventTime time_at(const nlohmann::json& json, const char* key) {
  const auto time = parse_time(json.at(key).get<std::string>());
  if (!time) throw std::invalid_argument{time.error().message};
  return *time;
}

}  // namespace

Status write_truth(const std::filesystem::path& path, const Truth& truth) {
  auto faults = nlohmann::ordered_json::array();
  for (const Fault& fault : truth.faults) {
    faults.push_back({{"kind", fault.kind},
                      {"series", fault.series},
                      {"channels", fault.channels},
                      {"start", to_rfc3339(fault.start)},
                      {"end", to_rfc3339(fault.end)}});
  }
  const nlohmann::ordered_json json = {{"num_series", truth.num_series},
                                       {"start", to_rfc3339(truth.start)},
                                       {"series_weeks", truth.series_weeks},
                                       {"faults", faults}};
  std::ofstream file{path};
  file << json.dump(1) << '\n';
  if (!file.flush()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: cannot be written; expected a writable folder", path.string()));
  }
  return {};
}

Result<Truth> read_truth(const std::filesystem::path& path) {
  std::ifstream file{path};
  if (!file) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: no such file; expected what `produce --truth` wrote", path.string()));
  }
  try {
    const auto json = nlohmann::json::parse(file);
    Truth truth{.num_series = json.at("num_series"),
                .start = time_at(json, "start"),
                .series_weeks = json.at("series_weeks"),
                .faults = {}};
    for (const auto& fault : json.at("faults")) {
      truth.faults.push_back({.kind = fault.at("kind"),
                              .series = fault.at("series"),
                              .channels = fault.at("channels"),
                              .start = time_at(fault, "start"),
                              .end = time_at(fault, "end")});
    }
    return truth;
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", path.string(), error.what()));
  }
}

Result<std::vector<Fault>> read_intervals(const std::filesystem::path& path,
                                          std::span<const std::string> series) {
  auto csv = CsvFile::open(path);
  if (!csv) return Failure{csv.error()};
  constexpr std::string_view kNames[] = {"series", "start", "end"};
  std::size_t columns[std::size(kNames)] = {};
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    const auto column = csv->find_column({&kNames[i], 1});
    if (!column) {
      return csv->fail_here(fmt::format("no column '{}'; expected series,start,end", kNames[i]));
    }
    columns[i] = *column;
  }
  std::vector<Fault> faults;
  while (true) {
    const auto more = csv->next();
    if (!more) return Failure{more.error()};
    if (!*more) return faults;
    const auto field = [&](std::size_t i) { return csv->fields()[columns[i]]; };
    if (std::ranges::find(series, field(0)) == series.end()) {
      return csv->fail_here(fmt::format("no series '{}'; expected one like '{}'", field(0),
                                        series.empty() ? "" : series.front()));
    }
    const auto start = parse_time(field(1));
    if (!start) return csv->fail_here("start: " + start.error().message);
    const auto end = parse_time(field(2));
    if (!end) return csv->fail_here("end: " + end.error().message);
    if (*end < *start) {
      return csv->fail_here(
          fmt::format("end is {}; expected {} or later, as start", field(2), field(1)));
    }
    faults.push_back({"labelled", std::string{field(0)}, {}, *start, *end});
  }
}

}  // namespace anomalyd::tools
