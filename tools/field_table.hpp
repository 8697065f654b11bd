#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/sample.hpp"

namespace anomalyd::tools {

/// A record as it came, kept for looking at.
struct SampledRecord {
  std::string key;
  std::string value;
  std::optional<EventTime> timestamp;
};

/// The fields of sampled records, as a table of texts and numbers: what `init` reasons about.
///
/// JSON objects are flattened with dots; a field inside an array is left out. The number of columns
/// is bounded, however many fields there are.
struct FieldTable {
  struct Cell {
    enum class Kind { kAbsent, kNull, kNumber, kText, kOther } kind = Kind::kAbsent;
    double number = 0;      ///< Also for a text that holds a number.
    std::string text = {};  ///< Of numbers too, as written.
    bool numeric = false;
  };
  static constexpr std::size_t kMaxColumns = 2000;

  std::vector<std::string> names;          ///< Columns in order of appearance.
  std::vector<std::vector<Cell>> columns;  ///< [column][row].
  std::vector<std::size_t> record_of_row;  ///< A record may hold several rows.
  std::string unwrap;                      ///< JSON pointer to where the rows lie in a record.

  [[nodiscard]] std::size_t num_rows() const noexcept { return record_of_row.size(); }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
};

/// Reads records that hold JSON objects, arrays of them or lines of them. nullopt if fewer than
/// nine in ten do.
[[nodiscard]] std::optional<FieldTable> read_json(const std::vector<SampledRecord>& records);

/// Reads records of delimited lines. A header line is recognised by having no number in it, where
/// other lines have; without one columns are named column1, column2 ... nullopt if the lines differ
/// in their number of fields, or have less than two.
struct CsvTable {
  FieldTable table;
  char delimiter = ',';
  bool has_header = false;
};
[[nodiscard]] std::optional<CsvTable> read_csv(const std::vector<SampledRecord>& records);

}  // namespace anomalyd::tools
