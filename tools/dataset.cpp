#include "tools/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tools/csv_file.hpp"

namespace anomalyd::tools {
namespace {

Dataset::Entry parse_entry(const nlohmann::json& json) {
  using Time = Dataset::Entry::Time;
  Dataset::Entry entry;
  entry.file = json.at("file");
  entry.group = json.at("group");
  entry.entity = json.at("entity");
  entry.rows = json.at("rows");
  entry.train_end = json.at("train_end");
  entry.period = std::chrono::seconds{json.at("period_s").get<std::int64_t>()};
  const std::string time = json.at("time");
  entry.time = time == "real" ? Time::kReal : time == "index" ? Time::kIndex : Time::kSynthetic;
  return entry;
}

EventTime event_time(std::int64_t t, const Dataset::Entry& entry) {
  using Time = Dataset::Entry::Time;
  switch (entry.time) {
    case Time::kReal: return EventTime{std::chrono::seconds{t}};
    case Time::kSynthetic: return Dataset::kOrigin + std::chrono::seconds{t};
    case Time::kIndex: return Dataset::kOrigin + t * entry.period;
  }
  return {};
}

}  // namespace

Result<Dataset> Dataset::open(const std::filesystem::path& folder) {
  const auto path = folder / "manifest.json";
  std::ifstream file{path};
  if (!file) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: no such file; expected a folder with manifest.json and gzip CSV",
                            path.string()));
  }
  Dataset dataset;
  dataset.folder_ = folder;
  try {
    const auto manifest = nlohmann::json::parse(file);
    for (const auto& item : manifest) dataset.entries_.push_back(parse_entry(item));
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: entry {}: {}", path.string(),
                                                 dataset.entries_.size(), error.what()));
  }
  return dataset;
}

Status Dataset::keep_only(const std::string& names) {
  if (names.empty()) return {};
  std::vector<bool> wanted(entries_.size(), false);
  std::istringstream list{names};
  for (std::string name; std::getline(list, name, ',');) {
    bool found = false;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      if (entry.group != name && entry.entity != name && entry.id() != name) continue;
      wanted[i] = found = true;
    }
    if (!found) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: no group or entity '{}'; expected one of its manifest.json",
                              folder_.string(), name));
    }
  }
  std::vector<Entry> kept;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (wanted[i]) kept.push_back(std::move(entries_[i]));
  }
  entries_ = std::move(kept);
  return {};
}

Result<LabelledSeries> Dataset::read(const Entry& entry) const {
  auto csv = CsvFile::open(folder_ / entry.file);
  if (!csv) return Failure{csv.error()};
  const auto& header = csv->header();
  if (header.size() < 3 || header.front() != "t" || header.back() != "label") {
    return csv->fail_here("another header; expected t,<channel>...,label");
  }
  LabelledSeries series;
  for (std::size_t i = 1; i + 1 < header.size(); ++i) series.channels.push_back({header[i], ""});
  series.values.reserve(entry.rows * series.channels.size());

  while (true) {
    const auto more = csv->next();
    if (!more) return Failure{more.error()};
    if (!*more) break;
    const auto fields = csv->fields();
    std::int64_t t = 0;
    const auto parsed = std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), t);
    if (parsed.ec != std::errc{}) {
      return csv->fail_here(fmt::format("t is '{}'; expected integer seconds", fields[0]));
    }
    series.t.push_back(t);
    series.times.push_back(event_time(t, entry));
    for (std::size_t i = 1; i + 1 < fields.size(); ++i) {
      const auto value = parse_cell(fields[i]);
      if (!value) {
        return csv->fail_here(
            fmt::format("{} is '{}'; expected a number or nothing", header[i], fields[i]));
      }
      series.values.push_back(*value);
    }
    if (fields.back() != "0" && fields.back() != "1") {
      return csv->fail_here(fmt::format("label is '{}'; expected 0 or 1", fields.back()));
    }
    series.labels.push_back(fields.back() == "1" ? 1 : 0);
  }
  if (series.size() != entry.rows) {
    return csv->fail_here(
        fmt::format("{} rows; expected {} as in manifest.json", series.size(), entry.rows));
  }
  return series;
}

}  // namespace anomalyd::tools
