#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::runtime {

// Files that survive a power cut: a reader sees the old one or the whole new one. Any thread, but
// one at a time writes a file. Errors of all: as io_error.

/// What went wrong with a file, from errno: "PATH: WHAT: No space left on device". kExhausted when
/// the disk is full or the file may not grow, kInvalid otherwise.
[[nodiscard]] Error io_error(const std::filesystem::path& path, std::string_view what);
/// The same as the failed side of a Result.
[[nodiscard]] Failure io_failure(const std::filesystem::path& path, std::string_view what);

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
  [[nodiscard]] std::optional<std::uintmax_t> size() const;  ///< Nothing where it fails.
  [[nodiscard]] std::optional<char> byte_at(std::uintmax_t offset) const;
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
/// fails. `fill` sets errno when it returns false.
[[nodiscard]] Status replace_file(const std::filesystem::path& path,
                                  const std::function<bool(const File&)>& fill);

/// Puts `bytes` in the place of the file at `path`.
[[nodiscard]] Status write_durably(const std::filesystem::path& path, std::string_view bytes);

/// Appends `line` and its end to a file, which is made if need be, and waits for the disk. Where
/// the last line was not written to its end, begins behind it. A line that cannot be written whole
/// is taken back. Any thread and process.
[[nodiscard]] Status append_line(const std::filesystem::path& path, std::string line);

/// Syncs `from` and gives it the name `to`, in the same file system. Replaces what is there.
[[nodiscard]] Status move_durably(const std::filesystem::path& from,
                                  const std::filesystem::path& to);

/// Syncs a folder: files that came, went or were renamed in it stay so.
[[nodiscard]] Status sync_folder(const std::filesystem::path& folder);

/// Makes a folder and those above it. Errors name the folder.
[[nodiscard]] Status make_folder(const std::filesystem::path& folder);

/// Reads a file of at most `max_bytes`. Errors: kInvalid; kIncompatible when it is larger.
[[nodiscard]] Result<std::string> read_whole(const std::filesystem::path& path,
                                             std::uintmax_t max_bytes);

/// Reads `bytes` bytes of a file from `begin` on, in pieces. Errors: kIncompatible when there are
/// fewer.
[[nodiscard]] Status read_pieces(const std::filesystem::path& path, std::uintmax_t begin,
                                 std::uintmax_t bytes,
                                 const std::function<void(std::string_view piece)>& take);

/// Computes the sha256 of what it is given.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes);
  /// 64 hex digits. Once.
  [[nodiscard]] std::string hex();

 private:
  void* context_;  // an EVP_MD_CTX, whose header stays out of this one
};

/// The sha256 of a file as 64 hex digits.
[[nodiscard]] Result<std::string> sha256_of_file(const std::filesystem::path& path);

}  // namespace anomalyd::runtime
