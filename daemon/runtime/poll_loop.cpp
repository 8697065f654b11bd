#include "daemon/runtime/poll_loop.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <utility>

namespace anomalyd::runtime {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBlockBytes = 1 << 20;  // a block this large is handed over at once

}  // namespace

PollLoop::PollLoop(const Options& options, Outside outside)
    : options_{options},
      outside_{std::move(outside)},
      on_row_{[this](std::string_view series, EventTime time, std::span<const double> values) {
        add_row(series, time, values);
      }},
      on_reject_{[this](const Rejected& why) { reject(why); }} {}

void PollLoop::run() {
  while (!stopping_) {
    const Status polled = outside_.source.poll(options_.poll_timeout, *this);
    if (!polled || source_failed_) outside_.on_source_status(polled);
    source_failed_ = !polled;
    balance();
    commit_queued();
    publish_figures();
  }
  outside_.source.close(*this);
  publish_figures();
}

void PollLoop::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  stopped_.notify_all();
}

void PollLoop::wait_to_retry(std::chrono::milliseconds time) {
  std::unique_lock lock{mutex_};
  stopped_.wait_for(lock, time, [this] { return stopping_.load(); });
}

void PollLoop::commit(Position position) {
  const std::lock_guard lock{mutex_};
  to_commit_.push_back(std::move(position));
}

PollLoop::Figures PollLoop::figures() const {
  const std::lock_guard lock{mutex_};
  return published_;
}

void PollLoop::on_records(std::span<const Record> records) {
  if (current_.records == 0) current_.first_record = outside_.clock.monotonic();
  for (const Record& record : records) {
    Lane* lane = lane_of(record);
    if (lane == nullptr) continue;  // revoked while the records were on their way
    ++current_.records;
    current_.bytes += record.value.size();
    decode(*lane, record);
  }
  for (auto& [partition, lane] : lanes_) hand_over(lane);
}

PollLoop::Lane* PollLoop::lane_of(const Record& record) {
  if (last_lane_ != nullptr && record.partition == last_partition_.partition &&
      record.topic == last_partition_.topic) {
    return last_lane_;
  }
  last_partition_ = {std::string{record.topic}, record.partition};
  const auto found = lanes_.find(last_partition_);
  last_lane_ = found == lanes_.end() ? nullptr : &found->second;
  return last_lane_;
}

void PollLoop::decode(Lane& lane, const Record& record) {
  lane_ = &lane;
  record_ = &record;
  outside_.decoder.decode(record, on_row_, on_reject_);
  if (!lane.block) lane.block.emplace(last_partition_, outside_.decoder.schema());
  lane.block->set_end(record.offset + 1);
  if (lane.block->byte_size() >= kBlockBytes) hand_over(lane);
}

void PollLoop::add_row(std::string_view series, EventTime time, std::span<const double> values) {
  const auto& schema = outside_.decoder.schema();
  if (lane_->block && lane_->block->schema() != schema) hand_over(*lane_);
  if (!lane_->block) lane_->block.emplace(last_partition_, schema);
  lane_->block->append(series, time, record_->offset, values);
  ++current_.samples;
}

void PollLoop::reject(const Rejected& why) {
  const Record& record = *record_;
  const auto reason = static_cast<std::size_t>(why.reason);
  const std::uint64_t count = ++current_.rejected[reason];
  if ((count & (count - 1)) == 0) {  // the 1st, 2nd, 4th, 8th, ...: a bounded number of lines
    spdlog::warn("rejected record {} of {}[{}]: {}: {} ({} so far)", record.offset, record.topic,
                 record.partition, to_string(why.reason), why.detail, count);
  }
  if (outside_.dead_letters != nullptr) outside_.dead_letters->send(record, why);
}

void PollLoop::hand_over(Lane& lane) {
  if (!lane.block) return;
  lane.task->submit(std::move(*lane.block));
  lane.block.reset();
}

