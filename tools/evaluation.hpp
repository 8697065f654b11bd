#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/model.hpp"
#include "daemon/pipeline/gate_options.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "tools/dataset.hpp"
#include "tools/figures.hpp"
#include "tools/pipeline_run.hpp"

namespace anomalyd::tools {

/// What the pipeline said of each row of a series; NaN where it said nothing.
struct ScoredRows {
  std::vector<double> scores;
  std::vector<double> p_values;
  std::vector<double> thresholds;
  std::vector<std::uint8_t> alerts;
  std::vector<Alert> incidents;           ///< Anomalies, by start, as their last message told them.
  std::vector<Retraining> retrainings{};  ///< Each with its end: promoted, or why not.
};

struct EvaluationOptions {
  pipeline::PipelineOptions pipeline{};  ///< Training rows are those before `train_end`.
  std::vector<std::filesystem::path> checkpoints{};  ///< Judge with these; none: learn.
  std::size_t block_rows = 4096;  ///< 1..100000. Rows taken in, and scored, at once.
  /// 0..1000. Retrainings at equal distances behind `train_end`, by the options of the pipeline;
  /// but a shadow ends after a quarter of the way to the next one.
  std::size_t retrainings = 0;
  pipeline::GateOptions gate{};
};

/// Streams a series in order through the production pipeline: learned from the rows before
/// `train_end`, then judged row by row. Labels are out of sight.
///
/// `done` is told now and then how many rows are behind. Errors: those of training and scoring.
[[nodiscard]] Result<ScoredRows> score_series(const SeriesRows& series, const std::string& id,
                                              std::size_t train_end,
                                              const EvaluationOptions& options,
                                              ModelFactory& factory,
                                              const std::function<void(std::size_t)>& done);

/// The rows from `train_end` on, as figures see them. A row without a verdict of its own keeps the
/// score of the newest row before it, and is no alert; one that repeats a time has the verdict
/// of that time.
[[nodiscard]] JudgedRows judged_rows(const LabelledSeries& series, const ScoredRows& scored,
                                     std::size_t train_end);

/// Writes `t,score,alert,pvalue`, a line for each row with a score. Scores keep all digits, so
/// that figures computed from the file are those that `measure` gives.
[[nodiscard]] Status write_scores(const std::filesystem::path& path, const SeriesRows& series,
                                  const ScoredRows& scored);

}  // namespace anomalyd::tools
