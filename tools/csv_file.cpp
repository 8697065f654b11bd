#include "tools/csv_file.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <limits>

#include "connectors/codec/number_text.hpp"

namespace anomalyd::tools {
namespace {

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<CsvFile> CsvFile::open(const std::filesystem::path& path) {
  auto lines = connectors::LineReader::open(path);
  if (!lines) return Failure{lines.error()};
  CsvFile csv{path, *std::move(lines)};
  const auto header = csv.lines_.next(csv.line_);
  if (!header) return Failure{header.error()};
  ++csv.line_number_;
  if (!*header) return csv.fail_here("empty file; expected a CSV header");
  csv.split_line();
  csv.header_.assign(csv.fields_.begin(), csv.fields_.end());
  return csv;
}

std::optional<std::size_t> CsvFile::find_column(std::span<const std::string_view> names) const {
  for (const std::string_view name : names) {
    const auto found = std::ranges::find_if(
        header_, [&](const std::string& column) { return equal_in_any_case(column, name); });
    if (found != header_.end()) return static_cast<std::size_t>(found - header_.begin());
  }
  return std::nullopt;
}

Result<bool> CsvFile::next() {
  do {
    const auto line = lines_.next(line_);
    if (!line) return fail_here(line.error().message);
    if (!*line) return false;
    ++line_number_;
    line_.resize(connectors::trimmed(line_).empty() ? 0 : line_.size());
  } while (line_.empty());
  split_line();
  if (fields_.size() != header_.size()) {
    return fail_here(
        fmt::format("{} fields; expected {} as in the header", fields_.size(), header_.size()));
  }
  return true;
}

Failure CsvFile::fail_here(std::string_view message) const {
  return fail(ErrorKind::kInvalid, fmt::format("{}:{}: {}", path_.string(), line_number_, message));
}

void CsvFile::split_line() {
  fields_.clear();
  unquoted_.clear();
  // Views into it must stay valid, so it never grows.
  unquoted_.reserve(static_cast<std::size_t>(std::ranges::count(line_, ',')) + 1);
  std::string_view rest = line_;
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  while (true) {
    if (!rest.starts_with('"')) {
      const std::size_t comma = rest.find(',');
      fields_.push_back(rest.substr(0, comma));
      if (comma == std::string_view::npos) return;
      rest.remove_prefix(comma + 1);
      continue;
    }
    std::string text;
    std::size_t i = 1;
    for (; i < rest.size(); ++i) {
      if (rest[i] == '"' && (i + 1 == rest.size() || rest[i + 1] != '"')) break;
      if (rest[i] == '"') ++i;  // a doubled quote stands for one
      text += rest[i];
    }
    fields_.push_back(unquoted_.emplace_back(std::move(text)));
    const std::size_t comma = rest.find(',', std::min(i + 1, rest.size()));
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

std::optional<double> parse_cell(std::string_view cell) {
  if (connectors::is_missing_text(cell)) return std::numeric_limits<double>::quiet_NaN();
  return connectors::parse_number(cell);
}

}  // namespace anomalyd::tools