std::vector<Position> PollLoop::on_assigned(const std::vector<PartitionId>& partitions) {
  ++current_.rebalances;
  std::vector<Position> begin;
  for (const PartitionId& partition : partitions) {
    Assigned assigned = outside_.make_task(partition);
    if (assigned.begin) begin.push_back({partition, *assigned.begin});
    spdlog::info("assigned {}[{}]{}", partition.topic, partition.partition,
                 assigned.begin ? fmt::format(", going on at offset {}", *assigned.begin) : "");
    Lane lane;
    lane.task = std::move(assigned.task);
    lanes_.insert_or_assign(partition, std::move(lane));
  }
  last_lane_ = nullptr;
  return begin;
}

void PollLoop::on_revoked(const std::vector<PartitionId>& partitions, bool lost) {
  ++current_.rebalances;
  last_lane_ = nullptr;
  std::vector<std::future<void>> retired;
  for (const PartitionId& partition : partitions) {
    const auto found = lanes_.find(partition);
    if (found == lanes_.end()) continue;
    hand_over(found->second);
    auto done = std::make_shared<std::promise<void>>();
    retired.push_back(done->get_future());
    found->second.task->retire([done] { done->set_value(); });
  }
  const MonotonicTime deadline = outside_.clock.monotonic() + options_.drain_timeout;
  std::size_t unfinished = 0;
  for (auto& future : retired) {
    if (future.wait_until(deadline) != std::future_status::ready) ++unfinished;
  }
  if (unfinished > 0) {
    spdlog::warn("{} of {} partitions did not finish within {} ms; what is missing is read again",
                 unfinished, retired.size(), options_.drain_timeout.count());
  }
  if (lost) {
    const std::lock_guard lock{mutex_};
    to_commit_.clear();
  } else {
    commit_queued();
  }
  for (const PartitionId& partition : partitions) {
    lanes_.erase(partition);
    outside_.on_gone(partition);
  }
}

void PollLoop::on_end(const PartitionId& partition, Offset) {
  const auto found = lanes_.find(partition);
  if (found != lanes_.end()) found->second.at_end = true;
}

/// Pauses what is behind, resumes what has caught up.
void PollLoop::balance() {
  std::vector<PartitionId> pause, resume;
  const std::size_t limit = options_.queue_bytes / std::max<std::size_t>(lanes_.size(), 1);
  for (auto& [partition, lane] : lanes_) {
    const std::size_t queued = lane.task->queued_bytes();
    if (!lane.paused && queued > limit) {
      lane.paused = true;
      pause.push_back(partition);
    } else if (lane.paused && queued < limit / 2) {
      lane.paused = false;
      resume.push_back(partition);
    }
  }
  if (!pause.empty()) outside_.source.pause(pause);
  if (!resume.empty()) outside_.source.resume(resume);
}

void PollLoop::commit_queued() {
  std::vector<Position> positions;
  {
    const std::lock_guard lock{mutex_};
    positions = std::exchange(to_commit_, {});
  }
  std::erase_if(positions, [&](const Position& p) { return !lanes_.contains(p.partition); });
  if (!positions.empty()) outside_.source.commit(positions);
}

void PollLoop::publish_figures() {
  const MonotonicTime now = outside_.clock.monotonic();
  if (now - lag_read_at_ > 500ms) {
    current_.lag = outside_.source.lag();
    lag_read_at_ = now;
  }
  current_.last_poll = now;
  current_.paused = static_cast<std::size_t>(std::count_if(
      lanes_.begin(), lanes_.end(), [](const auto& entry) { return entry.second.paused; }));
  current_.at_end = !lanes_.empty() && std::all_of(lanes_.begin(), lanes_.end(),
                                                   [](const auto& e) { return e.second.at_end; });
  const std::lock_guard lock{mutex_};
  published_ = current_;
}

}  // namespace anomalyd::runtime
