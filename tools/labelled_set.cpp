#include "tools/labelled_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

namespace anomalyd::tools {
namespace {

using SeriesByName = std::map<std::string, LabelledSeries, std::less<>>;

Result<SeriesByName> read_rows(RowSource& source) {
  SeriesByName all;
  while (true) {
    const auto row = source.next();
    if (!row) return Failure{row.error()};
    if (!*row) return all;
    const SourceRow& one = **row;
    auto place = all.find(one.series);
    if (place == all.end()) {
      place = all.try_emplace(std::string{one.series}).first;
      place->second.channels.assign(one.channels.begin(), one.channels.end());
    }
    LabelledSeries& series = place->second;
    if (!std::ranges::equal(series.channels, one.channels)) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("series '{}': {} columns that differ from its {} before; expected "
                              "the same in every file",
                              one.series, one.channels.size(), series.channels.size()));
    }
    series.times.push_back(one.time);
    series.values.insert(series.values.end(), one.values.begin(), one.values.end());
    series.labels.push_back(0);
  }
}

/// Times as they will be written: seconds since 1970, or microseconds where seconds are too coarse.
std::vector<std::int64_t> numbers_of(const std::vector<EventTime>& times) {
  using std::chrono::seconds;
  const bool whole = std::ranges::all_of(
      times, [](EventTime time) { return time == std::chrono::floor<seconds>(time); });
  std::vector<std::int64_t> numbers;
  for (const EventTime time : times) {
    const auto since = time.time_since_epoch();
    numbers.push_back(whole ? std::chrono::floor<seconds>(since).count() : since.count());
  }
  return numbers;
}

Result<std::size_t> training_rows(const std::string& name, const std::vector<EventTime>& times,
                                  const TrainingPart& training) {
  const auto rows = static_cast<double>(times.size());
  const auto end = training.until
                       ? static_cast<std::size_t>(
                             std::ranges::find_if(
                                 times, [&](EventTime time) { return time >= *training.until; }) -
                             times.begin())
                       : static_cast<std::size_t>(rows * training.share);
  if (end > 0 && end < times.size()) return end;
  return fail(ErrorKind::kInvalid,
              fmt::format("series '{}': {} of its {} rows are to be learned from, which leaves {}; "
                          "expected some of both (it has {} to {})",
                          name, end, times.size(), times.size() - end, to_rfc3339(times.front()),
                          to_rfc3339(times.back())));
}

/// Marks the rows of an interval; returns whether one of them is judged.
bool mark(LabelledSeries& series, std::size_t train_end, const Fault& fault) {
  bool judged = false;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series.times[i] < fault.start || series.times[i] > fault.end) continue;
    series.labels[i] = 1;
    judged = judged || i >= train_end;
  }
  return judged;
}

}  // namespace

LabelledSet labelled_folder(Dataset dataset) {
  auto entries = dataset.entries();
  return {.entries = std::move(entries),
          .read = [dataset = std::move(dataset)](const Dataset::Entry& entry) {
            return dataset.read(entry);
          }};
}

Result<LabelledSet> labelled_csv(std::vector<std::filesystem::path> files,
                                 const CsvColumns& columns, const std::filesystem::path& intervals,
                                 const TrainingPart& training) {
  auto source = csv_rows(std::move(files), columns);
  if (!source) return Failure{source.error()};
  auto rows = read_rows(**source);
  if (!rows) return Failure{rows.error()};

  const auto all = std::make_shared<SeriesByName>(*std::move(rows));
  LabelledSet set;
  std::vector<std::string> names;
  for (auto& [name, series] : *all) {
    const auto train_end = training_rows(name, series.times, training);
    if (!train_end) return Failure{train_end.error()};
    series.t = numbers_of(series.times);
    names.push_back(name);
    set.entries.push_back({.file = {},
                           .group = "csv",
                           .entity = name,
                           .rows = series.size(),
                           .train_end = *train_end});
  }
  const auto faults = read_intervals(intervals, names);
  if (!faults) return Failure{faults.error()};
  for (const Fault& fault : *faults) {
    const auto entry = std::ranges::find(set.entries, fault.series, &Dataset::Entry::entity);
    if (!mark(all->at(fault.series), entry->train_end, fault)) ++set.unmet;
  }
  set.read = [all](const Dataset::Entry& entry) -> Result<LabelledSeries> {
    return all->at(entry.entity);
  };
  return set;
}

}  // namespace anomalyd::tools
