#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::connectors {

/// Reads a text file line by line; gzip is recognised by its content. One thread.
class LineReader {
 public:
  /// Longer lines are cut into pieces of this size.
  static constexpr std::size_t kMaxLine = 64 << 20;

  /// Errors: kInvalid (cannot be opened).
  [[nodiscard]] static Result<LineReader> open(const std::filesystem::path& path);

  /// Moves the next line, without its end, into `line`; false at the end of the file. Errors:
  /// kInvalid (damaged gzip, read error).
  [[nodiscard]] Result<bool> next(std::string& line);

 private:
  struct Close {
    void operator()(void* file) const noexcept;  // a gzFile
  };
  LineReader(std::filesystem::path path, void* file);
  [[nodiscard]] Result<bool> refill();

  std::filesystem::path path_;
  std::unique_ptr<void, Close> file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what has not been returned yet, in buffer_
  std::size_t end_ = 0;
};

}  // namespace anomalyd::connectors
