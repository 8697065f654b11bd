#include "daemon/runtime/file_io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace anomalyd::runtime {

namespace fs = std::filesystem;

Error io_error(const fs::path& path, const char* what) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return {full ? ErrorKind::kExhausted : ErrorKind::kInvalid,
          path.string() + ": " + what + ": " + std::strerror(code)};
}

Failure io_failure(const fs::path& path, const char* what) { return Failure{io_error(path, what)}; }

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

Result<std::vector<std::byte>> File::read_front(const fs::path& path,
                                                std::uintmax_t max_bytes) const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return io_failure(path, "cannot read");
  std::vector<std::byte> bytes(std::min(static_cast<std::uintmax_t>(status.st_size), max_bytes));
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
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return io_failure(path, "cannot read");
  if (static_cast<std::uintmax_t>(status.st_size) > max_bytes) {
    return fail(ErrorKind::kInvalid, path.string() + ": found " + std::to_string(status.st_size) +
                                         " bytes; expected at most " + std::to_string(max_bytes));
  }
  return read_front(path, max_bytes);
}

Status replace_file(const fs::path& path, const std::function<bool(const File&)>& fill) {
  const fs::path draft = path.string() + ".draft";
  const auto write = [&]() -> Status {
    const File file{draft, O_WRONLY | O_CREAT | O_TRUNC};
    if (!file.is_open()) return io_failure(draft, "cannot create");
    if (!fill(file) || !file.sync()) return io_failure(draft, "cannot write");
    if (::rename(draft.c_str(), path.c_str()) != 0) return io_failure(path, "cannot replace");
    return {};
  };
  if (auto written = write(); !written) {
    std::error_code ignored;
    fs::remove(draft, ignored);
    return written;
  }
  const File folder{path.has_parent_path() ? path.parent_path() : ".", O_RDONLY | O_DIRECTORY};
  if (!folder.is_open() || !folder.sync()) return io_failure(path, "cannot sync the folder of");
  return {};
}

}  // namespace anomalyd::runtime
