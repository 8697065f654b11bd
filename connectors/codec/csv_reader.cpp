#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "connectors/codec/format_reader.hpp"
#include "connectors/codec/number_text.hpp"

namespace anomalyd::connectors {
namespace {

/// Lines of cells as in RFC 4180: quoted cells may hold delimiters, line ends and doubled quotes.
class CsvReader final : public FormatReader {
 public:
  explicit CsvReader(const SampleDecoder::Options& options) : options_{options} {}

  void read(const Record& record, RowBuilder& rows) override {
    Columns& columns = columns_of(record.topic, rows);
    std::string_view text = record.value;
    for (std::size_t line = 1; !text.empty(); ++line) {
      if (!take_line(text)) {
        return rows.reject(RejectReason::kMalformed,
                           fmt::format("line {}: a quoted cell has no end; expected '\"'", line));
      }
      const bool blank = cells_.size() == 1 && trimmed(cells_[0]).empty();
      if (!blank) read_line(line, columns, rows);
    }
  }

 private:
  struct Columns {
    std::string topic;
    std::vector<std::string> names;  // empty until the header has been seen
    std::vector<Field> fields;
  };

  Columns& columns_of(std::string_view topic, RowBuilder& rows) {
    // With configured names every topic has the same columns.
    const std::string_view owner = options_.csv.columns.empty() ? topic : std::string_view{};
    if (last_ < topics_.size() && topics_[last_].topic == owner) return topics_[last_];
    const auto known = std::ranges::find(topics_, owner, &Columns::topic);
    last_ = static_cast<std::size_t>(known - topics_.begin());
    if (known != topics_.end()) return *known;
    topics_.push_back({std::string{owner}, {}, {}});
    if (!options_.csv.columns.empty()) name_columns(topics_.back(), options_.csv.columns, rows);
    return topics_.back();
  }

  static void name_columns(Columns& columns, const std::vector<std::string>& names,
                           RowBuilder& rows) {
    columns.names = names;
    for (const std::string& name : names) columns.fields.push_back(rows.make_field(name));
  }

  void read_line(std::size_t line, Columns& columns, RowBuilder& rows) {
    if (columns.names.empty()) return read_header(line, columns, rows);
    if (std::ranges::equal(cells_, columns.names)) return;  // the header again
    if (cells_.size() != columns.fields.size()) {
      return rows.reject(RejectReason::kMalformed,
                         fmt::format("line {}: found {} cells; expected {}, as there are columns",
                                     line, cells_.size(), columns.fields.size()));
    }
    rows.begin_row();
    for (std::size_t i = 0; i < cells_.size(); ++i) take_cell(cells_[i], columns.fields[i], rows);
    rows.finish_row();
  }

  void read_header(std::size_t line, Columns& columns, RowBuilder& rows) {
    const bool is_data = std::ranges::any_of(
        cells_, [](std::string_view cell) { return parse_number(cell).has_value(); });
    if (is_data || cells_.size() > rows.max_names()) {
      return rows.reject(
          RejectReason::kMalformed,
          is_data ? fmt::format("line {}: found data before any header; expected a header line, or "
                                "the names in input.csv.columns",
                                line)
                  : fmt::format("line {}: found a header of {} columns; expected at most {}", line,
                                cells_.size(), rows.max_names()));
    }
    name_columns(columns, {cells_.begin(), cells_.end()}, rows);
  }

  static void take_cell(std::string_view cell, Field& field, RowBuilder& rows) {
    switch (field.use) {
      case FieldUse::kIgnored: return;
      case FieldUse::kUndecided:
        if (const auto value = parse_number(cell)) rows.number(field, *value);
        return;
      case FieldUse::kSeries: return rows.text(field, trimmed(cell));
      case FieldUse::kTime:
      case FieldUse::kChannel:
      case FieldUse::kChannelName:
      case FieldUse::kChannelValue: return rows.text(field, cell);
    }
  }

  // Moves the next line of `text` into cells_. False if a quoted cell does not end.
  bool take_line(std::string_view& text) {
    cells_.clear();
    num_unquoted_ = 0;
    while (true) {
      if (!text.empty() && text.front() == '"') {
        if (!take_quoted(text)) return false;
      } else {
        const std::size_t size = cell_size(text);
        cells_.push_back(text.substr(0, size));
        text.remove_prefix(size);
      }
      if (text.empty()) break;
      const bool more = text.front() == options_.csv.delimiter;
      text.remove_prefix(1);
      if (!more) break;
    }
    if (cells_.back().ends_with('\r')) cells_.back().remove_suffix(1);
    return true;
  }

  bool take_quoted(std::string_view& text) {
    if (unquoted_.size() <= num_unquoted_) unquoted_.push_back(std::make_unique<std::string>());
    std::string& cell = *unquoted_[num_unquoted_++];
    cell.clear();
    text.remove_prefix(1);
    while (true) {
      const std::size_t quote = text.find('"');
      if (quote == std::string_view::npos) return false;
      cell += text.substr(0, quote);
      text.remove_prefix(quote + 1);
      if (!text.starts_with('"')) break;
      cell += '"';
      text.remove_prefix(1);
    }
    cells_.push_back(cell);
    text.remove_prefix(cell_size(text));
    return true;
  }

  [[nodiscard]] std::size_t cell_size(std::string_view text) const {
    const auto ends = [delimiter = options_.csv.delimiter](char c) {
      return c == delimiter || c == '\n';
    };
    return static_cast<std::size_t>(std::ranges::find_if(text, ends) - text.begin());
  }

  const SampleDecoder::Options& options_;
  std::vector<Columns> topics_;
  std::size_t last_ = 0;                                // the topic of the last record
  std::vector<std::string_view> cells_;                 // of the line being read
  std::vector<std::unique_ptr<std::string>> unquoted_;  // what quoted cells of the line hold
  std::size_t num_unquoted_ = 0;
};

}  // namespace

std::unique_ptr<FormatReader> make_csv_reader(const SampleDecoder::Options& options) {
  return std::make_unique<CsvReader>(options);
}

}  // namespace anomalyd::connectors
