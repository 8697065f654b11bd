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
  const auto quiet_rows =
      static_cast<std::size_t>(options.incidents.resolve_rows + options.incidents.merge_rows +
                               options.incidents.cool_down_rows);
  bool quiet = true;
  const auto watch = [&](const ReplayedRow& row) {
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
  if (!quiet || state.incidents.is_open()) return std::nullopt;

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

FaultType SelfTestRecord::next_type(const std::string& group, const std::string& version,
                                    std::size_t num_channels, MonotonicTime now) const {
  FaultType next = FaultType::kSpike;
  double least = std::numeric_limits<double>::infinity();
  for (const FaultType type : kFaultTypes) {
    if (num_channels < 2 && needs_two_channels(type)) continue;
    const auto found = sums_.find({group, version, type});
    const double trials = found == sums_.end() ? 0 : faded(found->second, now).trials;
    if (trials >= least) continue;
    least = trials;
    next = type;
  }
  return next;
}

}  // namespace anomalyd::pipeline
