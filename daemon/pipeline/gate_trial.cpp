#include "daemon/pipeline/gate_trial.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <random>
#include <set>
#include <utility>

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kLeastRowsOfSeries = 64;
constexpr std::size_t kLeastRowsBeforeFault = 8;
constexpr std::size_t kRowsForFault = 48;    // the longest one
constexpr std::size_t kRowsBehindFault = 8;  // in which it still counts as found
constexpr std::size_t kMostPlaces = 32;      // in a series, to begin a fault at
constexpr std::size_t kFaultsAtOnce = 64;    // histories held in memory
constexpr std::size_t kProbedSeries = 8;
constexpr std::size_t kProbedRows = 16;
constexpr double kMostCells = 2e7;  // residuals held in memory, of each candidate

std::int64_t last_time(const LearnedGroup& group, const std::string& series) {
  return group.find(series)->windower.last_time().time_since_epoch().count();
}

/// Whether `first_time` comes right behind the rows that this series was learned from.
bool goes_on(const LearnedGroup& group, const std::string& series, std::int64_t first_time) {
  const auto period = group.find(series)->windower.period().count();
  return period > 0 && first_time - last_time(group, series) <= period + period / 2;
}

std::vector<GateRows::PlacedFault> draw_faults(const GateRows& rows, const GateOptions& gate) {
  std::vector<GateRows::PlacedFault> faults;
  std::mt19937_64 random{gate.seed};
  // Where faults may begin: few enough places in a series, that its state is kept at each.
  struct Place {
    std::size_t series;
    std::size_t row;
  };
  std::vector<Place> places;
  const std::size_t wanted = gate.faults * kFaultTypes.size();
  for (std::size_t s = 0; s < rows.series.size(); ++s) {
    const auto& series = rows.series[s];
    const std::size_t first = series.warm + kLeastRowsBeforeFault;
    if (series.rows.size() < first + kRowsForFault / 2) continue;
    const std::size_t room = series.rows.size() - first - kRowsForFault / 2;
    const std::size_t count = std::clamp<std::size_t>(wanted / rows.series.size() + 1, 1,
                                                      std::min(kMostPlaces, room / 4 + 1));
    for (std::size_t i = 0; i < count; ++i) {
      places.push_back({s, first + (2 * i + 1) * room / (2 * count)});
    }
  }
  if (places.empty()) return faults;
  for (const FaultType type : kFaultTypes) {
    std::size_t drawn = 0;
    for (std::size_t i = 0; drawn < gate.faults && i < 4 * gate.faults; ++i) {
      const Place& place = places[random() % places.size()];
      const auto& series = rows.series[place.series];
      const auto fault =
          draw_fault(type, series.rows, series.scaler, place.row, series.rows.size(), random());
      if (!fault) continue;
      faults.push_back({place.series, *fault});
      ++drawn;
    }
  }
  return faults;
}

}  // namespace

GateRows choose_rows(const LearnedGroup& challenger, const LearnedGroup* champion,
                     const UnseenBlock& block, const PipelineOptions& pipeline,
                     const GateOptions& gate) {
  struct Chosen {
    const History* history;
    std::size_t first;
    bool goes_on;
  };
  std::vector<Chosen> all;
  for (const History& history : block.histories) {
    if (challenger.find(history.series) == nullptr || history.size() == 0) continue;
    if (champion != nullptr && champion->find(history.series) == nullptr) continue;
    std::int64_t seen = last_time(challenger, history.series);
    if (champion != nullptr) seen = std::max(seen, last_time(*champion, history.series));
    const auto first = std::ranges::upper_bound(history.times, seen);
    if (first == history.times.end()) continue;
    const bool connected = goes_on(challenger, history.series, *first) &&
                           (champion == nullptr || goes_on(*champion, history.series, *first));
    all.push_back({&history, static_cast<std::size_t>(first - history.times.begin()), connected});
  }
  GateRows chosen;
  if (all.empty()) return chosen;

  const std::size_t context =
      std::max(challenger.info.context, champion == nullptr ? 0 : champion->info.context);
  const std::size_t members = std::max(challenger.info.members.size(),
                                       champion == nullptr ? 0 : champion->info.members.size());
  const double cells = static_cast<double>(members * challenger.info.channels.size());
  const auto most = static_cast<std::size_t>(
      std::min(static_cast<double>(gate.max_rows), std::max(500.0, kMostCells / cells)));
  // Of a large fleet every so many series: a few rows of each would all fill windows.
  const std::size_t num_series =
      std::min(all.size(), std::max<std::size_t>(1, most / kLeastRowsOfSeries));
  const std::size_t rows_each = std::max(kLeastRowsOfSeries, most / num_series);
  for (std::size_t i = 0; i < num_series; ++i) {
    const auto& [history, first, connected] = all[i * all.size() / num_series];
    const std::size_t available = history->size() - first;
    const bool cut = available > rows_each + (connected ? 0 : context);
    const bool restart = cut || !connected;
    const std::size_t begin = cut ? history->size() - rows_each - context : first;
    GateRows::Series series{rows_of(*history, begin, history->size(), restart), {}, 0};
    series.scaler = fit_scaler(series.rows, pipeline.training);
    series.warm = restart ? std::min(series.rows.size(), context - 1) : 0;
    chosen.judged += series.rows.size() - series.warm;
    chosen.series.push_back(std::move(series));
  }
  chosen.faults = draw_faults(chosen, gate);
  return chosen;
}

