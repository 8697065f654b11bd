#include "tools/truth.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <functional>
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

/// A line of a CSV file of intervals; `fields` are in the order that was asked for.
struct Line {
  const CsvFile& csv;
  std::span<const std::string_view> fields;
  EventTime start;
  EventTime end;
};

/// Reads a CSV file with these columns, of which the second and third are the times of the first
/// and the last row. Errors: kInvalid with file and line, and those of `take`.
Status read_lines(const std::filesystem::path& path, const std::vector<std::string_view>& names,
                  const std::function<Status(const Line&)>& take) {
  auto csv = CsvFile::open(path);
  if (!csv) return Failure{csv.error()};
  std::vector<std::size_t> columns;
  for (const std::string_view& name : names) {
    const auto column = csv->find_column({&name, 1});
    if (!column) {
      return csv->fail_here(
          fmt::format("no column '{}'; expected {}", name, fmt::join(names, ",")));
    }
    columns.push_back(*column);
  }
  std::vector<std::string_view> fields(names.size());
  while (true) {
    const auto more = csv->next();
    if (!more) return Failure{more.error()};
    if (!*more) return {};
    for (std::size_t i = 0; i < names.size(); ++i) fields[i] = csv->fields()[columns[i]];
    const auto start = parse_time(fields[1]);
    if (!start) return csv->fail_here("start: " + start.error().message);
    const auto end = parse_time(fields[2]);
    if (!end) return csv->fail_here("end: " + end.error().message);
    if (*end < *start) {
      return csv->fail_here(
          fmt::format("end is {}; expected {} or later, as start", fields[2], fields[1]));
    }
    if (Status taken = take({*csv, fields, *start, *end}); !taken) return taken;
  }
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
  std::vector<Fault> faults;
  const auto read = read_lines(path, {"series", "start", "end"}, [&](const Line& line) -> Status {
    if (std::ranges::find(series, line.fields[0]) == series.end()) {
      return line.csv.fail_here(fmt::format("no series '{}'; expected one like '{}'",
                                            line.fields[0], series.empty() ? "" : series.front()));
    }
    faults.push_back({"labelled", std::string{line.fields[0]}, {}, line.start, line.end});
    return {};
  });
  if (!read) return Failure{read.error()};
  return faults;
}

Result<std::vector<pipeline::Label>> read_labels(const std::filesystem::path& path,
                                                 LabelNames names) {
  std::vector<pipeline::Label> labels;
  if (names == LabelNames::kAny && path.extension() == ".json") {
    const auto truth = read_truth(path);
    if (!truth) return Failure{truth.error()};
    for (const Fault& fault : truth->faults) {
      labels.push_back({fault.series, fault.start, fault.end, fault.kind});
    }
    return labels;
  }
  const auto read =
      read_lines(path, {"series", "start", "end", "label"}, [&](const Line& line) -> Status {
        const std::string_view name = line.fields[3];
        const bool is_known = names == LabelNames::kAny || name == kNormalClass ||
                              name.starts_with(kBenignClass) || name.starts_with(kFaultClass);
        if (!is_known) {
          return line.csv.fail_here(fmt::format(
              "label is '{}'; expected 'normal', 'benign: NAME' or 'fault: NAME'", name));
        }
        labels.push_back({std::string{line.fields[0]}, line.start, line.end, std::string{name}});
        return {};
      });
  if (!read) return Failure{read.error()};
  return labels;
}

}  // namespace anomalyd::tools
