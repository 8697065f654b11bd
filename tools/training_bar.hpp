#pragma once

#include <stop_token>

#include "daemon/core/model.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {

/// Shows how far a training run is, and stops it when someone interrupts the program.
class TrainingBar {
 public:
  /// For ModelFactory::train, with `stop_token`; refers to this bar.
  [[nodiscard]] ProgressFn callback();
  [[nodiscard]] std::stop_token stop_token() const { return stop_.get_token(); }
  /// The run has reached its end.
  void finish();

 private:
  static constexpr std::size_t kSteps = 1000;

  std::stop_source stop_;
  Progress progress_{"training", "", kSteps};
};

}  // namespace anomalyd::tools
