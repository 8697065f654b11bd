#pragma once

#include <functional>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "tools/dataset.hpp"

namespace anomalyd::tools {

/// What the detector said about one row of a series, in the order of the file.
struct EvaluatedRow {
  double score = 0;  ///< Of the last row that was judged, where this one was not.
  bool alert = false;
  double p_value = 1;
};

/// How a series is evaluated.
struct EvaluationOptions {
  pipeline::PipelineOptions pipeline;
  std::size_t batch_rows = 4096;  ///< >= 1. Rows that go through the pipeline at once.
};

/// Learns from the rows before `train_end`, then streams all others through the pipeline of the
/// daemon, in order. Labels are never looked at.
///
/// Rows of training get a score of 0. Errors: those of pipeline::learn and Scorer::score.
[[nodiscard]] Result<std::vector<EvaluatedRow>> evaluate_series(const Dataset::Entry& entry,
                                                                const LabelledSeries& series,
                                                                ModelFactory& factory,
                                                                const EvaluationOptions& options);

}  // namespace anomalyd::tools
