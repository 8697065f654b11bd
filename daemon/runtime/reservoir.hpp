#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/pipeline/judged_rows.hpp"
#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/row_codec.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

// A reservoir is a folder with one folder for each model group, named by the hash of the group's
// key, and in it segments: files of rows (see row_codec.hpp), numbered in the order of arrival.
// Blocks are appended to the newest one. A segment that is long enough is sealed: written anew with
// the rows of each series together. Segments are thinned by writing them anew, and never changed
// otherwise, so that a reader that has opened its files sees them as they were.

/// Reads a reservoir, also while a daemon, of this process or another, writes to it.
///
/// Threads  any; it keeps nothing but the path.
class ReservoirReader {
 public:
  struct Group {
    std::string key;  ///< pipeline::group_key of the channels.
    std::vector<Channel> channels;
    std::uint64_t bytes = 0;  ///< On disk.
    std::size_t segments = 0;
  };
  struct Groups {
    std::vector<Group> groups;  ///< By key.
    std::vector<Error> damage;  ///< Files that could not be read.
  };

  /// Which rows to read.
  struct Selection {
    std::vector<std::string> series{};  ///< Empty: all.
    std::size_t max_series = SIZE_MAX;  ///< Those with the lowest hashes: the same ones every time.
    std::int64_t from = std::numeric_limits<std::int64_t>::min();   ///< Microseconds: chunks with
    std::int64_t until = std::numeric_limits<std::int64_t>::max();  ///< rows in [from, until].
  };
  struct Rows {
    /// The chunks of each series in order of arrival; they may overlap. See pipeline::normal_rows.
    std::map<std::string, std::vector<pipeline::JudgedRows>> series;
    std::vector<Error> damage;  ///< Files that were left out, or read only in part.
  };

  struct SeriesSummary {
    std::size_t rows = 0;
    std::array<std::size_t, 5> by_mark{};                                ///< Indexed by RowMark.
    std::int64_t first_time = std::numeric_limits<std::int64_t>::max();  ///< Microseconds.
    std::int64_t last_time = std::numeric_limits<std::int64_t>::min();
  };
  struct Summary {
    Group group;
    std::map<std::string, SeriesSummary> series;
    SeriesSummary all;
    std::vector<Error> damage;
  };

  explicit ReservoirReader(std::filesystem::path folder) : folder_{std::move(folder)} {}

  /// The groups there are; none where there is no reservoir. Errors: kInvalid when the folder
  /// cannot be read.
  [[nodiscard]] Result<Groups> groups() const;
  /// Takes the memory that the rows take. Errors: kInvalid when there is no such group.
  [[nodiscard]] Result<Rows> read(const std::string& group, const Selection& selection) const;
  /// Reads all but the values. Errors: as read.
  [[nodiscard]] Result<Summary> summary(const std::string& group) const;
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  std::filesystem::path folder_;
};

/// Recent rows of every series with what was thought of them, to learn from again: on disk, bounded
/// in size and age, the newest whole and older ones ever thinner (see reservoir_decay.hpp).
///
/// Threads  one at a time, the disk thread; may wait for the disk. Reading: reader(), any thread.
/// Memory   rows wait in memory until there are enough for a block of their group, 32 MiB at most
///          of all groups; sealing and thinning hold a few segments of at most 64 MiB, unpacked.
/// Crash    what was in memory is gone, and a block that was not written to its end; both are rows
///          that the daemon reads again, for it flushes before a snapshot goes past them.
class Reservoir {
 public:
  struct Counters {
    std::uint64_t rows_written = 0;
    std::uint64_t rows_lost = 0;  ///< The disk was full, or would not take them.
    std::uint64_t rows_thinned = 0;
    std::uint64_t bytes_written = 0;  ///< Of appended blocks.
    std::uint64_t bytes_rewritten = 0;
    std::uint64_t segments_damaged = 0;
  };

