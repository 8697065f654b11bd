#include "daemon/runtime/durable_file.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

namespace anomalyd::runtime {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path{"."};
}

EVP_MD_CTX* digest_of(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

Error io_error(const fs::path& path, std::string_view what) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return {full ? ErrorKind::kExhausted : ErrorKind::kInvalid,
          path.string() + ": " + std::string{what} + ": " + std::generic_category().message(code)};
}

Failure io_failure(const fs::path& path, std::string_view what) {
  return Failure{io_error(path, what)};
}

File::File(const fs::path& path, int flags) : fd_{::open(path.c_str(), flags | O_CLOEXEC, 0640)} {}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

File::File(File&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

bool File::write(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool File::sync() const { return ::fsync(fd_) == 0; }

bool File::truncate(std::uintmax_t size) const {
  return ::ftruncate(fd_, static_cast<off_t>(size)) == 0;
}

bool File::lock() const { return ::flock(fd_, LOCK_EX | LOCK_NB) == 0; }

std::optional<std::uintmax_t> File::size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return {};
  return static_cast<std::uintmax_t>(status.st_size);
}

std::optional<char> File::byte_at(std::uintmax_t offset) const {
  char byte = 0;
  if (::pread(fd_, &byte, 1, static_cast<off_t>(offset)) != 1) return {};
  return byte;
}

Result<std::vector<std::byte>> File::read_front(const fs::path& path,
                                                std::uintmax_t max_bytes) const {
  const auto all = size();
  if (!all) return io_failure(path, "cannot read");
  std::vector<std::byte> bytes(std::min(*all, max_bytes));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_failure(path, "cannot read");
    if (n == 0) break;  // cut meanwhile
    done += static_cast<std::size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Result<std::vector<std::byte>> File::read_all(const fs::path& path,
                                              std::uintmax_t max_bytes) const {
  const auto all = size();
  if (!all) return io_failure(path, "cannot read");
  if (*all > max_bytes) {
    return fail(ErrorKind::kInvalid, path.string() + ": found " + std::to_string(*all) +
                                         " bytes; expected at most " + std::to_string(max_bytes));
  }
  return read_front(path, max_bytes);
}

Status sync_folder(const fs::path& folder) {
  const File file{folder, O_RDONLY | O_DIRECTORY};
  if (!file.is_open() || !file.sync()) return io_failure(folder, "cannot sync");
  return {};
}

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
  const File file{from, O_RDONLY};
  if (!file.is_open() || !file.sync()) return io_failure(from, "cannot sync");
  if (::rename(from.c_str(), to.c_str()) != 0) return io_failure(to, "cannot replace");
  return sync_folder(folder_of(to));
}

Status replace_file(const fs::path& path, const std::function<bool(const File&)>& fill) {
  const fs::path draft = path.string() + ".draft";
  const auto write = [&]() -> Status {
    const File file{draft, O_WRONLY | O_CREAT | O_TRUNC};
    if (!file.is_open()) return io_failure(draft, "cannot create");
    if (!fill(file)) return io_failure(draft, "cannot write");
    return move_durably(draft, path);
  };
  auto written = write();
  std::error_code ignored;
  if (!written) fs::remove(draft, ignored);
  return written;
}

Status write_durably(const fs::path& path, std::string_view bytes) {
  return replace_file(
      path, [&](const File& file) { return file.write(std::as_bytes(std::span{bytes})); });
}

Status append_line(const fs::path& path, std::string line) {
  const File file{path, O_RDWR | O_CREAT | O_APPEND};
  if (!file.is_open()) return io_failure(path, "cannot write");
  const auto size = file.size();
  if (!size) return io_failure(path, "cannot look at");
  if (*size > 0 && file.byte_at(*size - 1) != '\n') line.insert(0, "\n");
  line += '\n';
  if (!file.write(std::as_bytes(std::span{line}))) {
    Failure failure = io_failure(path, "cannot append");
    (void)file.truncate(*size);
    return failure;
  }
  if (!file.sync()) return io_failure(path, "cannot append");
  return {};
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
  if (!file) return io_failure(path, "cannot open");
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
