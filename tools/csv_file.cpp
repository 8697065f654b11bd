#include "tools/csv_file.hpp"

#include <fmt/format.h>
#include <strings.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "connectors/codec/number_text.hpp"

namespace anomalyd::tools {
namespace {

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

void CsvFile::CloseFile::operator()(void* file) const { gzclose(static_cast<gzFile>(file)); }

Result<CsvFile> CsvFile::open(const std::filesystem::path& path) {
  gzFile raw = std::filesystem::is_directory(path) ? nullptr : gzopen(path.c_str(), "rb");
  if (raw == nullptr) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: cannot be read; expected a CSV file, plain or gzip", path.string()));
  }
  gzbuffer(raw, 1 << 17);
  CsvFile csv{path, File{raw}};
  const auto line = csv.read_line();
  if (!line) return Failure{line.error()};
  if (!*line) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: empty file; expected a CSV header", path.string()));
  }
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
    const auto line = read_line();
    if (!line || !*line) return line;
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

Result<bool> CsvFile::read_line() {
  auto* file = static_cast<gzFile>(file_.get());
  char chunk[4096];
  line_.clear();
  ++line_number_;
  while (gzgets(file, chunk, sizeof chunk) != nullptr) {
    line_ += chunk;
    if (line_.size() > kMaxLine) {
      return fail_here(
          fmt::format("a line of more than {} bytes; expected a CSV record", kMaxLine));
    }
    if (line_.back() != '\n') continue;
    line_.pop_back();
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    return true;
  }
  int code = Z_OK;
  const char* reason = gzerror(file, &code);
  if (code != Z_OK && code != Z_STREAM_END) {
    return fail_here(fmt::format("{}; expected a whole gzip file", reason));
  }
  return !line_.empty();
}

void CsvFile::split_line() {
  fields_.clear();
  unquoted_.clear();
  // Views into it must stay valid, so it never grows.
  unquoted_.reserve(static_cast<std::size_t>(std::ranges::count(line_, ',')) + 1);
  std::string_view rest = line_;
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
