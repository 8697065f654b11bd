#include "daemon/pipeline/retraining.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/pipeline/gate_trial.hpp"
#include "daemon/pipeline/replay.hpp"

namespace anomalyd::pipeline {

std::size_t RetrainingRows::num_rows() const noexcept {
  std::size_t rows = 0;
  for (const History& history : learned) rows += history.size();
  return rows;
}

namespace {

/// The rows of `learned`, and faults that people have named up to its end. What is held out behind
/// it has none: it is to be normal.
History with_faults(std::span<const JudgedRows> chunks, std::span<const Label> labels,
                    std::span<const RowInterval> excluded, NormalRowsOptions wanted,
                    const History& learned) {
  wanted.with_faults = true;
  const History all = normal_rows(chunks, labels, excluded, wanted).history;
  const auto end = std::ranges::upper_bound(all.times, learned.times.back());
  History rows = rows_of(all, 0, static_cast<std::size_t>(end - all.times.begin()), false);
  rows.windower = learned.windower;
  return rows;
}

}  // namespace

RetrainingRows retraining_rows(std::span<const std::vector<JudgedRows>> series,
                               std::span<const Label> labels, std::span<const RowInterval> excluded,
                               const PipelineOptions& options, Faults faults) {
  const RetrainingOptions& retraining = options.retraining;
  NormalRowsOptions wanted;
  wanted.padding = options.window.length;
  wanted.max_gap = options.window.max_gap;
  wanted.settled = retraining.drift.cycle;
  wanted.rows = retraining.rows > 0 ? retraining.rows : 2 * options.training.rows;
  RetrainingRows all;
  all.num_series = series.size();
  for (const std::vector<JudgedRows>& chunks : series) {
    NormalRows normal = normal_rows(chunks, labels, excluded, wanted);
    all.seen += normal.seen;
    for (std::size_t i = 0; i < kNumLeftOut; ++i) all.left_out[i] += normal.left_out[i];
    auto [learned, unseen] = hold_out_newest(normal.history, retraining.unseen_share);
    if (learned.size() < options.training.provisional_rows) continue;
    if (faults == Faults::kLearned) {
      learned = with_faults(chunks, labels, excluded, wanted, learned);
    }
    all.learned.push_back(std::move(learned));
    if (unseen.size() > 0) all.unseen.push_back(std::move(unseen));
  }
  std::ranges::sort(all.learned, {}, &History::series);
  std::ranges::sort(all.unseen, {}, &History::series);
  return all;
}

std::vector<History> rows_behind(std::span<const History> learned,
                                 std::span<const std::vector<JudgedRows>> series,
                                 const PipelineOptions& options) {
  const Label anything{"", EventTime::min(), EventTime::max(), std::string{kNormalClass}};
  const NormalRowsOptions wanted{.padding = 0, .max_gap = options.window.max_gap};
  std::vector<History> newest;
  for (const std::vector<JudgedRows>& chunks : series) {
    if (chunks.empty()) continue;
    const auto of = std::ranges::find(learned, chunks.front().history.series, &History::series);
    if (of == learned.end()) continue;
    const History all = normal_rows(chunks, std::span{&anything, 1}, {}, wanted).history;
    const auto first = std::ranges::upper_bound(all.times, of->times.back());
    if (first == all.times.end()) continue;
    newest.push_back(
        rows_of(all, static_cast<std::size_t>(first - all.times.begin()), all.size(), false));
  }
  std::ranges::sort(newest, {}, &History::series);
  return newest;
}

Result<Contenders> train_challenger(std::span<const History> rows, const Candidate& champion,
                                    TrainingStart start, ModelFactory& factory,
                                    const PipelineOptions& options, const ProgressFn& progress,
                                    const std::stop_token& stop) {
  Contenders contenders{{}, champion};
  if (champion.scorer != nullptr) {
    auto calibrated = calibrate(*champion.scorer, rows, options, champion.group.get(), stop);
    if (!calibrated) return fail(std::move(calibrated.error()), "calibrating the champion");
    contenders.champion.group = *std::move(calibrated);
  }
  auto learned = learn(rows, champion.group->info.channels, factory, options, progress, stop,
                       start == TrainingStart::kWarm ? champion.scorer : nullptr);
  if (!learned) return fail(std::move(learned.error()), "training");
  contenders.challenger = *std::move(learned);
  return contenders;
}

Result<PartitionPipeline::ShadowReport> replay_shadow(const Candidate& challenger,
                                                      const Candidate& champion,
                                                      std::span<const History> rows,
                                                      const GateContext& context) {
  GateOptions no_faults = context.gate;
  no_faults.faults = 0;
  const GateRows chosen =
      choose_rows(*challenger.group, champion.group.get(), {challenger.group->info.channels, rows},
                  context.pipeline, no_faults);
  const auto may_go_on = [&]() -> Status {
    if (context.stop.stop_requested()) return fail(ErrorKind::kCancelled, "stopped");
    return {};
  };
  PartitionPipeline::ShadowReport report;
  for (const Candidate* candidate : {&champion, &challenger}) {
    const bool is_challenger = candidate == &challenger;
    std::uint64_t& alerts = is_challenger ? report.challenger_alerts : report.champion_alerts;
    std::vector<ReplayTrack> states;
    states.reserve(chosen.series.size());  // passages point at them
    std::vector<Passage> passages;
    std::uint64_t held_back = 0;  // before
    for (const GateRows::Series& series : chosen.series) {
      states.push_back(*replay_track(*candidate->group, series.rows.series, context.pipeline));
      held_back += states.back().track.detector.suppressed_alerts();
      passages.push_back({&states.back(), &series.rows, 0, series.rows.size()});
    }
    const auto on_row = [&](const ReplayedRow& row) {
      if (row.verdict == nullptr) return;
      const History& of = chosen.series[row.passage].rows;
      const EventTime time{std::chrono::microseconds{of.times[row.row]}};
      report.rows += is_challenger ? 1 : 0;
      report.first = std::min(report.first, time);
      report.newest = std::max(report.newest, time);
      if (row.opened) report.note(of.series, time, is_challenger);
    };
    auto done =
        replay(*candidate->scorer, passages, context.pipeline, {.may_go_on = may_go_on}, on_row);
    if (!done) return Failure{std::move(done.error())};
    for (const ReplayTrack& state : states) alerts += state.track.detector.suppressed_alerts();
    alerts -= held_back;
  }
  return report;
}

std::string_view to_string(ShadowRuling::Outcome outcome) {
  switch (outcome) {
    case ShadowRuling::Outcome::kGoesOn: return "goes_on";
    case ShadowRuling::Outcome::kPromote: return "promote";
    case ShadowRuling::Outcome::kAlarmHappy: return "shadow_alarm_happy";
    case ShadowRuling::Outcome::kStarved: return "shadow_starved";
  }
  return "goes_on";
}

ShadowRuling rule_shadow(const PartitionPipeline::ShadowReport& report,
                         std::chrono::milliseconds elapsed, double budget_per_row,
                         const RetrainingOptions& options) {
  using Outcome = ShadowRuling::Outcome;
  const bool long_enough = options.shadow_time.count() == 0 ||
                           (report.rows > 0 && report.newest - report.first >= options.shadow_time);
  const bool ended = report.rows >= options.shadow_rows && long_enough;
  // Before its end it may use up what the whole of it allows: a few rows say little.
  const auto rows = ended ? report.rows : std::max(report.rows, options.shadow_rows);
  const double usual = std::max(static_cast<double>(report.champion_alerts),
                                budget_per_row * static_cast<double>(rows));
  const double bound = usual + 3 * std::sqrt(usual + 1);
  const std::string figures =
      fmt::format("{} rows, {} alerts of the challenger and {} of the champion, at most {:.1f}",
                  report.rows, report.challenger_alerts, report.champion_alerts, bound);
  if (static_cast<double>(report.challenger_alerts) > bound) {
    return {Outcome::kAlarmHappy, figures};
  }
  if (ended) return {Outcome::kPromote, figures};
  if (elapsed < options.shadow_deadline) return {Outcome::kGoesOn, figures};
  return {
      Outcome::kStarved,
      fmt::format("{} rows in {} s; expected {} that span {} s", report.rows,
                  elapsed.count() / 1000, options.shadow_rows,
                  std::chrono::duration_cast<std::chrono::seconds>(options.shadow_time).count())};
}

ShadowRuling rule_ended_shadow(const PartitionPipeline::ShadowReport& report, double budget_per_row,
                               const RetrainingOptions& options) {
  RetrainingOptions enough = options;
  enough.shadow_rows = 0;
  enough.shadow_time = {};
  return rule_shadow(report, {}, budget_per_row, enough);
}

Pace pace_of(const LearnedGroup& group, const PipelineOptions& options) {
  const auto period = group.series.empty() ? std::chrono::microseconds{0}
                                           : group.series.begin()->second.windower.period();
  return {period * static_cast<std::int64_t>(options.window.length),
          options.detector_for(period, group.series.size()).budget};
}

IncidentDiff incident_diff(const PartitionPipeline::ShadowReport& report,
                           std::chrono::microseconds slack) {
  using Incident = PartitionPipeline::ShadowReport::Incident;
  const auto has_twin = [&](const Incident& one) {
    return std::ranges::any_of(report.incidents, [&](const Incident& other) {
      return other.of_challenger != one.of_challenger && other.series == one.series &&
             other.start - one.start <= slack && one.start - other.start <= slack;
    });
  };
  IncidentDiff diff;
  diff.rows = report.rows;
  for (const Incident& one : report.incidents) {
    if (has_twin(one)) {
      diff.both += one.of_challenger ? 0 : 1;
    } else {
      ++(one.of_challenger ? diff.challenger : diff.champion);
      diff.alone.push_back(one);
    }
  }
  std::ranges::stable_sort(diff.alone, {}, &Incident::start);
  return diff;
}

std::string to_text(const IncidentDiff& diff) {
  return fmt::format("{} incidents of both, {} of the champion alone, {} of the challenger alone",
                     diff.both, diff.champion, diff.challenger);
}

}  // namespace anomalyd::pipeline
