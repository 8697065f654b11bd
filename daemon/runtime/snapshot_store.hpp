#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/state_codec.hpp"

namespace anomalyd::runtime {

/// The state of partitions on disk: one file for each, replaced as a whole.
///
/// Format   magic, format version, input offset, state bytes, 64-bit xxHash of all before.
/// Threads  any.
class SnapshotStore {
 public:
  /// What a partition knew when everything below `offset` was finished.
  class Snapshot {
   public:
    [[nodiscard]] Offset offset() const noexcept { return offset_; }
    [[nodiscard]] std::span<const std::byte> state() const noexcept;

   private:
    friend class SnapshotStore;
    Offset offset_ = 0;
    std::vector<std::byte> file_;
  };

  /// A snapshot on its way to disk, in a file of its own until it is published. One that is not
  /// published leaves nothing behind. Used by one thread at a time.
  class Draft {
   public:
    ~Draft();
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;

    /// Takes the state. Writes to the file as it goes, so that a large state needs no copy.
    [[nodiscard]] StateWriter& state() noexcept;
    /// Puts it in the place of the one before: a reader sees the old file or the whole new one,
    /// also after a power cut. Waits for the disk. Errors: kExhausted when the disk is full,
    /// kInvalid for any other trouble with the file; then the one before stays.
    [[nodiscard]] Status publish();

   private:
    friend class SnapshotStore;
    struct Impl;
    explicit Draft(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
  };

  /// Creates the folder if it is missing. Errors: kInvalid when it cannot be written to.
  static Result<SnapshotStore> open(const std::filesystem::path& folder);

  /// Trouble with the file is told by publish().
  [[nodiscard]] std::unique_ptr<Draft> begin(const PartitionId& partition, Offset offset) const;
  /// nullopt when there is none. Errors: kIncompatible when the file is damaged; it is kept under
  /// another name for inspection, so that the next read finds none.
  [[nodiscard]] Result<std::optional<Snapshot>> read(const PartitionId& partition) const;

 private:
  explicit SnapshotStore(std::filesystem::path folder) : folder_{std::move(folder)} {}
  [[nodiscard]] std::filesystem::path path_of(const PartitionId& partition) const;
  std::filesystem::path folder_;
};

}  // namespace anomalyd::runtime
