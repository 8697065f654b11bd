#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "daemon/pipeline/alert_budget.hpp"
#include "daemon/pipeline/data_faults.hpp"
#include "daemon/pipeline/detector.hpp"
#include "daemon/pipeline/incident_policy.hpp"
#include "daemon/pipeline/labels.hpp"
#include "daemon/pipeline/retraining_options.hpp"
#include "daemon/pipeline/windower.hpp"

namespace anomalyd::pipeline {

/// When and from what a series is learned.
struct TrainingOptions {
  std::size_t rows = 2000;  ///< 64..1000000. Rows of a series that make its training set.
  /// 64..rows. A new series of a known group starts after these.
  std::size_t provisional_rows = 128;
  double calibration_share = 0.3;  ///< 0.1..0.5. The newest of them, kept out of fitting.
  bool detect_counters = true;     ///< Whether channels that only grow become rates per second.
  std::size_t pooled_series = 64;  ///< 1..1000. Series whose rows calibrate new ones.
  /// 0..10. Rows, as a share of `rows`, that finished series wait for slower ones of their group
  /// before training starts.
  double patience = 0.5;
  bool record = false;  ///< Whether judged rows are handed out, so that they can be learned from.
  std::vector<Label> labels{};  ///< What people have said of rows, for models that learn it.

  /// Rows of a series with which training waits for no other.
  [[nodiscard]] std::size_t enough_rows() const noexcept {
    return rows + static_cast<std::size_t>(patience * static_cast<double>(rows));
  }
};

/// Everything that decides what the pipeline does with a sample.
struct PipelineOptions {
  Windower::Options window;
  DataFaults::Options faults;
  Detector::Options detector;  ///< Alpha and budget per row are filled in from `budget`.
  IncidentPolicy::Options incidents;
  AlertBudget budget;
  TrainingOptions training;
  RetrainingOptions retraining;

  /// The detector's options for one of `num_series` series with this time between rows.
  [[nodiscard]] Detector::Options detector_for(std::chrono::microseconds period,
                                               std::size_t num_series) const {
    Detector::Options options = detector;
    const auto one = std::chrono::microseconds{1};
    options.budget = budget.per_row(std::max(period, one), std::max<std::size_t>(num_series, 1));
    if (budget.rows) options.alpha = options.budget;
    return options;
  }
};

}  // namespace anomalyd::pipeline
