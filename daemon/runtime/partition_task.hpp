#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/strand.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/core/ports.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/partition_pipeline.hpp"
#include "daemon/runtime/scoring_loop.hpp"
#include "daemon/runtime/snapshot_store.hpp"

namespace anomalyd::runtime {

/// One assigned partition: runs its PartitionPipeline and decides how far its offsets may move on.
///
/// Runs on   its own strand, and nowhere else; members are strand-confined, hence no mutex.
///           Functions marked "any thread" only post to the strand or read an atomic.
/// Lifetime  shared: every handler and every callback in flight holds a reference, so a task ends
///           after its last score and its last acknowledgement.
/// Commits   a snapshot is drafted when every verdict below an offset is final. It is published,
///           and the offset handed to `on_position`, once every alert made below it is
///           acknowledged. So a restart finds state and offset that belong together.
class PartitionTask : public std::enable_shared_from_this<PartitionTask> {
 public:
  struct Outside {
    ScoringLoop& scoring;
    AlertSink& alerts;
    const SnapshotStore& snapshots;
    boost::asio::any_io_executor disk;  ///< May wait for the disk, where the pool must not.
    Clock& clock;
    /// Everything below the position is finished and on disk. Runs on the strand.
    std::function<void(Position)> on_position;
    /// Something an operator should see. Runs on the strand.
    std::function<void(const Error&)> on_trouble;
    /// Rows cannot be judged: the daemon must stop, so that a restart reads them again. Strand.
    std::function<void(const Error&)> on_fatal;
    /// An alert was acknowledged `seconds` after its row was handed to submit(). Any thread.
    std::function<void(const Alert&, double seconds)> on_alert;
    /// Rows have been judged. Runs on the strand; empty if nobody keeps them.
    std::function<void(std::vector<pipeline::JudgedRows>)> on_record{};
    /// A snapshot goes past the rows that on_record was given so far, and is published next. Runs
    /// on `disk`; empty if nobody keeps them.
    std::function<void()> before_publishing{};
    /// Rows of a series have been copied for a self-test. Runs on the strand.
    std::function<void(pipeline::LiveSample)> on_sample{};
    /// A challenger could not score; it judges no more. Runs on the strand.
    std::function<void(const Error&)> on_challenger_failed{};
  };
  /// What the rest of the daemon may see; a copy.
  struct Status {
    PartitionId partition;
    pipeline::PipelineCounters counters;
    pipeline::Readiness readiness;
    std::size_t num_series = 0;
    EventTime watermark{};
    Offset finished = 0;           ///< Everything below it; 0 before the first record.
    MonotonicTime finished_at{};   ///< When the last block was finished.
    std::size_t queued_bytes = 0;  ///< Of samples that are not finished.
    std::uint64_t alerts_sent = 0;
    std::uint64_t alerts_acked = 0;
  };

  /// `begin`: where a snapshot says to go on; nullopt leaves that to the offsets of the group.
  PartitionTask(const boost::asio::any_io_executor& pool, pipeline::PartitionPipeline pipeline,
                std::optional<Offset> begin, const Outside& outside);

  /// Hands over samples. Any thread, in offset order, until retire().
  void submit(SampleBlock block);
  /// Bytes of blocks that are not finished, and of rows whose model is overdue: what back-pressure
  /// looks at. Any thread.
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_ + overdue_bytes_; }
  /// Runs `change` on the strand when nothing is in flight, and before anything more is taken in.
  /// What it makes the pipeline ask for is scored like rows. Any thread.
  void change(std::function<void(pipeline::PartitionPipeline&)> change);
  /// Any thread.
  void install(std::shared_ptr<const pipeline::LearnedGroup> group);
  /// Takes nothing more in. When nothing is in flight and a snapshot of that is on disk, `held`
  /// runs on the strand with the offset up to which everything is judged (nullopt: nothing was
  /// read) and the pipeline: whatever is changed on disk now, a restart goes on from here. Any
  /// thread.
  using Held = std::function<void(std::optional<Offset>, const pipeline::PartitionPipeline&)>;
  void hold(Held held);
  /// Goes on after hold(), with `group` as the model that judges the next row if it is not null,
  /// and takes a snapshot then. Any thread.
  void go_on(std::shared_ptr<const pipeline::LearnedGroup> group);
  /// Takes a snapshot as soon as nothing is in flight; at most one at a time. Any thread.
  void snapshot();
  /// Finishes what was submitted, takes a last snapshot, then runs `done`. Any thread, once.
  void retire(std::function<void()> done);
  /// Runs `look` on the strand with the pipeline. Any thread.
  void inspect(std::function<void(const pipeline::PartitionPipeline&, const Status&)> look);

 private:
  struct BlockMark {
    std::optional<Offset> end;
    std::size_t bytes;
    std::size_t open_requests;
    MonotonicTime arrived;
  };

  [[nodiscard]] bool take_in();
  [[nodiscard]] bool at_rest() const;
  void score_requests(std::uint64_t block);
  void on_scored(std::uint64_t block, pipeline::ScoreRequest request, Result<Residuals> residuals);
  void send_alerts(MonotonicTime arrived);
  void on_acked(const Alert& alert, MonotonicTime arrived, const anomalyd::Status& status);
  void send_record();
  void finish_blocks();
  [[nodiscard]] bool make_changes();
  void score_changed();
  void advance();
  void take_snapshot();
  void publish_snapshot();
  void on_published(const anomalyd::Status& published);
  [[nodiscard]] Status status() const;

  boost::asio::strand<boost::asio::any_io_executor> strand_;
  Outside outside_;
  std::atomic<std::size_t> queued_bytes_{0};
  std::atomic<std::size_t> overdue_bytes_{0};

  // Strand-confined from here on.
  pipeline::PartitionPipeline pipeline_;
  std::deque<BlockMark> blocks_;     // taken in, not finished; oldest first
  std::uint64_t first_block_ = 0;    // number of blocks_.front()
  std::size_t bytes_in_flight_ = 0;  // of requests that are not judged
  std::deque<std::pair<SampleBlock, MonotonicTime>> waiting_;  // submitted, not taken in
  std::optional<Offset> finished_;  // nullopt: nothing was read, so there is nothing to commit
  MonotonicTime finished_at_{};
  std::deque<std::function<void(pipeline::PartitionPipeline&)>> changes_;  // wait for quiescence
  bool held_ = false;
  Held on_held_;  // waits for the snapshot
  bool snapshot_wanted_ = false;
  bool last_snapshot_ = false;  // the one before retiring has been taken
  struct PendingSnapshot {
    std::shared_ptr<SnapshotStore::Draft> draft;
    Offset offset;
    std::uint64_t alerts;  // to be acknowledged before it may be published
    bool publishing = false;
  };
  std::optional<PendingSnapshot> pending_;
  std::optional<Offset> snapshot_at_;
  std::uint64_t alerts_sent_ = 0;
  std::uint64_t alerts_acked_ = 0;
  std::function<void()> retired_;
};

}  // namespace anomalyd::runtime