GateTrial::GateTrial(Candidate candidate, const GateRows& rows, const PipelineOptions& pipeline)
    : candidate_{std::move(candidate)},
      rows_{rows},
      pipeline_{pipeline},
      found_(rows.faults.size()) {}

Status GateTrial::probe(const std::function<Status()>& may_go_on) {
  std::deque<ReplayTrack> states;
  std::vector<Passage> passages;
  for (const auto& series : rows_.series) {
    if (passages.size() == kProbedSeries) break;
    states.push_back(*replay_track(*candidate_.group, series.rows.series, pipeline_));
    passages.push_back(
        {&states.back(), &series.rows, 0, std::min(series.rows.size(), series.warm + kProbedRows)});
  }
  return replay(*candidate_.scorer, passages, pipeline_, {.may_go_on = may_go_on},
                [&](const ReplayedRow& row) {
                  bad_values_ = bad_values_ || !std::ranges::all_of(row.residuals, [](float r) {
                                  return std::isfinite(r);
                                });
                });
}

Status GateTrial::run(const std::function<Status()>& may_go_on) {
  const std::size_t stride = model().members.size() * model().channels.size();
  std::vector<ReplayTrack> states;
  std::vector<std::set<std::size_t>> stops(rows_.series.size());
  for (const auto& [series, fault] : rows_.faults) stops[series].insert(fault.first);
  std::size_t rounds = 1;
  std::vector<std::uint64_t> suppressed;
  for (std::size_t s = 0; s < rows_.series.size(); ++s) {
    const auto& series = rows_.series[s];
    states.push_back(*replay_track(*candidate_.group, series.rows.series, pipeline_));
    suppressed.push_back(states.back().track.detector.suppressed_alerts());
    records_.push_back({std::vector<float>(series.rows.size() * stride, NAN),
                        std::vector<char>(series.rows.size(), 0)});
    stops[s].insert(series.rows.size());
    rounds = std::max(rounds, stops[s].size());
  }
  std::vector<std::size_t> at(rows_.series.size(), 0);
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<Passage> passages;
    std::vector<std::size_t> series_of;
    for (std::size_t s = 0; s < rows_.series.size(); ++s) {
      if (stops[s].empty()) continue;
      const std::size_t end = stops[s].extract(stops[s].begin()).value();
      passages.push_back({&states[s], &rows_.series[s].rows, at[s], end});
      series_of.push_back(s);
      at[s] = end;
    }
    Status status = replay(*candidate_.scorer, passages, pipeline_, {.may_go_on = may_go_on},
                           [&](const ReplayedRow& row) {
                             if (row.verdict == nullptr) return;
                             Record& record = records_[series_of[row.passage]];
                             ++record.judged;
                             record.busy[row.row] = row.verdict->condition || row.opened ? 1 : 0;
                             condition_rows_ += row.verdict->condition ? 1 : 0;
                             onsets_ += row.opened ? 1 : 0;
                             std::ranges::copy(row.residuals,
                                               record.residuals.begin() +
                                                   static_cast<std::ptrdiff_t>(row.row * stride));
                             for (const float r : row.residuals)
                               bad_values_ = bad_values_ || !std::isfinite(r);
                           });
    if (!status) return status;
    for (const std::size_t s : series_of) {
      if (at[s] < rows_.series[s].rows.size()) snapshots_.emplace(Place{s, at[s]}, states[s]);
    }
  }
  for (std::size_t s = 0; s < states.size(); ++s) {
    const auto* known = candidate_.group->find(rows_.series[s].rows.series);
    const double per_row =
        pipeline_.detector_for(known->windower.period(), candidate_.group->series.size()).budget;
    judged_ += records_[s].judged;
    budget_ += per_row * static_cast<double>(records_[s].judged);
    onsets_ += states[s].track.detector.suppressed_alerts() - suppressed[s];
  }
  return {};
}

