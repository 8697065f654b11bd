#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/core/result.hpp"

namespace anomalyd::runtime {

// Files that survive a power cut: a reader sees the old one or the whole new one. Any thread.
// Errors of all: kExhausted when the disk is full, else kInvalid; the path and the system's reason
// are named.

/// Writes `bytes` to a file beside `path`, syncs it, and puts it in the place of `path`.
[[nodiscard]] Status write_durably(const std::filesystem::path& path, std::string_view bytes);

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

/// The failure of a system call on `path`, from errno: "PATH: WHAT: No space left on device".
[[nodiscard]] Failure system_failure(const std::filesystem::path& path, std::string_view what);

}  // namespace anomalyd::runtime
