#include "tools/drifting_set.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "tools/fleet.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kMachines = 6;
constexpr std::size_t kTrainRows = 3000, kRows = 12'000;
constexpr std::size_t kShiftRow = 4500;  // before the first of three retrainings
constexpr std::size_t kFaultsEach = 7;   // one of each kind
constexpr std::string_view kGroups[] = {"steady", "level_shift", "slow_drift"};

// Where each channel goes: about as far as from night to day, but out of step with the others.
constexpr std::array<double, Fleet::kNumChannels> kShift = {0, 12, 8, 9, -8, 0, 20, 0};

Fleet::Options options_of(std::string_view group) {
  const auto seed = static_cast<std::uint64_t>(std::ranges::find(kGroups, group) - kGroups);
  const std::chrono::seconds period{60};
  return {.machines = kMachines,
          .period = period,
          .span = period * kRows,
          .clean = period * kTrainRows,
          .day = period * 720,
          .start = Dataset::kOrigin,
          .faults = kMachines * kFaultsEach,
          .seed = seed + 1};
}

/// How much of the change has come about.
double changed(std::string_view group, std::size_t row) {
  if (row < kTrainRows || group == "steady") return 0;
  if (group == "level_shift") return row < kShiftRow ? 0 : 1;
  return static_cast<double>(row - kTrainRows) / static_cast<double>(kRows - kTrainRows);
}

LabelledSeries series_of(const Dataset::Entry& entry) {
  const Fleet::Options options = options_of(entry.group);
  Fleet fleet{options};
  LabelledSeries series;
  series.channels = Fleet::channels();
  while (const auto row = fleet.next()) {
    if (fleet.name(row->machine) != entry.entity) continue;
    const auto at = static_cast<std::size_t>((row->time - options.start) / options.period);
    series.times.push_back(row->time);
    series.t.push_back(
        std::chrono::floor<std::chrono::seconds>(row->time.time_since_epoch()).count());
    for (std::size_t c = 0; c < row->values.size(); ++c) {
      series.values.push_back(row->values[c] + changed(entry.group, at) * kShift[c]);
    }
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
