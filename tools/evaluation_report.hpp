#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/evaluation.hpp"
#include "tools/figures_file.hpp"

namespace anomalyd::tools {

/// Draws an evaluation as one HTML page that loads nothing from elsewhere: for each series the
/// channels that were blamed most, score against threshold, events found and missed, incidents
/// with their worst features.
///
/// Series are reduced to so many pixels as they are added (extremes are kept), so rows need not
/// stay in memory and the page stays below some 30 MB whatever the data set.
class EvaluationReport {
 public:
  /// `num_series` is how many will be added.
  explicit EvaluationReport(std::size_t num_series);

  /// Adds the rows from `train_end` on, in place `index`.
  void add(std::size_t index, std::size_t train_end, const LabelledSeries& series,
           const ScoredRows& scored, const SeriesFigures& figures);

  /// Errors: kInvalid when the file cannot be written.
  [[nodiscard]] Status write(const std::filesystem::path& path, const Evaluated& evaluated,
                             double alpha) const;

 private:
  std::size_t pixels_;
  std::vector<std::string> series_;  // JSON, one object each
};

}  // namespace anomalyd::tools
