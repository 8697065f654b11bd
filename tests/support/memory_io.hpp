#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/ports.hpp"

namespace anomalyd::testing {

/// A log of records in memory that behaves as a Kafka topic does: offsets, commits, pause.
///
/// It outlives the sources that read it, so that a test can restart a daemon on it.
struct MemoryTopic {
  std::string name = "metrics";
  std::map<std::int32_t, std::vector<std::string>> records;  ///< By partition.
  /// Of each partition: what comes later has not been written yet. May grow while it is read.
  std::shared_ptr<std::atomic<std::size_t>> written =
      std::make_shared<std::atomic<std::size_t>>(std::numeric_limits<std::size_t>::max());
  std::map<std::int32_t, Offset> committed;
  std::set<std::int32_t> paused;
  std::size_t max_pauses_at_once = 0;
};

/// Reads a MemoryTopic. Polling thread only, but for `finished`.
class MemorySource final : public Source {
 public:
  explicit MemorySource(MemoryTopic& topic) : topic_{topic} {}

  Status poll(std::chrono::milliseconds, SourceHandler& handler) override {
    if (!assigned_) assign(handler);
    for (auto& [partition, next] : next_) {
      if (topic_.paused.contains(partition)) continue;
      const auto& log = topic_.records[partition];
      std::vector<Record> records;
      const auto end = static_cast<Offset>(std::min(log.size(), topic_.written->load()));
      for (; next < end && records.size() < 50; ++next) {
        Record record;
        record.topic = topic_.name;
        record.partition = partition;
        record.offset = next;
        record.value = log[static_cast<std::size_t>(next)];
        records.push_back(record);
      }
      if (!records.empty()) handler.on_records(records);
      if (next == end) handler.on_end({topic_.name, partition}, next);
    }
    return {};
  }
  void pause(std::span<const PartitionId> partitions) override {
    for (const auto& p : partitions) topic_.paused.insert(p.partition);
    topic_.max_pauses_at_once = std::max(topic_.max_pauses_at_once, topic_.paused.size());
  }
  void resume(std::span<const PartitionId> partitions) override {
    for (const auto& p : partitions) topic_.paused.erase(p.partition);
  }
  void commit(std::span<const Position> positions) override {
    for (const auto& p : positions) topic_.committed[p.partition.partition] = p.offset;
  }
  std::vector<std::pair<PartitionId, std::int64_t>> lag() const override {
    std::vector<std::pair<PartitionId, std::int64_t>> all;
    for (const auto& [partition, next] : next_) {
      const auto size = static_cast<Offset>(
          std::min(topic_.records.at(partition).size(), topic_.written->load()));
      all.push_back({{topic_.name, partition}, size - next});
    }
    return all;
  }
  void close(SourceHandler& handler) override {
    std::vector<PartitionId> all;
    for (const auto& [partition, next] : next_) all.push_back({topic_.name, partition});
    if (!all.empty()) handler.on_revoked(all, false);
    next_.clear();
  }

 private:
  void assign(SourceHandler& handler) {
    assigned_ = true;
    std::vector<PartitionId> all;
    for (const auto& [partition, log] : topic_.records) {
      all.push_back({topic_.name, partition});
      const auto committed = topic_.committed.find(partition);
      next_[partition] = committed == topic_.committed.end() ? 0 : committed->second;
    }
    for (const Position& begin : handler.on_assigned(all))
      next_[begin.partition.partition] = begin.offset;
  }

  MemoryTopic& topic_;
  bool assigned_ = false;
  std::map<std::int32_t, Offset> next_;
};

/// Keeps alerts. Corked, it holds acknowledgements back, as a broker that is away does.
class MemorySink final : public AlertSink {
 public:
  struct Log {
    std::mutex mutex;
    std::vector<Alert> alerts;
    bool corked = false;
    std::vector<std::function<void(Status)>> held;

    void uncork() {
      std::vector<std::function<void(Status)>> due;
      {
        const std::lock_guard lock{mutex};
        corked = false;
        due.swap(held);
      }
      for (auto& done : due) done({});
    }
    std::vector<Alert> copy() {
      const std::lock_guard lock{mutex};
      return alerts;
    }
  };
  explicit MemorySink(Log& log) : log_{log} {}
  void send(Alert alert, std::function<void(Status)> done) override {
    {
      const std::lock_guard lock{log_.mutex};
      log_.alerts.push_back(std::move(alert));
      if (log_.corked) {
        log_.held.push_back(std::move(done));
        return;
      }
    }
    done({});
  }
  Status flush(std::chrono::milliseconds) override { return {}; }

 private:
  Log& log_;
};

}  // namespace anomalyd::testing
