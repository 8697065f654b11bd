#include "daemon/runtime/durable_file.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

namespace anomalyd::runtime {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path{"."};
}

Status sync_path(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return system_failure(path, "cannot open");
  const bool synced = ::fsync(file) == 0;
  const int code = errno;
  ::close(file);
  errno = code;
  if (!synced) return system_failure(path, "cannot sync");
  return {};
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

EVP_MD_CTX* digest_of(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

Failure system_failure(const fs::path& path, std::string_view what) {
  const int code = errno;
  const auto kind = code == ENOSPC || code == EDQUOT ? ErrorKind::kExhausted : ErrorKind::kInvalid;
  return fail(kind, path.string() + ": " + std::string{what} + ": " +
                        std::generic_category().message(code));
}

Status sync_folder(const fs::path& folder) { return sync_path(folder, O_RDONLY | O_DIRECTORY); }

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(ErrorKind::kInvalid, folder.string() + ": cannot create the folder: " +
                                         error.message() + "; expected one that may be written to");
  }
  return {};
}

Status move_durably(const fs::path& from, const fs::path& to) {
  if (auto synced = sync_path(from, O_RDONLY); !synced) return synced;
  if (::rename(from.c_str(), to.c_str()) != 0) return system_failure(to, "cannot replace");
  return sync_folder(folder_of(to));
}

Status write_durably(const fs::path& path, std::string_view bytes) {
  std::string draft = path.string() + ".draftXXXXXX";
  const int file = ::mkostemp(draft.data(), O_CLOEXEC);
  if (file < 0) return system_failure(path, "cannot create a file beside it");
  const bool written = write_all(file, bytes) && ::fchmod(file, 0640) == 0 && ::fsync(file) == 0;
  const int code = errno;
  ::close(file);
  errno = code;
  if (!written || ::rename(draft.c_str(), path.c_str()) != 0) {
    Failure failure = system_failure(path, "cannot write");
    ::unlink(draft.c_str());
    return failure;
  }
  return sync_folder(folder_of(path));
}

Result<std::string> read_whole(const fs::path& path, std::uintmax_t max_bytes) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return fail(ErrorKind::kInvalid,
                path.string() + ": " + (error ? error.message() : "not a file"));
  }
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) return fail(ErrorKind::kInvalid, path.string() + ": " + error.message());
  if (size > max_bytes) {
    return fail(ErrorKind::kIncompatible, path.string() + ": found " + std::to_string(size) +
                                              " bytes; expected at most " +
                                              std::to_string(max_bytes));
  }
  std::string text;
  auto read = read_pieces(path, 0, size, [&](std::string_view piece) { text += piece; });
  if (!read) return Failure{std::move(read.error())};
  return text;
}

Status read_pieces(const fs::path& path, std::uintmax_t begin, std::uintmax_t bytes,
                   const std::function<void(std::string_view)>& take) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return system_failure(path, "cannot open");
  file.seekg(static_cast<std::streamoff>(begin));
  std::vector<char> piece(kPieceBytes);
  for (std::uintmax_t left = bytes; left > 0;) {
    const auto wanted = static_cast<std::streamsize>(std::min<std::uintmax_t>(left, kPieceBytes));
    if (!file.read(piece.data(), wanted)) {
      return fail(ErrorKind::kIncompatible,
                  path.string() + ": the file ends " + std::to_string(left) + " bytes too early");
    }
    take({piece.data(), static_cast<std::size_t>(wanted)});
    left -= static_cast<std::uintmax_t>(wanted);
  }
  return {};
}

Sha256::Sha256() : context_{EVP_MD_CTX_new()} {
  EVP_DigestInit_ex(digest_of(context_), EVP_sha256(), nullptr);
}

Sha256::~Sha256() { EVP_MD_CTX_free(digest_of(context_)); }

void Sha256::add(std::string_view bytes) {
  EVP_DigestUpdate(digest_of(context_), bytes.data(), bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(digest_of(context_), digest.data(), nullptr);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

Result<std::string> sha256_of_file(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) return fail(ErrorKind::kInvalid, path.string() + ": " + error.message());
  Sha256 hash;
  auto read = read_pieces(path, 0, size, [&](std::string_view piece) { hash.add(piece); });
  if (!read) return Failure{std::move(read.error())};
  return hash.hex();
}

}  // namespace anomalyd::runtime
