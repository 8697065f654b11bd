#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/time.hpp"

namespace anomalyd {

/// Position of a record in its partition.
using Offset = std::int64_t;

/// One partition of one input topic. For files: the path and 0.
struct PartitionId {
  std::string topic;
  std::int32_t partition = 0;
  auto operator<=>(const PartitionId&) const = default;
};

/// One measured quantity of a series: a column.
struct Channel {
  std::string name;  ///< As in the record, or the plain name the configuration gives it.
  std::string unit;  ///< For people only; may be empty.
  bool operator==(const Channel&) const = default;
};

/// The columns of the rows of a topic, in order. Columns are only ever appended, so a row of an
/// older, narrower schema is a row of the newer one with missing cells at its end.
struct Schema {
  std::vector<Channel> channels;
  [[nodiscard]] std::size_t width() const noexcept { return channels.size(); }
};

/// One row of one series, seen inside a SampleBlock.
struct Sample {
  std::string_view series;
  EventTime time;
  Offset offset = 0;
  /// One per column; NaN where missing. Double: counters are large.
  std::span<const double> values;
};

/// Samples decoded from consecutive records of one partition, in record order.
///
/// The unit of work that crosses threads. It covers the records [begin, end) of its partition,
/// including those that gave no sample because they were rejected: when the block is finished,
/// all of them are.
class SampleBlock {
 public:
  SampleBlock(PartitionId partition, std::shared_ptr<const Schema> schema)
      : partition_{std::move(partition)}, schema_{std::move(schema)} {}

  /// Adds a row. `values` has one entry per column of the schema; NaN where missing.
  void append(std::string_view series, EventTime time, Offset offset,
              std::span<const double> values);

  /// Says that every record up to, not including, `end` is covered by this block.
  void set_end(Offset end) noexcept { end_ = end; }

  [[nodiscard]] const PartitionId& partition() const noexcept { return partition_; }
  [[nodiscard]] const std::shared_ptr<const Schema>& schema() const noexcept { return schema_; }
  [[nodiscard]] Offset end() const noexcept { return end_; }
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  [[nodiscard]] Sample operator[](std::size_t i) const noexcept;
  /// Memory held, in bytes: what byte-bounded queues count.
  [[nodiscard]] std::size_t byte_size() const noexcept;

 private:
  struct Row {
    EventTime time;
    Offset offset;
    std::uint32_t name_begin;
    std::uint32_t name_size;
  };
  PartitionId partition_;
  std::shared_ptr<const Schema> schema_;
  Offset end_ = 0;
  std::vector<Row> rows_;
  std::string names_;           // series names, back to back; repeats share one entry
  std::vector<double> values_;  // [rows x width], row-major
};

/// A name and value that a record carries beside its value.
struct Header {
  std::string_view name;
  std::string_view value;
};

/// A record as a Source hands it over. The views are valid only during the hand-over.
struct Record {
  std::int32_t partition = 0;
  std::string_view topic;
  Offset offset = 0;
  std::optional<EventTime> timestamp;  ///< The record's own time, if the source has one.
  std::string_view key;
  std::string_view value;
  std::span<const Header> headers{};  ///< Only those that the source was asked for.
};

/// Why a record or a row of it could not be used. Names are metric labels: see `to_string`.
enum class RejectReason : std::uint8_t {
  kMalformed,        ///< Not the declared format: bad JSON, CSV or line protocol.
  kWrongType,        ///< A field has a type that cannot be a number, time or name.
  kNoSeries,         ///< No series id in key or fields.
  kNoTime,           ///< No time in the record and none on it.
  kTimeAbsurd,       ///< Before 1990 or too far in the future.
  kNoChannels,       ///< No value in it at all.
  kTooLong,          ///< Longer than `input.max_record_bytes`.
  kTooManySeries,    ///< A new series beyond `input.max_series`.
  kTooManyChannels,  ///< A new channel beyond `input.max_channels`.
};
inline constexpr std::size_t kNumRejectReasons = 9;

/// The reason in snake case, as in metrics, logs and dead-letter headers.
[[nodiscard]] std::string_view to_string(RejectReason reason);

/// A record that cannot be used. It counts as finished, so that offsets move on.
struct Rejected {
  RejectReason reason;
  std::string detail;  ///< One sentence with what was found and what was expected.
};

}  // namespace anomalyd