  /// Makes the folder, cuts off what a crash has torn and sets damaged segments aside;
  /// take_troubles tells of both. Errors: kInvalid when the folder cannot be written to, or another
  /// process writes to it.
  static Result<Reservoir> open(std::filesystem::path folder, const ReservoirOptions& options);
  /// Writes what waits, as flush() does.
  ~Reservoir();
  Reservoir(Reservoir&&) = default;
  Reservoir& operator=(Reservoir&&) = delete;

  /// Takes chunks in, of any groups and series. Errors: kExhausted when the disk is full, kInvalid
  /// for other trouble with it or a chunk whose sizes do not agree; the rows concerned are lost and
  /// counted, and the next call tries again.
  Status append(std::span<const pipeline::JudgedRows> chunks);
  /// Writes what waits in memory, so that readers see it. Errors: as append.
  Status flush();

  /// What was wrong with files since the last call, for the log.
  [[nodiscard]] std::vector<Error> take_troubles();
  [[nodiscard]] ReservoirReader reader() const { return ReservoirReader{folder_}; }
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }  ///< On disk.

  /// Where the rows of a group are kept.
  [[nodiscard]] static std::filesystem::path folder_of(const std::filesystem::path& reservoir,
                                                       const std::string& group_key);

 private:
  struct Segment {
    std::uint64_t number = 0;
    StoredPiece piece{};
    std::uint64_t rows = 0;  // while it is not sealed
    bool sealed = false;
  };
  struct Group {
    std::filesystem::path folder;
    RowsHeader header;
    std::vector<Segment> segments;  // by number
    std::vector<RowChunk> pending;
    std::size_t pending_rows = 0;
  };

  Reservoir(std::filesystem::path folder, const ReservoirOptions& options, File lock)
      : folder_{std::move(folder)}, options_{options}, lock_{std::move(lock)} {}
  void load(const std::filesystem::path& group_folder);
  std::optional<Segment> load_segment(const std::filesystem::path& path, std::uint64_t number,
                                      std::vector<Channel>& channels);
  Result<Group*> group_of(const std::vector<Channel>& channels);
  Status take(const pipeline::JudgedRows& chunk);
  Status write_pending(Group& group);
  Status append_block(Group& group, std::span<const std::byte> block, const BlockHead& head);
  Status make_room();
  void thin(Group& group, std::uint64_t max_bytes, std::int64_t newest);
  Status rewrite(Group& group, std::size_t first, std::size_t count, const Thinning& thinning);
  void remove(Group& group, std::size_t first, std::size_t count);
  void set_aside(const std::filesystem::path& path, const std::string& why);
  [[nodiscard]] std::uint64_t segment_bytes() const;
  [[nodiscard]] static std::filesystem::path path_of(const Group& group, std::uint64_t number);

  std::filesystem::path folder_;
  ReservoirOptions options_;
  File lock_;
  std::map<std::string, Group> groups_;  // by key
  std::size_t pending_bytes_ = 0;
  std::uint64_t bytes_ = 0;
  Counters counters_;
  std::vector<Error> troubles_;
};

/// Writes rows to one file, exactly as they are: what a model version was trained on. The histories
/// have as many columns as there are channels. A file that is there is replaced as a whole.
/// Errors: kExhausted when the disk is full, kInvalid for other trouble with the file.
[[nodiscard]] Status write_rows(const std::filesystem::path& path,
                                const std::vector<Channel>& channels,
                                std::span<const pipeline::History> histories);

struct StoredRows {
  std::vector<Channel> channels;
  std::vector<pipeline::History> histories;  ///< As they were written, windowers included.
};
/// Reads what write_rows wrote. Errors: kInvalid when there is no such file, kIncompatible when it
/// is damaged, not whole, or of another version.
[[nodiscard]] Result<StoredRows> read_rows(const std::filesystem::path& path);

}  // namespace anomalyd::runtime
