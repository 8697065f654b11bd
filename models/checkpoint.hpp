#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "models/member_options.hpp"

namespace anomalyd::models {

/// One weight tensor: float32, row-major, little-endian.
struct StoredWeight {
  std::string name;
  std::vector<std::int64_t> sizes;   ///< 1..4 of them, each >= 1.
  std::span<const std::byte> bytes;  ///< Not owned: 4 bytes per value.
};

struct StoredMember {
  MemberSpec spec;
  std::vector<StoredWeight> weights;
};

/// A model as its file has it. Free of torch, so that tools and the fuzzer can read one cheaply.
struct Checkpoint {
  std::string kind;
  std::string choice;  ///< As in ModelInfo.
  std::size_t context = 0;
  std::vector<Channel> channels;
  std::vector<std::string> slots;
  std::vector<std::string> entities;
  std::vector<std::string> classes;
  std::vector<StoredMember> members;
  std::string libtorch;  ///< Version that wrote it, for people.
  CheckpointExtras extras;
};

/// Largest file that is read. The weights of 10 000 series with a dense autoencoder each fit.
inline constexpr std::uint64_t kMaxCheckpointBytes = 4ULL << 30U;

/// The first 12 hex digits of the sha256 of members and weights: equal weights, equal version.
[[nodiscard]] std::string content_version(const Checkpoint& checkpoint);

/// Lays a checkpoint out as the bytes of a file:
///
///   8   magic "ANOMALYD"
///   4   format version, 4 manifest length (little-endian)
///   ... manifest: JSON with kind, context, channels, slots, members with options and the name and
///       shape of each weight, provenance, calibration length, versions of what wrote it
///   ... the weights, in the order of the manifest, then the calibration bytes
///   32  sha256 of everything before it
[[nodiscard]] std::vector<std::byte> encode(const Checkpoint& checkpoint);

/// Reads what `encode` wrote. The checksum is verified first; then every count and size against
/// its limit and against the bytes that are there. Nothing is allocated on the word of the file
/// and nothing in it is executed.
///
/// Lifetime  the weights of the result point into `bytes`.
/// Errors    kIncompatible: damaged, of another format version, or absurd; says what was found.
[[nodiscard]] Result<Checkpoint> decode(std::span<const std::byte> bytes);

/// Appends the sha256 that `decode` expects. For tests of what comes after the checksum.
[[nodiscard]] std::vector<std::byte> sealed(std::vector<std::byte> bytes);

/// Writes a file so that a reader sees the old one or the whole new one, and a crash of the host
/// after this returns leaves the new one. Errors: kUnavailable (the system's reason is named).
[[nodiscard]] Status write_atomically(const std::filesystem::path& path,
                                      std::span<const std::byte> bytes);

/// Reads a whole file of at most kMaxCheckpointBytes. Errors: kInvalid, kIncompatible (size).
[[nodiscard]] Result<std::vector<std::byte>> read_file(const std::filesystem::path& path);

}  // namespace anomalyd::models
