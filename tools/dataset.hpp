#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd::tools {

/// The rows of a series, whole: all that a detector may see.
struct SeriesRows {
  std::vector<Channel> channels;
  std::vector<std::int64_t> t;  ///< As in the file.
  std::vector<EventTime> times;
  std::vector<double> values;  ///< [rows x channels], row-major; NaN where missing.

  [[nodiscard]] std::size_t size() const noexcept { return times.size(); }
  [[nodiscard]] std::span<const double> row(std::size_t i) const {
    return std::span{values}.subspan(i * channels.size(), channels.size());
  }
};

/// Rows with their labels, which are for final figures only.
struct LabelledSeries : SeriesRows {
  std::vector<std::uint8_t> labels;  ///< One per row: 1 is anomalous.
};

/// A folder of labelled series: `manifest.json` and one gzip CSV `t,<channel>...,label` each.
///
/// Series without real timestamps (`time` is not "real") are placed at `kOrigin`, since a row of
/// 1970 would be rejected as absurd further down the line.
class Dataset {
 public:
  /// What the manifest says of one series.
  struct Entry {
    std::string file;
    std::string group;
    std::string entity;
    std::size_t rows = 0;
    std::size_t train_end = 0;  ///< Rows before this one may be learned from.
    std::chrono::seconds period{1};
    enum class Time { kReal, kSynthetic, kIndex } time = Time::kReal;

    /// Unique in the folder: "smd/machine-1-6".
    [[nodiscard]] std::string id() const { return group + "/" + entity; }
  };
  static constexpr EventTime kOrigin = std::chrono::sys_days{std::chrono::January / 1 / 2024};

  /// Reads the manifest. Errors: kInvalid, naming file and entry.
  [[nodiscard]] static Result<Dataset> open(const std::filesystem::path& folder);

  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }

  /// Leaves only entries whose group, entity or id is in `names`, a comma-separated list; an empty
  /// one keeps all. Errors: kInvalid for a name that nothing has.
  [[nodiscard]] Status keep_only(const std::string& names);

  /// Reads the rows of an entry. Errors: kInvalid with file and line.
  [[nodiscard]] Result<LabelledSeries> read(const Entry& entry) const;

 private:
  std::filesystem::path folder_;
  std::vector<Entry> entries_;
};

}  // namespace anomalyd::tools
