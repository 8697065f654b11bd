#include "daemon/pipeline/retraining.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

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
  const double usual = std::max(static_cast<double>(report.champion_alerts),
                                budget_per_row * static_cast<double>(report.rows));
  const double bound = usual + 3 * std::sqrt(usual + 1);
  const std::string figures =
      fmt::format("{} rows, {} alerts of the challenger and {} of the champion, at most {:.1f}",
                  report.rows, report.challenger_alerts, report.champion_alerts, bound);
  if (static_cast<double>(report.challenger_alerts) > bound) {
    return {Outcome::kAlarmHappy, figures};
  }
  const bool long_enough = options.shadow_time.count() == 0 ||
                           (report.rows > 0 && report.newest - report.first >= options.shadow_time);
  if (report.rows >= options.shadow_rows && long_enough) return {Outcome::kPromote, figures};
  if (elapsed < options.shadow_deadline) return {Outcome::kGoesOn, figures};
  return {
      Outcome::kStarved,
      fmt::format("{} rows in {} s; expected {} that span {} s", report.rows,
                  elapsed.count() / 1000, options.shadow_rows,
                  std::chrono::duration_cast<std::chrono::seconds>(options.shadow_time).count())};
}

std::string incident_diff(const PartitionPipeline::ShadowReport& report,
                          std::chrono::microseconds slack) {
  using Incident = PartitionPipeline::ShadowReport::Incident;
  const auto has_twin = [&](const Incident& one) {
    return std::ranges::any_of(report.incidents, [&](const Incident& other) {
      return other.of_challenger != one.of_challenger && other.series == one.series &&
             other.start - one.start <= slack && one.start - other.start <= slack;
    });
  };
  std::size_t both = 0, champion = 0, challenger = 0;
  for (const Incident& one : report.incidents) {
    if (has_twin(one)) {
      both += one.of_challenger ? 0 : 1;
    } else {
      ++(one.of_challenger ? challenger : champion);
    }
  }
  return fmt::format("{} incidents of both, {} of the champion alone, {} of the challenger alone",
                     both, champion, challenger);
}

}  // namespace anomalyd::pipeline
