#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd::runtime {

/// Writes `bytes` so that a reader sees the old file or the whole new one, also after a power cut.
[[nodiscard]] Status write_atomically(const std::filesystem::path& path,
                                      std::span<const std::byte> bytes);

/// The state of partitions on disk: one file for each, replaced as a whole.
///
/// Format   magic, format version, input offset, length, state bytes, 64-bit xxHash of all before.
/// Threads  any; one partition from one thread at a time.
class SnapshotStore {
 public:
  /// What a partition knew when everything below `offset` was finished.
  struct Snapshot {
    Offset offset = 0;
    std::vector<std::byte> state;
  };

  /// Creates the folder if it is missing. Errors: kInvalid when it cannot be written to.
  static Result<SnapshotStore> open(const std::filesystem::path& folder);

  [[nodiscard]] Status write(const PartitionId& partition, const Snapshot& snapshot) const;
  /// nullopt when there is none. Errors: kIncompatible when the file is damaged; it is kept under
  /// another name for inspection, so that the next read finds none.
  [[nodiscard]] Result<std::optional<Snapshot>> read(const PartitionId& partition) const;

 private:
  explicit SnapshotStore(std::filesystem::path folder) : folder_{std::move(folder)} {}
  [[nodiscard]] std::filesystem::path path_of(const PartitionId& partition) const;
  std::filesystem::path folder_;
};

}  // namespace anomalyd::runtime