Status GateTrial::run_faults(const std::function<Status()>& may_go_on) {
  for (std::size_t begin = 0; begin < rows_.faults.size(); begin += kFaultsAtOnce) {
    const std::size_t end = std::min(rows_.faults.size(), begin + kFaultsAtOnce);
    std::deque<History> histories;
    std::deque<ReplayTrack> states;
    std::vector<Passage> passages;
    for (std::size_t i = begin; i < end; ++i) {
      const auto& [s, fault] = rows_.faults[i];
      History rows = rows_.series[s].rows;
      inject(rows, fault, rows_.series[s].scaler);
      const std::size_t last = std::min(rows.size(), fault.end() + kRowsBehindFault);
      histories.push_back(rows_of(rows, fault.first, last, false));
      states.push_back(snapshots_.at({s, fault.first}));
      passages.push_back({&states.back(), &histories.back(), 0, histories.back().size()});
    }
    Status status = replay(*candidate_.scorer, passages, pipeline_, {.may_go_on = may_go_on},
                           [&](const ReplayedRow& row) {
                             if (row.opened) found_[begin + row.passage] = 1;
                           });
    if (!status) return status;
  }
  return {};
}

std::vector<float> GateTrial::residuals(std::size_t series, std::span<const std::size_t> members,
                                        const Candidate& unit) const {
  const History& rows = rows_.series[series].rows;
  const Scaler& scaler = candidate_.group->find(rows.series)->track.scaler;
  const Scaler& units = unit.group->find(rows.series)->track.scaler;
  const std::size_t channels = model().channels.size(), all = model().members.size();
  std::vector<float> values;
  values.reserve(rows.size() * members.size() * channels);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double seconds =
        i == 0 ? NAN : static_cast<double>(rows.times[i] - rows.times[i - 1]) * 1e-6;
    for (const std::size_t m : members) {
      for (std::size_t c = 0; c < channels; ++c) {
        const double centre = scaler.restore(c, 0), scale = scaler.restore(c, 1) - centre;
        double factor = scale / (units.restore(c, 1) - units.restore(c, 0));
        // One counts a channel's rate, the other its value: an error of the rate is one of the next
        // value.
        if (scaler.is_counter(c) && !units.is_counter(c)) factor *= seconds;
        if (!scaler.is_counter(c) && units.is_counter(c)) factor /= seconds;
        const double raw = rows.rows[i * channels + c];
        double residual =
            static_cast<double>(records_[series].residuals[(i * all + m) * channels + c]);
        if (std::isnan(raw)) residual = NAN;
        const double scaled = (raw - centre) / scale, clip = static_cast<double>(Scaler::kClip);
        if (!scaler.is_counter(c) && std::abs(scaled) > clip) {
          residual += scaled - std::clamp(scaled, -clip, clip);
        }
        values.push_back(static_cast<float>(residual * factor));
      }
    }
  }
  return values;
}

bool GateTrial::is_quiet_around(const GateRows::PlacedFault& placed) const {
  const auto& [series, fault] = placed;
  // An incident that has just been resolved opens again instead of a new one.
  const int rows_to_rest = pipeline_.incidents.resolve_rows + pipeline_.incidents.merge_rows +
                           pipeline_.incidents.cool_down_rows;
  const auto before = static_cast<std::size_t>(rows_to_rest);
  const std::vector<char>& busy = records_[series].busy;
  const std::size_t first = fault.first - std::min(fault.first, before);
  const std::size_t end = std::min(busy.size(), fault.end() + kRowsBehindFault);
  return std::all_of(busy.begin() + static_cast<std::ptrdiff_t>(first),
                     busy.begin() + static_cast<std::ptrdiff_t>(end),
                     [](char b) { return b == 0; });
}

}  // namespace anomalyd::pipeline
