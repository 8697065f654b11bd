#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/ports.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::runtime {

/// A stretch of one partition that rows were taken from, both ends included.
struct DataRange {
  PartitionId partition;
  Offset first = 0;
  Offset last = 0;
  EventTime from;
  EventTime until;
  std::uint64_t rows = 0;  ///< Taken from it; the stretch may hold more.
  bool operator==(const DataRange&) const = default;
};

/// Rows of one series that were kept out of training, both ends included.
struct Exclusion {
  std::string series;
  EventTime from;
  EventTime until;
  std::string why;  ///< "incident 4f1c", "label", "suspicious", "gap".
  bool operator==(const Exclusion&) const = default;
};

/// What is known of one version of a model: where it came from and how it was judged.
///
/// It never changes once the version is in a registry, but for `pinned`.
struct Manifest {
  std::string version;  ///< As ModelInfo::version: 1..64 letters, digits, '-' and '_'.
  std::string group;    ///< Group key: see pipeline::group_key.
  std::vector<Channel> channels;
  std::string kind;
  std::string choice;  ///< As in ModelInfo.
  std::string parent;  ///< The version it followed or was rebuilt from; empty for the first.
  EventTime created;
  std::string code_version;  ///< Of the program that trained it.
  std::uint64_t seed = 0;
  std::string start;  ///< Version at whose weights its networks began; empty: new ones.
  std::string configuration = "{}";  ///< JSON object: the options that shaped it.

  std::uint64_t num_series = 0;
  std::vector<DataRange> data;
  std::vector<Exclusion> exclusions;
  std::map<std::string, std::uint64_t> excluded_rows;  ///< By reason.

  std::string calibration = "{}";  ///< JSON object: a summary for people.
  /// JSON object, as the promotion gate wrote it; {} without one. Only its texts `outcome` and
  /// `reason` are looked at: see gate_verdict.
  std::string gate = "{}";
  std::string reason;  ///< Why it was made: "cold start", "schedule", "drift", ...

  std::string sha256;       ///< Of the checkpoint file, 64 hex digits.
  std::uint64_t bytes = 0;  ///< Of the checkpoint file.
  bool pinned = false;      ///< Kept for ever.

  bool operator==(const Manifest&) const = default;
  [[nodiscard]] std::uint64_t num_rows() const;
};

/// Which version of a group serves, and since when.
struct Champion {
  std::string version;
  std::string previous;         ///< The one before; empty for the first.
  std::vector<Position> since;  ///< Per partition, the first offset judged by it; may be empty.
  EventTime promoted_at;
  std::string by;
  std::string why;
};

// As JSON documents for a person to read, with a line per field.
[[nodiscard]] std::string to_json(const Manifest& manifest);
[[nodiscard]] std::string to_json(const Champion& champion);

// Read what to_json wrote. Missing fields get their defaults, but for version, group, channels and
// sha256. Errors: kIncompatible; the field, what was found and what was expected are named.
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view text);
[[nodiscard]] Result<Champion> parse_champion(std::string_view text);

// The channels of a group, as its group.json has them. Errors: kIncompatible.
[[nodiscard]] std::string channels_to_json(const std::vector<Channel>& channels);
[[nodiscard]] Result<std::vector<Channel>> parse_channels(std::string_view text);

/// What the promotion gate came to and why: "passed", "refused". Empty where none has judged.
struct GateVerdict {
  std::string outcome;
  std::string reason;
};
[[nodiscard]] GateVerdict gate_verdict(const Manifest& manifest);

/// Whether `text` may be the name of a version, and so of files.
[[nodiscard]] bool is_version_name(std::string_view text);

/// Reads "2026-11-20T22:15:04.120Z", as to_rfc3339 writes it. Errors: kInvalid.
[[nodiscard]] Result<EventTime> parse_rfc3339(std::string_view text);

/// The version of this program, as manifests carry it.
[[nodiscard]] std::string_view code_version();

}  // namespace anomalyd::runtime
