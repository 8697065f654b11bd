#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::runtime {

/// What went wrong with a file, from errno: "<path>: <what>: <reason>". kExhausted when the disk is
/// full or the file may not grow, kInvalid otherwise.
[[nodiscard]] Error io_error(const std::filesystem::path& path, const char* what);
/// The same as the failed side of a Result.
[[nodiscard]] Failure io_failure(const std::filesystem::path& path, const char* what);

/// A file descriptor that closes itself. One thread at a time.
class File {
 public:
  /// `flags` as of open(2).
  File(const std::filesystem::path& path, int flags);
  ~File();
  File(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  // These set errno when they return false.
  [[nodiscard]] bool write(std::span<const std::byte> bytes) const;
  [[nodiscard]] bool sync() const;
  [[nodiscard]] bool truncate(std::uintmax_t size) const;
  [[nodiscard]] bool lock() const;  ///< For this process alone, until it is closed; does not wait.
  /// Its first `max_bytes`, or all there are. Errors: kInvalid when it cannot be read.
  [[nodiscard]] Result<std::vector<std::byte>> read_front(const std::filesystem::path& path,
                                                          std::uintmax_t max_bytes) const;
  /// Everything in it. Errors: kInvalid when it cannot be read or is larger than `max_bytes`.
  [[nodiscard]] Result<std::vector<std::byte>> read_all(const std::filesystem::path& path,
                                                        std::uintmax_t max_bytes) const;

 private:
  int fd_;
};

/// Puts what `fill` writes in the place of the file at `path`: a reader sees the old file or the
/// whole new one, also after a power cut. On its way it is "<path>.draft", which is removed when it
/// fails. `fill` sets errno when it returns false. Errors: as io_failure.
[[nodiscard]] Status replace_file(const std::filesystem::path& path,
                                  const std::function<bool(const File&)>& fill);

}  // namespace anomalyd::runtime
