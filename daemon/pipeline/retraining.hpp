#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/pipeline/gate.hpp"
#include "daemon/pipeline/normal_rows.hpp"
#include "daemon/pipeline/partition_pipeline.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/pipeline/retrain_policy.hpp"
#include "daemon/pipeline/retraining_options.hpp"

namespace anomalyd::pipeline {

/// What a challenger is made of, and what it is measured on.
struct RetrainingRows {
  std::vector<History> learned;  ///< By series: what it is fitted to and calibrated on.
  std::vector<History> unseen;   ///< By series: the newest rows, which it does not see.
  std::size_t num_series = 0;    ///< There were.
  std::size_t seen = 0;          ///< Rows there were.
  std::array<std::size_t, kNumLeftOut> left_out{};  ///< Of them, by LeftOut.

  [[nodiscard]] std::size_t num_rows() const noexcept;
};

/// Whether rows that people call faults are learned from: by models that tell them apart.
enum class Faults : std::uint8_t { kLeftOut, kLearned };

/// Sorts out the rows of a group: `series` holds the chunks of each. Series with too few rows to
/// learn from are left out. In the order of their names, so that a run can be repeated.
[[nodiscard]] RetrainingRows retraining_rows(std::span<const std::vector<JudgedRows>> series,
                                             std::span<const Label> labels,
                                             std::span<const RowInterval> excluded,
                                             const PipelineOptions& options,
                                             Faults faults = Faults::kLeftOut);

/// The rows of each series behind those that were learned from, whatever was thought of them but
/// for data faults: what a live stream would have brought.
[[nodiscard]] std::vector<History> rows_behind(std::span<const History> learned,
                                               std::span<const std::vector<JudgedRows>> series,
                                               const PipelineOptions& options);

/// A challenger, and the champion as it is compared with.
struct Contenders {
  Learned challenger;
  Candidate champion;  ///< Without a scorer if there was none to compare with.
};

/// Trains a challenger from `rows`, its networks from those of the champion if the start is warm,
/// and calibrates the champion on the same rows, so that both have memories and tails of the same
/// age. The champion's scorer may be null: then there is none to compare with, and the start is
/// cold.
///
/// Errors: those of learn and calibrate.
[[nodiscard]] Result<Contenders> train_challenger(std::span<const History> rows,
                                                  const Candidate& champion, TrainingStart start,
                                                  ModelFactory& factory,
                                                  const PipelineOptions& options,
                                                  const ProgressFn& progress,
                                                  const std::stop_token& stop);

/// In place of a live shadow: runs the newest rows that neither has learned from through both, at
/// most `gate.max_rows`. Errors: those of replay.
[[nodiscard]] Result<PartitionPipeline::ShadowReport> replay_shadow(const Candidate& challenger,
                                                                    const Candidate& champion,
                                                                    std::span<const History> rows,
                                                                    const GateContext& context);

/// How a challenger in the shadow of the champion stands.
struct ShadowRuling {
  enum class Outcome : std::uint8_t {
    kGoesOn,
    kPromote,
    kAlarmHappy,  ///< It alerts more than the champion and the budget allow for.
    kStarved,     ///< Too few rows came before the deadline: the champion stays.
  };
  Outcome outcome = Outcome::kGoesOn;
  std::string sentence;  ///< Why, with figures.
};
[[nodiscard]] std::string_view to_string(ShadowRuling::Outcome outcome);

/// Rules on a shadow that has lasted for `elapsed`. Alerts of the challenger may exceed those of
/// the champion, or those that the budget allows if that is more, by what chance explains: three
/// standard deviations of a Poisson count.
[[nodiscard]] ShadowRuling rule_shadow(const PartitionPipeline::ShadowReport& report,
                                       std::chrono::milliseconds elapsed, double budget_per_row,
                                       const RetrainingOptions& options);

/// The same on one whose length the caller has chosen: it does not go on, and never starves.
[[nodiscard]] ShadowRuling rule_ended_shadow(const PartitionPipeline::ShadowReport& report,
                                             double budget_per_row,
                                             const RetrainingOptions& options);

/// How the rows of a group come, for what is said in rows and meant in time.
struct Pace {
  std::chrono::microseconds slack;  ///< What a window spans: incidents so near are the same.
  double budget_per_row;            ///< Alerts that the budget allows for.
};
[[nodiscard]] Pace pace_of(const LearnedGroup& group, const PipelineOptions& options);

/// The incidents that two models open among the same rows.
struct IncidentDiff {
  std::uint64_t rows = 0;
  std::size_t both = 0;
  std::size_t champion = 0;                                      ///< Of the champion alone.
  std::size_t challenger = 0;                                    ///< Of the challenger alone.
  std::vector<PartitionPipeline::ShadowReport::Incident> alone;  ///< Those two, by time.
};
[[nodiscard]] IncidentDiff incident_diff(const PartitionPipeline::ShadowReport& report,
                                         std::chrono::microseconds slack);
/// In words: how many both opened, and each alone.
[[nodiscard]] std::string to_text(const IncidentDiff& diff);

}  // namespace anomalyd::pipeline
