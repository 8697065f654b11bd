#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/ports.hpp"
#include "daemon/core/time.hpp"
#include "daemon/runtime/partition_task.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

/// Polls the source, decodes records into blocks and hands these to the partition tasks.
///
/// Runs on   the polling thread, which makes every call of the source. stop(), commit() and the
///           figures: any thread.
/// Back-pressure  a partition whose task holds more than its part of `queue_bytes` is paused, and
///           goes on at half of that; polling itself never stops, so the group membership lives.
class PollLoop final : public SourceHandler {
 public:
  using Options = PollOptions;

  /// A task for a new partition, and where it begins if not at the committed offset.
  struct Assigned {
    std::shared_ptr<PartitionTask> task;
    std::optional<Offset> begin;
  };
  struct Outside {
    Source& source;
    Decoder& decoder;
    DeadLetterSink* dead_letters;  ///< nullptr: rejected records are only counted.
    Clock& clock;
    std::function<Assigned(const PartitionId&)> make_task;
    std::function<void(const PartitionId&)> on_gone;      ///< The task has retired.
    std::function<void(const Status&)> on_source_status;  ///< Of every poll that failed, or the
                                                          ///< first that worked again.
  };
  struct Figures {
    std::uint64_t records = 0;
    std::uint64_t samples = 0;
    std::uint64_t bytes = 0;
    std::uint64_t rebalances = 0;
    std::array<std::uint64_t, kNumRejectReasons> rejected{};
    std::vector<std::pair<PartitionId, std::int64_t>> lag;
    std::size_t paused = 0;
    bool at_end = false;  ///< Every assigned partition has been read to its end at least once.
    MonotonicTime last_poll{};
    MonotonicTime first_record{};
  };

  PollLoop(const Options& options, Outside outside);

  /// Polls until stop(); then gives the partitions back and returns.
  void run();
  /// Any thread.
  void stop();
  [[nodiscard]] bool stopping() const noexcept { return stopping_; }
  /// Waits before another try at something outside, less when stop() comes. Polling thread.
  void wait_to_retry(std::chrono::milliseconds time);
  /// Queues an offset for commit. Any thread.
  void commit(Position position);
  [[nodiscard]] Figures figures() const;

  void on_records(std::span<const Record> records) override;
  std::vector<Position> on_assigned(const std::vector<PartitionId>& partitions) override;
  void on_revoked(const std::vector<PartitionId>& partitions, bool lost) override;
  void on_end(const PartitionId& partition, Offset offset) override;

 private:
  struct Lane {
    std::shared_ptr<PartitionTask> task;
    std::optional<SampleBlock> block;  // being filled
    bool paused = false;
    bool at_end = false;
  };
  Lane* lane_of(const Record& record);
  void decode(Lane& lane, const Record& record);
  void add_row(std::string_view series, EventTime time, std::span<const double> values);
  void reject(const Rejected& why);
  void hand_over(Lane& lane);
  void balance();
  void commit_queued();
  void publish_figures();

  Options options_;
  Outside outside_;
  std::atomic<bool> stopping_{false};

  std::map<PartitionId, Lane> lanes_;  // polling thread only, and all below up to the mutex
  Lane* last_lane_ = nullptr;
  PartitionId last_partition_;
  Lane* lane_ = nullptr;               // of the record being decoded
  const Record* record_ = nullptr;     // being decoded
  const Decoder::RowFn on_row_;        // made once: a function object a record would cost more
  const Decoder::RejectFn on_reject_;  // than its parsing
  Figures current_;
  MonotonicTime lag_read_at_{};
  bool source_failed_ = false;

  mutable std::mutex mutex_;  // a strand would not do: the polling thread blocks in the source
  std::condition_variable stopped_;
  std::vector<Position> to_commit_;  // guarded by mutex_
  Figures published_;                // guarded by mutex_
};

}  // namespace anomalyd::runtime
