#include "tools/field_table.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>

#include "connectors/codec/number_text.hpp"

namespace anomalyd::tools {
namespace {

using json = nlohmann::ordered_json;  // keeps the order of fields, and so of channels
using Cell = FieldTable::Cell;

/// Adds rows to a table whose columns appear as they come.
class TableBuilder {
 public:
  void begin_row(std::size_t record) { table_.record_of_row.push_back(record); }

  void put(const std::string& name, Cell cell) {
    const auto [place, added] = index_.try_emplace(name, table_.names.size());
    if (added) {
      if (table_.names.size() == FieldTable::kMaxColumns) {
        index_.erase(place);
        return;
      }
      table_.names.push_back(name);
      table_.columns.emplace_back();
    }
    auto& column = table_.columns[place->second];
    column.resize(table_.num_rows());  // rows without this field are absent cells
    column.back() = std::move(cell);
  }

  FieldTable take() {
    for (auto& column : table_.columns) column.resize(table_.num_rows());
    return std::move(table_);
  }

 private:
  FieldTable table_;
  std::unordered_map<std::string, std::size_t> index_;
};

Cell text_cell(std::string_view text) {
  if (connectors::is_missing_text(text)) return {.kind = Cell::Kind::kNull};
  const auto number = connectors::parse_number(text);
  return {.kind = Cell::Kind::kText,
          .number = number.value_or(0),
          .text = std::string{text},
          .numeric = number.has_value()};
}

Cell json_cell(const json& value) {
  if (value.is_null()) return {.kind = Cell::Kind::kNull};
  if (value.is_string()) return text_cell(value.get_ref<const std::string&>());
  if (!value.is_number()) return {.kind = Cell::Kind::kOther};
  return {.kind = Cell::Kind::kNumber,
          .number = value.get<double>(),
          .text = value.dump(),
          .numeric = true};
}

void put_object(TableBuilder& table, const json& object, const std::string& prefix) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      put_object(table, value, prefix + name + ".");
    } else {
      table.put(prefix + name, json_cell(value));
    }
  }
}

/// Where the rows lie in an envelope: the only array of objects, or `payload` beside a `schema`.
std::string envelope_of(const json& record) {
  if (!record.is_object()) return {};
  if (record.contains("schema") && record.contains("payload")) return "/payload";
  std::string found;
  for (const auto& [name, value] : record.items()) {
    const bool rows = value.is_array() && !value.empty() && value.front().is_object();
    if (!rows) continue;
    if (!found.empty()) return {};
    found = "/" + name;
  }
  return found;
}

std::vector<json> parse_objects(const std::string& text) {
  json whole = json::parse(text, nullptr, false);
  if (!whole.is_discarded()) return {std::move(whole)};
  std::vector<json> objects;  // perhaps one in each line
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (connectors::trimmed(line).empty()) continue;
    objects.push_back(json::parse(line, nullptr, false));
    if (objects.back().is_discarded()) return {};
  }
  return objects;
}

std::vector<std::string> split(const std::string& line, char delimiter) {
  std::vector<std::string> fields;
  std::istringstream stream{line};
  for (std::string field; std::getline(stream, field, delimiter);) {
    fields.emplace_back(connectors::trimmed(field));
  }
  if (!line.empty() && line.back() == delimiter) fields.emplace_back();
  return fields;
}

bool has_number(const std::vector<std::string>& fields) {
  return std::ranges::any_of(
      fields, [](const auto& field) { return connectors::parse_number(field).has_value(); });
}

std::optional<CsvTable> read_delimited(const std::vector<SampledRecord>& records, char delimiter) {
  CsvTable csv{.table = {}, .delimiter = delimiter};
  TableBuilder table;
  std::vector<std::string> header;
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::istringstream lines{records[i].value};
    for (std::string line; std::getline(lines, line);) {
      if (connectors::trimmed(line).empty()) continue;
      const auto fields = split(line, delimiter);
      if (header.empty()) {
        if (fields.size() < 2) return std::nullopt;
        csv.has_header = !has_number(fields);
        for (std::size_t f = 0; f < fields.size(); ++f) {
          header.push_back(csv.has_header ? fields[f] : "column" + std::to_string(f + 1));
        }
        if (csv.has_header) continue;
      }
      if (fields.size() != header.size()) return std::nullopt;
      if (csv.has_header && fields == header) continue;  // a header in every record
      table.begin_row(i);
      for (std::size_t f = 0; f < fields.size(); ++f) table.put(header[f], text_cell(fields[f]));
    }
  }
  csv.table = table.take();
  if (csv.table.num_rows() == 0) return std::nullopt;
  return csv;
}

}  // namespace

std::optional<std::size_t> FieldTable::find(std::string_view name) const {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names.begin());
}

std::optional<FieldTable> read_json(const std::vector<SampledRecord>& records) {
  TableBuilder table;
  std::string unwrap;
  std::size_t understood = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto parts = parse_objects(records[i].value);
    if (understood == 0 && !parts.empty()) unwrap = envelope_of(parts.front());
    bool has_row = false;
    for (const json& part : parts) {
      const json::json_pointer inside{unwrap};
      if (!part.contains(inside)) continue;
      const json& rows = part.at(inside);
      for (const json& row : rows.is_array() ? rows : json::array({rows})) {
        if (!row.is_object()) continue;
        table.begin_row(i);
        put_object(table, row, "");
        has_row = true;
      }
    }
    understood += has_row ? 1 : 0;
  }
  if (understood == 0 || understood * 10 < records.size() * 9) return std::nullopt;
  FieldTable result = table.take();
  result.unwrap = unwrap;
  return result;
}

std::optional<CsvTable> read_csv(const std::vector<SampledRecord>& records) {
  for (const char delimiter : {',', ';', '\t', '|'}) {
    if (auto csv = read_delimited(records, delimiter)) return csv;
  }
  return std::nullopt;
}

}  // namespace anomalyd::tools
