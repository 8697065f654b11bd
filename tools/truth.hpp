#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/labels.hpp"

namespace anomalyd::tools {

/// Something that truly went wrong in a series: what a detector should find.
struct Fault {
  std::string kind;  ///< "spike", "level", ...; "labelled" when it comes from a data folder.
  std::string series;
  std::vector<std::string> channels;  ///< Empty when unknown.
  EventTime start;                    ///< Of the first faulty row.
  EventTime end;                      ///< Of the last one.
  bool operator==(const Fault&) const = default;
};

/// What is known of a published stream, so that alerts about it can be judged.
struct Truth {
  std::size_t num_series = 0;
  EventTime start;          ///< Before this, rows are for learning and nothing is judged.
  double series_weeks = 0;  ///< Time to be judged, added over the series, in weeks.
  std::vector<Fault> faults;
};

/// Writes a JSON document, times in RFC 3339.
[[nodiscard]] Status write_truth(const std::filesystem::path& path, const Truth& truth);

/// Reads what `write_truth` wrote. Errors: kInvalid, naming the file.
[[nodiscard]] Result<Truth> read_truth(const std::filesystem::path& path);

/// Reads a CSV file of intervals, one fault per line: `series`, `start` and `end`, the times of the
/// first and the last faulty row. Errors: kInvalid with file and line, also for a series that is
/// not among `series`.
[[nodiscard]] Result<std::vector<Fault>> read_intervals(const std::filesystem::path& path,
                                                        std::span<const std::string> series);

/// Which names labels may have: "normal", "benign: NAME" and "fault: NAME", or any.
enum class LabelNames : std::uint8_t { kClasses, kAny };

/// Reads a CSV file of what people say of rows: `series` (empty: all), `start`, `end` and `label`.
/// With any names, also what `write_truth` wrote (.json). Errors: kInvalid with file and line.
[[nodiscard]] Result<std::vector<pipeline::Label>> read_labels(
    const std::filesystem::path& path, LabelNames names = LabelNames::kClasses);

}  // namespace anomalyd::tools
