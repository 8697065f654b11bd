#include "tools/row_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace anomalyd::tools {

Result<RowFile> RowFile::create(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending != ".csv" && ending != ".ndjson" && ending != ".json") {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: ends with '{}'; expected .csv, .ndjson or .json", path.string(), ending));
  }
  RowFile file{path, ending == ".csv" ? RowEncoder::Format::kCsv : RowEncoder::Format::kJson};
  if (!file.out_) {
    return fail(ErrorKind::kUnavailable, fmt::format("{}: {}; expected a file that can be written",
                                                     path.string(), std::strerror(errno)));
  }
  return file;
}

void RowFile::write(std::string_view series, EventTime time, std::span<const Channel> channels,
                    std::span<const double> values) {
  encoder_.encode({{}, series, time, channels, values}, [&](std::string_view record) {
    // Each record has the header, so that it can be read on its own; a file needs it once.
    if (format_ == RowEncoder::Format::kCsv && has_header_) {
      record.remove_prefix(record.find('\n') + 1);
    }
    has_header_ = true;
    out_ << record << '\n';
  });
}

Status RowFile::finish() {
  out_.close();
  if (out_) return {};
  return fail(ErrorKind::kUnavailable, fmt::format("{}: {}; expected room for all rows",
                                                   path_.string(), std::strerror(errno)));
}

}  // namespace anomalyd::tools
