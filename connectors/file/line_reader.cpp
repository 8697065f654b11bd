#include "connectors/file/line_reader.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace anomalyd::connectors {
namespace {

constexpr std::size_t kBuffer = 1 << 17;

gzFile gz(void* file) { return static_cast<gzFile>(file); }

}  // namespace

void LineReader::Close::operator()(void* file) const noexcept { gzclose_r(gz(file)); }

LineReader::LineReader(std::filesystem::path path, void* file)
    : path_{std::move(path)}, file_{file}, buffer_(kBuffer) {}

Result<LineReader> LineReader::open(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: found a folder; expected a file", path.string()));
  }
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: cannot be opened ({}); expected a readable file", path.string(),
                            std::strerror(errno)));
  }
  return LineReader{path, file};
}

Result<bool> LineReader::next(std::string& line) {
  line.clear();
  while (line.size() < kMaxLine) {
    if (begin_ == end_) {
      auto more = refill();
      if (!more) return more;
      if (!*more) return !line.empty();
    }
    const char* const from = buffer_.data() + begin_;
    const char* const newline = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    const std::size_t size =
        newline != nullptr ? static_cast<std::size_t>(newline - from) : end_ - begin_;
    line.append(from, size);
    begin_ += size + (newline != nullptr ? 1 : 0);
    if (newline != nullptr) break;
  }
  return true;
}

Result<bool> LineReader::refill() {
  const int size = gzread(gz(file_.get()), buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int code = Z_OK;
  const char* const reason = gzerror(gz(file_.get()), &code);
  if (size < 0 || (size == 0 && code != Z_OK && code != Z_STREAM_END)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: {}; expected text or whole gzip", path_.string(), reason));
  }
  begin_ = 0;
  end_ = static_cast<std::size_t>(size);
  return size > 0;
}

}  // namespace anomalyd::connectors
