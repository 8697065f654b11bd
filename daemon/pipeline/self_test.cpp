#include "daemon/pipeline/self_test.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kRowsBefore = 8;    // judged, before a fault begins
constexpr std::size_t kRowsBehind = 8;    // a fault's end, in which it still counts as found
constexpr std::size_t kRowsOfFault = 48;  // of the longest one
constexpr double kLeastTrials = 0.01;     // of less nothing is told

}  // namespace

Result<std::optional<SelfTestTrial>> try_fault(Scorer& scorer, const ReplayTrack& before,
                                               const History& rows, FaultType type,
                                               std::uint64_t seed, const PipelineOptions& options,
                                               const ReplayOptions& how) {
  const bool restarts = !rows.gaps.empty() && rows.gaps.front() == History::kRestart;
  const std::size_t first = (restarts ? scorer.info().context : 0) + kRowsBefore;
  if (rows.size() < first + kRowsOfFault / 2) return std::nullopt;
  const std::size_t places = rows.size() - first - kRowsOfFault / 2 + 1;
  const Scaler scaler = fit_scaler(rows, options.training);
  const auto fault = draw_fault(type, rows, scaler, first + seed % places, rows.size(), seed);
  if (!fault) return std::nullopt;
  const std::size_t end = std::min(rows.size(), fault->end() + kRowsBehind);

  // An incident that goes on, or would open again, hides whether the fault opens one.
  const int rows_to_rest = options.incidents.resolve_rows + options.incidents.merge_rows +
                           options.incidents.cool_down_rows;
  const auto quiet_rows = static_cast<std::size_t>(rows_to_rest);
  bool quiet = true;
  // Nor is a fault judged while the window fills behind a gap.
  bool judged = false;
  const auto watch = [&](const ReplayedRow& row) {
    judged = judged || (row.verdict != nullptr && row.row < fault->first &&
                        row.row + options.window.stride >= fault->first);
    if (row.verdict == nullptr || row.row + quiet_rows < fault->first) return;
    quiet = quiet && !row.verdict->condition && !row.opened;
  };
  ReplayTrack state = before;
  const Passage towards{&state, &rows, 0, fault->first};
  if (Status ok = replay(scorer, {&towards, 1}, options, how, watch); !ok) {
    return Failure{std::move(ok.error())};
  }
  ReplayTrack without = state;
  const Passage past{&without, &rows, fault->first, end};
  if (Status ok = replay(scorer, {&past, 1}, options, how, watch); !ok) {
    return Failure{std::move(ok.error())};
  }
  if (!quiet || !judged || state.incidents.is_open()) return std::nullopt;

  History faulty = rows;
  inject(faulty, *fault, scaler);
  SelfTestTrial trial{.fault = *fault};
  const Passage through{&state, &faulty, fault->first, end};
  Status ok = replay(scorer, {&through, 1}, options, how, [&](const ReplayedRow& row) {
    if (!row.opened || trial.found) return;
    trial.found = true;
    trial.delay = row.row - fault->first;
  });
  if (!ok) return Failure{std::move(ok.error())};
  return trial;
}

Result<std::vector<SelfTestTrial>> try_faults(Scorer& scorer, const LiveSample& sample,
                                              const PipelineOptions& options,
                                              const ReplayOptions& how) {
  std::vector<SelfTestTrial> trials;
  auto seed = static_cast<std::uint64_t>(sample.rows.offsets.empty() ? 0 : sample.rows.offsets[0]);
  for (const FaultType type : kFaultTypes) {
    auto trial = try_fault(scorer, sample.before, sample.rows, type, seed += 0x9E3779B97F4A7C15U,
                           options, how);
    if (!trial) return Failure{std::move(trial.error())};
    if (*trial) trials.push_back(**trial);
  }
  return trials;
}

SelfTestRecord::Sums SelfTestRecord::faded(Sums sums, MonotonicTime now) const {
  const double seconds = std::chrono::duration<double>(now - sums.as_of).count();
  const double share =
      std::exp(-std::max(0.0, seconds) / std::chrono::duration<double>(options_.memory).count());
  return {now, sums.trials * share, sums.found * share, sums.delays * share};
}

void SelfTestRecord::add(const std::string& group, const std::string& version,
                         const SelfTestTrial& trial, MonotonicTime now) {
  std::erase_if(sums_,
                [&](const auto& entry) { return faded(entry.second, now).trials < kLeastTrials; });
  Sums& sums = sums_[{group, version, trial.fault.type}];
  sums = faded(sums, now);
  sums.trials += 1;
  sums.found += trial.found ? 1 : 0;
  sums.delays += trial.found ? static_cast<double>(trial.delay) : 0;
}

std::vector<SelfTestRecord::Figures> SelfTestRecord::figures(MonotonicTime now) const {
  std::vector<Figures> all;
  for (const auto& [key, then] : sums_) {
    const Sums sums = faded(then, now);
    if (sums.trials < kLeastTrials) continue;
    constexpr double kZ = 1.96;
    const double n = sums.trials, recall = sums.found / n, spread = kZ * kZ / n;
    const double centre = (recall + spread / 2) / (1 + spread);
    const double half = kZ / (1 + spread) * std::sqrt(recall * (1 - recall) / n + spread / (4 * n));
    all.push_back(
        {key.group, key.version, key.type, n, recall, std::max(0.0, centre - half),
         std::min(1.0, centre + half),
         sums.found > 0 ? sums.delays / sums.found : std::numeric_limits<double>::quiet_NaN()});
  }
  return all;
}

}  // namespace anomalyd::pipeline
