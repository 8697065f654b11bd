#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "models/checkpoint.hpp"

namespace anomalyd::models {
namespace {

Failure system_failure(const std::string& what, const std::filesystem::path& path) {
  const std::string reason = std::generic_category().message(errno);
  return fail(ErrorKind::kUnavailable, path.string() + ": " + what + ": " + reason);
}

bool write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

bool sync_folder(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return false;
  const bool synced = ::fsync(file) == 0;
  ::close(file);
  return synced;
}

}  // namespace

Status write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::string temporary = path.string() + ".XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return system_failure("cannot create a file beside it", path);

  bool written = write_all(file, bytes) && ::fchmod(file, 0644) == 0 && ::fsync(file) == 0;
  written = ::close(file) == 0 && written;
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    Failure failure = system_failure("cannot write", path);
    ::unlink(temporary.c_str());
    return failure;
  }
  if (!sync_folder(folder)) return system_failure("cannot sync its folder", path);
  return {};
}

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorKind::kInvalid, path.string() + ": " + error.message());
  if (size > kMaxCheckpointBytes) {
    return fail(ErrorKind::kIncompatible, path.string() + ": found " + std::to_string(size) +
                                              " bytes; expected at most " +
                                              std::to_string(kMaxCheckpointBytes));
  }
  std::vector<std::byte> bytes(size);
  std::ifstream file{path, std::ios::binary};
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    return fail(ErrorKind::kInvalid, path.string() + ": cannot be read");
  }
  return bytes;
}

}  // namespace anomalyd::models
