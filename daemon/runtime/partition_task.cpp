#include "daemon/runtime/partition_task.hpp"

#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

namespace anomalyd::runtime {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kBytesInFlight = 8 << 20;

}  // namespace

PartitionTask::PartitionTask(const asio::any_io_executor& pool,
                             pipeline::PartitionPipeline pipeline, std::optional<Offset> begin,
                             const Outside& outside)
    : strand_{asio::make_strand(pool)},
      outside_{outside},
      pipeline_{std::move(pipeline)},
      finished_{begin},
      snapshot_at_{begin} {}

void PartitionTask::submit(SampleBlock block) {
  queued_bytes_ += block.byte_size();
  asio::post(strand_, [self = shared_from_this(), block = std::move(block),
                       arrived = outside_.clock.monotonic()]() mutable {
    self->waiting_.emplace_back(std::move(block), arrived);
    self->advance();
  });
}

void PartitionTask::change(std::function<void(pipeline::PartitionPipeline&)> change) {
  asio::post(strand_, [self = shared_from_this(), change = std::move(change)]() mutable {
    self->changes_.push_back(std::move(change));
    self->advance();
  });
}

void PartitionTask::install(std::shared_ptr<const pipeline::LearnedGroup> group) {
  change([group = std::move(group)](pipeline::PartitionPipeline& pipeline) {
    pipeline.install(group);
  });
}

void PartitionTask::hold(Held held) {
  change([self = shared_from_this(), held = std::move(held)](pipeline::PartitionPipeline&) mutable {
    self->held_ = self->snapshot_wanted_ = true;
    self->on_held_ = std::move(held);
  });
}

void PartitionTask::go_on(std::shared_ptr<const pipeline::LearnedGroup> group) {
  asio::post(strand_, [self = shared_from_this(), group = std::move(group)] {
    self->held_ = false;
    self->on_held_ = nullptr;
    if (group != nullptr) {
      self->pipeline_.install(group);
      self->score_changed();
      self->snapshot_wanted_ = true;
    }
    self->advance();
  });
}

/// Makes the changes that wait, if nothing is in flight.
bool PartitionTask::make_changes() {
  if (changes_.empty() || held_ || !blocks_.empty()) return false;
  const auto change = std::move(changes_.front());
  changes_.pop_front();
  change(pipeline_);
  score_changed();
  return true;
}

/// What a change makes the pipeline ask for belongs to no block of the input; a mark of its own
/// keeps the offset in place.
void PartitionTask::score_changed() {
  blocks_.push_back({finished_, 0, 0, outside_.clock.monotonic()});
  score_requests(first_block_ + blocks_.size() - 1);
}

void PartitionTask::snapshot() {
  asio::post(strand_, [self = shared_from_this()] {
    const bool nothing_new = self->finished_ == self->snapshot_at_ && self->blocks_.empty();
    if (nothing_new || self->pending_) return;
    self->snapshot_wanted_ = true;
    self->advance();
  });
}

void PartitionTask::retire(std::function<void()> done) {
  asio::post(strand_, [self = shared_from_this(), done = std::move(done)]() mutable {
    self->retired_ = std::move(done);
    self->advance();
  });
}

void PartitionTask::inspect(
    std::function<void(const pipeline::PartitionPipeline&, const Status&)> look) {
  asio::post(strand_, [self = shared_from_this(), look = std::move(look)] {
    look(self->pipeline_, self->status());
  });
}

void PartitionTask::score_requests(std::uint64_t block) {
  auto requests = pipeline_.take_requests();
  BlockMark& mark = blocks_[block - first_block_];
  mark.open_requests += requests.size();
  send_alerts(mark.arrived);  // data faults need no score
  for (auto& request : requests) {
    bytes_in_flight_ += request.byte_size();
    outside_.scoring.submit(
        std::move(request), [self = shared_from_this(), block](
                                pipeline::ScoreRequest back, Result<Residuals> residuals) mutable {
          asio::post(self->strand_, [self, block, back = std::move(back),
                                     residuals = std::move(residuals)]() mutable {
            self->on_scored(block, std::move(back), std::move(residuals));
          });
        });
  }
}

void PartitionTask::on_scored(std::uint64_t block, pipeline::ScoreRequest request,
                              Result<Residuals> residuals) {
  BlockMark& mark = blocks_[block - first_block_];
  if (!residuals && request.shadow) {
    outside_.on_challenger_failed(residuals.error());
    bytes_in_flight_ -= request.byte_size();
    pipeline_.give_up(request);
    --mark.open_requests;
    return advance();
  }
  if (!residuals) {
    // Rows without a verdict must not be committed away: the block stays open for ever.
    outside_.on_fatal(std::move(residuals.error()).while_doing("scoring"));
    return;
  }
  bytes_in_flight_ -= request.byte_size();
  pipeline_.judge(request, std::move(*residuals));
  --mark.open_requests;
  send_alerts(mark.arrived);
  send_record();
  advance();
}

