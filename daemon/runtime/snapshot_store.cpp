#include "daemon/runtime/snapshot_store.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x50414e53444d4e41;  // "ANMDSNAP"
constexpr std::uint32_t kFormat = 1;

Failure io_failure(const fs::path& path, const char* what) {
  const int code = errno;
  const auto kind = code == ENOSPC || code == EDQUOT ? ErrorKind::kExhausted : ErrorKind::kInvalid;
  return fail(kind, path.string() + ": " + what + ": " + std::strerror(code));
}

/// A file descriptor that closes itself.
class File {
 public:
  File(const fs::path& path, int flags) : fd_{::open(path.c_str(), flags | O_CLOEXEC, 0640)} {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] bool sync() const { return ::fsync(fd_) == 0; }
  [[nodiscard]] bool write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }

 private:
  int fd_;
};

}  // namespace

Status write_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path temporary = path.string() + ".new";
  {
    const File file{temporary, O_WRONLY | O_CREAT | O_TRUNC};
    if (!file.is_open()) return io_failure(temporary, "cannot create");
    if (!file.write(bytes) || !file.sync()) return io_failure(temporary, "cannot write");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return io_failure(path, "cannot replace");
  const File folder{path.parent_path(), O_RDONLY | O_DIRECTORY};
  if (!folder.is_open() || !folder.sync()) return io_failure(path.parent_path(), "cannot sync");
  return {};
}

Result<SnapshotStore> SnapshotStore::open(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(ErrorKind::kInvalid, folder.string() +
                                         ": cannot create the folder: " + error.message() +
                                         "; expected a folder that the daemon may write to");
  }
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return io_failure(folder, "cannot write to the folder");
  }
  return SnapshotStore{folder};
}

fs::path SnapshotStore::path_of(const PartitionId& partition) const {
  std::string name = partition.topic;
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  return folder_ / (name + "-" + std::to_string(partition.partition) + ".state");
}

Status SnapshotStore::write(const PartitionId& partition, const Snapshot& snapshot) const {
  StateWriter out;
  out.put(kMagic);
  out.put(kFormat);
  out.put(snapshot.offset);
  out.put_all(snapshot.state);
  const XXH64_hash_t sum = XXH3_64bits(out.bytes().data(), out.bytes().size());
  out.put(static_cast<std::uint64_t>(sum));
  return write_atomically(path_of(partition), out.bytes());
}

Result<std::optional<SnapshotStore::Snapshot>> SnapshotStore::read(
    const PartitionId& partition) const {
  const fs::path path = path_of(partition);
  std::ifstream file{path, std::ios::binary | std::ios::ate};
  if (!file) return std::nullopt;
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.tellg()));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));

  const auto refuse = [&](const std::string& why) {
    std::error_code ignored;
    fs::rename(path, path.string() + ".damaged", ignored);
    return fail(ErrorKind::kIncompatible,
                path.string() + ": " + why + "; kept as " + path.filename().string() + ".damaged");
  };
  if (!file || bytes.size() < sizeof(std::uint64_t)) return refuse("the file is too short");
  StateReader in{std::span{bytes}.first(bytes.size() - sizeof(std::uint64_t))};
  std::uint64_t magic = 0, sum = 0;
  std::uint32_t format = 0;
  std::memcpy(&sum, bytes.data() + bytes.size() - sizeof sum, sizeof sum);
  if (XXH3_64bits(bytes.data(), bytes.size() - sizeof sum) != sum) {
    return refuse("the checksum does not match");
  }
  Snapshot snapshot;
  if (!in.get(magic) || magic != kMagic) return refuse("not a snapshot");
  if (!in.get(format) || format != kFormat) {
    return refuse("found format version " + std::to_string(format) + "; expected " +
                  std::to_string(kFormat));
  }
  if (!in.get(snapshot.offset) || !in.get_all(snapshot.state) || !in.at_end()) {
    return refuse("the file is too short");
  }
  return snapshot;
}

}  // namespace anomalyd::runtime
