#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "tools/dataset.hpp"
#include "tools/fleet.hpp"
#include "tools/truth.hpp"

namespace anomalyd::tools {

/// A row on its way to a topic. The views live until the next row is asked for.
struct SourceRow {
  std::string_view group;  ///< Names the topic, where one topic per group is wanted.
  std::string_view series;
  EventTime time;
  std::span<const Channel> channels;  ///< The same memory for all rows of a group.
  std::span<const double> values;     ///< One per channel; NaN where missing.
};

/// Rows of one or more series in the order in which they are published: that of their time.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// The next row; nullopt at the end.
  [[nodiscard]] virtual Result<std::optional<SourceRow>> next() = 0;
  /// How many rows there are; 0 when that is not known.
  [[nodiscard]] virtual std::size_t num_rows() const = 0;
  [[nodiscard]] virtual std::vector<std::string> groups() const = 0;
  /// What is known to be wrong in these rows; nothing for data without labels.
  [[nodiscard]] virtual Truth truth() const { return {}; }
};

[[nodiscard]] std::unique_ptr<RowSource> fleet_rows(const Fleet::Options& options);

/// Which rows of labelled series are published.
enum class DatasetPart { kAll, kTraining, kTest };

/// The series of a folder, read whole and merged by the time since the start of each. Series are
/// named "<group>/<entity>".
[[nodiscard]] Result<std::unique_ptr<RowSource>> dataset_rows(const Dataset& dataset,
                                                              DatasetPart part);

struct CsvColumns {
  std::string time;    ///< Empty: the first of t, ts, time, timestamp, date, datetime.
  std::string series;  ///< Empty: every file is one series and gives it its name.
};
/// CSV files one after the other. Columns whose first cell is no number are left out, and so is
/// one called `label`.
[[nodiscard]] Result<std::unique_ptr<RowSource>> csv_rows(std::vector<std::filesystem::path> files,
                                                          const CsvColumns& columns);

/// This host's metrics, one row every `period`: next() waits for it. Ends when `stop` is set.
[[nodiscard]] std::unique_ptr<RowSource> host_rows(std::chrono::milliseconds period,
                                                   const std::atomic<bool>& stop);

}  // namespace anomalyd::tools
