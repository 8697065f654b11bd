#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/file/line_reader.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::tools {

/// Reads a CSV file with a header line, plain or gzip, one record at a time.
///
/// Fields may be quoted; a record is one line. Errors name the file and the line:
/// "data/a.csv.gz:17: 3 fields; expected 4".
class CsvFile {
 public:
  /// Opens `path` and reads its header. Errors: kInvalid (no such file, empty).
  [[nodiscard]] static Result<CsvFile> open(const std::filesystem::path& path);

  [[nodiscard]] const std::vector<std::string>& header() const noexcept { return header_; }
  /// Index of the first column with one of these names, in any case.
  [[nodiscard]] std::optional<std::size_t> find_column(
      std::span<const std::string_view> names) const;

  /// Reads the next record into `fields()`; false at the end of the file. Blank lines are skipped.
  /// Errors: kInvalid (another number of fields than the header, damaged gzip).
  [[nodiscard]] Result<bool> next();
  /// The record read last; the views die at the next call of `next`.
  [[nodiscard]] std::span<const std::string_view> fields() const noexcept { return fields_; }

  /// A failure at the record read last: "<path>:<line>: <message>".
  [[nodiscard]] Failure fail_here(std::string_view message) const;

 private:
  CsvFile(std::filesystem::path path, connectors::LineReader lines)
      : path_{std::move(path)}, lines_{std::move(lines)} {}
  void split_line();

  std::filesystem::path path_;
  connectors::LineReader lines_;
  std::vector<std::string> header_;
  std::string line_;
  std::size_t line_number_ = 0;
  std::vector<std::string_view> fields_;
  std::vector<std::string> unquoted_;  // storage of fields that had quotes inside
};

/// Parses a cell: a number, or NaN where it is empty or says that it is missing.
[[nodiscard]] std::optional<double> parse_cell(std::string_view cell);

}  // namespace anomalyd::tools
