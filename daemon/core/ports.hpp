#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd {

/// A place in the input up to which everything is finished.
struct Position {
  PartitionId partition;
  Offset offset = 0;  ///< The next record to read.
};

/// What a Source tells its owner, from inside `Source::poll` and `Source::close`, on that thread.
class SourceHandler {
 public:
  virtual ~SourceHandler() = default;
  /// Consecutive records, of any mix of assigned partitions. Views die when this returns.
  virtual void on_records(std::span<const Record> records) = 0;
  /// Partitions come. Returns where to begin with each; a missing one begins at the committed
  /// offset.
  virtual std::vector<Position> on_assigned(const std::vector<PartitionId>& partitions) = 0;
  /// Partitions go, when this returns. `lost` ones already belong to somebody else: no commit.
  virtual void on_revoked(const std::vector<PartitionId>& partitions, bool lost) = 0;
  /// The end of a partition was reached; `offset` is the next one to come.
  virtual void on_end(const PartitionId& partition, Offset offset) = 0;
};

/// Records from Kafka topics or files. Every call from one thread: the polling thread.
class Source {
 public:
  virtual ~Source() = default;
  /// Waits at most `timeout` for records or events and hands them to the handler. Errors:
  /// kUnavailable (brokers away: call again), kInvalid (no permission, unknown topic).
  [[nodiscard]] virtual Status poll(std::chrono::milliseconds timeout, SourceHandler& handler) = 0;
  virtual void pause(std::span<const PartitionId> partitions) = 0;
  virtual void resume(std::span<const PartitionId> partitions) = 0;
  /// Commits without waiting; a failure is logged and made good by the next commit.
  virtual void commit(std::span<const Position> positions) = 0;
  /// Records behind the end of the partition, for every assigned one: (partition, lag).
  [[nodiscard]] virtual std::vector<std::pair<PartitionId, std::int64_t>> lag() const = 0;
  /// Gives the partitions back (on_revoked is called) after waiting for commits.
  virtual void close(SourceHandler& handler) = 0;
};

/// Where alerts go. Any thread.
class AlertSink {
 public:
  virtual ~AlertSink() = default;
  /// Sends `alert`, retrying as long as the broker is away. `done` runs once, on a thread of the
  /// sink, when the broker has acknowledged it, or with the error that made it give up.
  virtual void send(Alert alert, std::function<void(Status)> done) = 0;
  /// Waits until everything is acknowledged, at most `timeout`.
  [[nodiscard]] virtual Status flush(std::chrono::milliseconds timeout) = 0;
};

/// Where records that cannot be used go, with their bytes as they were. Any thread.
class DeadLetterSink {
 public:
  virtual ~DeadLetterSink() = default;
  virtual void send(const Record& record, const Rejected& why) = 0;
};

/// Where steps in the lives of models are told, beside the log on disk. Any thread.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  /// Sends a JSON object on one line about `group`; never waits.
  virtual void send(std::string_view group, std::string_view line) = 0;
};

/// Turns a record into rows. One decoder belongs to one input; polling thread only.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// The columns known so far. A record may append some; the pointer then changes.
  [[nodiscard]] virtual const std::shared_ptr<const Schema>& schema() const = 0;

  /// Receives the rows of a record: one value per column of the schema as of this call.
  using RowFn = std::function<void(std::string_view series, EventTime, std::span<const double>)>;
  /// Receives what could not be used: the record, or one of several rows in it.
  using RejectFn = std::function<void(Rejected)>;
  virtual void decode(const Record& record, const RowFn& row, const RejectFn& reject) = 0;
};

}  // namespace anomalyd
