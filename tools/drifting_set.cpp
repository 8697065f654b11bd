#include "tools/drifting_set.hpp"

#include <algorithm>
#include <string_view>

#include "tools/fleet.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kMachines = 6;
constexpr std::size_t kTrainRows = 3000, kRows = 12'000;
constexpr std::size_t kShiftRow = 4500;  // before the first of three retrainings
constexpr std::size_t kFaultsEach = 7;   // one of each kind
constexpr std::string_view kGroups[] = {"steady", "level_shift", "slow_drift"};

Fleet::Options options_of(std::string_view group) {
  const auto seed = static_cast<std::uint64_t>(std::ranges::find(kGroups, group) - kGroups);
  const std::chrono::seconds period{60};
  Fleet::Options options{.machines = kMachines,
                         .period = period,
                         .span = period * kRows,
                         .clean = period * kTrainRows,
                         .day = period * 720,
                         .start = Dataset::kOrigin,
                         .faults = kMachines * kFaultsEach,
                         .seed = seed + 1};
  if (group == "level_shift") options.change = period * kShiftRow;
  if (group == "slow_drift") {
    options.change = options.clean;
    options.change_takes = options.span - options.clean;
  }
  return options;
}

LabelledSeries series_of(const Dataset::Entry& entry) {
  Fleet fleet{options_of(entry.group)};
  LabelledSeries series;
  series.channels = Fleet::channels();
  while (const auto row = fleet.next()) {
    if (fleet.name(row->machine) != entry.entity) continue;
    series.times.push_back(row->time);
    series.t.push_back(
        std::chrono::floor<std::chrono::seconds>(row->time.time_since_epoch()).count());
    series.values.insert(series.values.end(), row->values.begin(), row->values.end());
    series.labels.push_back(std::ranges::any_of(fleet.faults(), [&](const Fault& fault) {
      return fault.series == entry.entity && fault.start <= row->time && row->time <= fault.end;
    }));
  }
  return series;
}

}  // namespace

LabelledSet drifting_set() {
  LabelledSet set;
  for (const std::string_view group : kGroups) {
    const Fleet fleet{options_of(group)};
    for (std::size_t machine = 0; machine < kMachines; ++machine) {
      set.entries.push_back({.file = "",
                             .group = std::string{group},
                             .entity = fleet.name(machine),
                             .rows = kRows,
                             .train_end = kTrainRows,
                             .period = options_of(group).period});
    }
  }
  set.read = [](const Dataset::Entry& entry) -> Result<LabelledSeries> { return series_of(entry); };
  return set;
}

}  // namespace anomalyd::tools
