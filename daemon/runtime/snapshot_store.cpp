#include "daemon/runtime/snapshot_store.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x50414e53444d4e41;  // "ANMDSNAP"
constexpr std::uint32_t kFormat = 3;
constexpr std::size_t kHeaderBytes = sizeof kMagic + sizeof kFormat + sizeof(Offset);
constexpr std::size_t kSumBytes = sizeof(std::uint64_t);
constexpr const char* kDraft = ".draft";  // part of the name of every file not published

}  // namespace

struct SnapshotStore::Draft::Impl {
  Impl(fs::path its_path, fs::path its_place)
      : path{std::move(its_path)},
        place{std::move(its_place)},
        file{path, O_WRONLY | O_CREAT | O_EXCL},
        out{[this](std::span<const std::byte> bytes) { write(bytes); }} {
    if (!file.is_open()) trouble = io_failure(path, "cannot create");
    XXH3_64bits_reset(sum.get());
  }
  void write(std::span<const std::byte> bytes) {
    XXH3_64bits_update(sum.get(), bytes.data(), bytes.size());
    if (trouble && !file.write(bytes)) trouble = io_failure(path, "cannot write");
  }

  fs::path path;
  fs::path place;
  File file;
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> sum{XXH3_createState(), &XXH3_freeState};
  Status trouble;  // the first that was met
  StateWriter out;
  bool published = false;
};

SnapshotStore::Draft::Draft(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}

SnapshotStore::Draft::~Draft() {
  std::error_code ignored;
  if (!impl_->published) fs::remove(impl_->path, ignored);
}

StateWriter& SnapshotStore::Draft::state() noexcept { return impl_->out; }

Status SnapshotStore::Draft::publish() {
  Impl& self = *impl_;
  self.out.flush();
  const std::uint64_t sum = XXH3_64bits_digest(self.sum.get());
  self.write(std::as_bytes(std::span{&sum, 1}));
  if (!self.trouble) return self.trouble;
  auto moved = move_durably(self.path, self.place);
  self.published = moved.has_value();
  return moved;
}

std::span<const std::byte> SnapshotStore::Snapshot::state() const noexcept {
  return std::span{file_}.subspan(kHeaderBytes, file_.size() - kHeaderBytes - kSumBytes);
}

Result<SnapshotStore> SnapshotStore::open(const fs::path& folder) {
  if (auto made = make_folder(folder); !made) return Failure{std::move(made.error())};
  std::error_code error;
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return io_failure(folder, "cannot write to the folder");
  }
  for (const auto& entry : fs::directory_iterator{folder, error}) {
    // Of a daemon that was killed while it wrote.
    if (entry.path().extension().string().starts_with(kDraft)) fs::remove(entry.path(), error);
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

std::unique_ptr<SnapshotStore::Draft> SnapshotStore::begin(const PartitionId& partition,
                                                           Offset offset) const {
  static std::atomic<unsigned> drafts{0};
  const fs::path place = path_of(partition);
  std::unique_ptr<Draft> draft{new Draft{
      std::make_unique<Draft::Impl>(place.string() + kDraft + std::to_string(drafts++), place)}};
  draft->state().put(kMagic);
  draft->state().put(kFormat);
  draft->state().put(offset);
  return draft;
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
  if (!file || bytes.size() < kHeaderBytes + kSumBytes) return refuse("the file is too short");
  std::uint64_t magic = 0, sum = 0;
  std::uint32_t format = 0;
  std::memcpy(&sum, bytes.data() + bytes.size() - kSumBytes, sizeof sum);
  if (XXH3_64bits(bytes.data(), bytes.size() - kSumBytes) != sum) {
    return refuse("the checksum does not match");
  }
  Snapshot snapshot;
  StateReader header{bytes};
  if (!header.get(magic) || magic != kMagic) return refuse("not a snapshot");
  if (!header.get(format) || format != kFormat) {
    return refuse("found format version " + std::to_string(format) + "; expected " +
                  std::to_string(kFormat));
  }
  if (!header.get(snapshot.offset_)) return refuse("the file is too short");
  snapshot.file_ = std::move(bytes);
  return snapshot;
}

}  // namespace anomalyd::runtime
