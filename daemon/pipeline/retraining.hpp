#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/pipeline/normal_rows.hpp"
#include "daemon/pipeline/partition_pipeline.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/pipeline/retraining_options.hpp"

namespace anomalyd::pipeline {

/// What a challenger is made of, and what it is measured on.
struct RetrainingRows {
  std::vector<History> learned;  ///< By series: what it is fitted to and calibrated on.
  std::vector<History> unseen;   ///< By series: the newest rows, which it does not see.
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
/// the champion, or those that the budget per row allows if that is more, by what chance explains:
/// three standard deviations of a Poisson count.
[[nodiscard]] ShadowRuling rule_shadow(const PartitionPipeline::ShadowReport& report,
                                       std::chrono::milliseconds elapsed, double budget_per_row,
                                       const RetrainingOptions& options);

/// What the incidents of both are in words: how many both opened, and each alone.
[[nodiscard]] std::string incident_diff(const PartitionPipeline::ShadowReport& report,
                                        std::chrono::microseconds slack);

}  // namespace anomalyd::pipeline
