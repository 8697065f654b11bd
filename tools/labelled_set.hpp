#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "tools/dataset.hpp"
#include "tools/row_source.hpp"

namespace anomalyd::tools {

/// Labelled series to evaluate on: what there is, and how to get the rows of one. `read` may be
/// called by several threads at a time.
struct LabelledSet {
  std::vector<Dataset::Entry> entries;
  std::function<Result<LabelledSeries>(const Dataset::Entry&)> read;
  std::size_t unmet = 0;  ///< Intervals that hold no judged row, and so do not count.
};

/// The series of a folder.
[[nodiscard]] LabelledSet labelled_folder(Dataset dataset);

/// Which rows of a series are learned from: those before a time, or else a share of them, 0..1.
struct TrainingPart {
  std::optional<EventTime> until;
  double share = 0.5;
};

/// CSV files as `csv_rows` reads them, and a CSV file of intervals as `read_intervals` does. All
/// series are in the group "csv".
///
/// Errors: kInvalid with file and line; for a series whose columns differ between files, or that
/// has no rows to learn from or none to judge.
[[nodiscard]] Result<LabelledSet> labelled_csv(std::vector<std::filesystem::path> files,
                                               const CsvColumns& columns,
                                               const std::filesystem::path& intervals,
                                               const TrainingPart& training);

}  // namespace anomalyd::tools