void PartitionTask::send_alerts(MonotonicTime arrived) {
  for (Alert& alert : pipeline_.take_alerts()) {
    ++alerts_sent_;
    outside_.alerts.send(
        alert, [self = shared_from_this(), alert, arrived](anomalyd::Status status) {
          asio::post(self->strand_, [self, alert, arrived, status = std::move(status)] {
            self->on_acked(alert, arrived, status);
          });
        });
  }
}

void PartitionTask::send_record() {
  if (!outside_.on_record) return;
  if (auto record = pipeline_.take_record(); !record.empty()) outside_.on_record(std::move(record));
}

void PartitionTask::on_acked(const Alert& alert, MonotonicTime arrived,
                             const anomalyd::Status& status) {
  ++alerts_acked_;
  if (status) {
    const std::chrono::duration<double> took = outside_.clock.monotonic() - arrived;
    outside_.on_alert(alert, took.count());
  } else {
    outside_.on_trouble(Error{status.error()}.while_doing("publishing alert " + alert.id));
  }
  advance();
}

void PartitionTask::finish_blocks() {
  while (!blocks_.empty() && blocks_.front().open_requests == 0) {
    finished_ = blocks_.front().end;
    finished_at_ = outside_.clock.monotonic();
    queued_bytes_ -= blocks_.front().bytes;
    blocks_.pop_front();
    ++first_block_;
  }
}

/// Everything that waits for something else to finish looks here whether its time has come.
void PartitionTask::advance() {
  do {
    finish_blocks();
    while (make_changes()) finish_blocks();
    if (retired_ && at_rest() && !last_snapshot_) last_snapshot_ = snapshot_wanted_ = true;
    if (snapshot_wanted_ && blocks_.empty() && !pending_) take_snapshot();
    if (pending_ && !pending_->publishing && alerts_acked_ >= pending_->alerts) publish_snapshot();
  } while (take_in());
  if (on_held_ && blocks_.empty() && !snapshot_wanted_ && !pending_ && snapshot_at_ == finished_) {
    std::exchange(on_held_, nullptr)(finished_, pipeline_);
  }
  overdue_bytes_ = pipeline_.overdue_bytes();
  if (retired_ && last_snapshot_ && at_rest()) std::exchange(retired_, nullptr)();
}

bool PartitionTask::at_rest() const {
  return waiting_.empty() && blocks_.empty() && !snapshot_wanted_ && !pending_;
}

/// Windows take ten times the room of the samples they come from, so they are made only as fast as
/// they are judged; and none while a snapshot waits for those in flight.
bool PartitionTask::take_in() {
  if (waiting_.empty() || snapshot_wanted_ || held_ || !changes_.empty() ||
      bytes_in_flight_ >= kBytesInFlight)
    return false;
  const auto [block, arrived] = std::move(waiting_.front());
  waiting_.pop_front();
  pipeline_.ingest(block);
  for (pipeline::LiveSample& sample : pipeline_.take_samples()) {
    outside_.on_sample(std::move(sample));
  }
  blocks_.push_back({block.end(), block.byte_size(), 0, arrived});
  score_requests(first_block_ + blocks_.size() - 1);
  return true;
}

void PartitionTask::take_snapshot() {
  send_record();  // what a snapshot goes past is not in it
  if (finished_) {
    pending_ = {outside_.snapshots.begin(pipeline_.partition(), *finished_), *finished_,
                alerts_sent_};
    pipeline_.save(pending_->draft->state());
  }
  snapshot_wanted_ = false;
}

void PartitionTask::publish_snapshot() {
  pending_->publishing = true;
  asio::post(outside_.disk, [self = shared_from_this(), draft = pending_->draft] {
    if (self->outside_.before_publishing) self->outside_.before_publishing();
    asio::post(self->strand_,
               [self, published = draft->publish()] { self->on_published(published); });
  });
}

void PartitionTask::on_published(const anomalyd::Status& published) {
  const Offset offset = std::exchange(pending_, std::nullopt)->offset;
  if (published) {
    snapshot_at_ = offset;
    outside_.on_position({pipeline_.partition(), offset});
  } else {
    // Without the state on disk the offset stays; the next snapshot tries again.
    outside_.on_trouble(Error{published.error()}.while_doing("writing the snapshot"));
  }
  advance();
}

PartitionTask::Status PartitionTask::status() const {
  return {pipeline_.partition(),  pipeline_.counters(),  pipeline_.readiness(),
          pipeline_.num_series(), pipeline_.watermark(), finished_.value_or(0),
          finished_at_,           queued_bytes(),        alerts_sent_,
          alerts_acked_};
}

}  // namespace anomalyd::runtime
