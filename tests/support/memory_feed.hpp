#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/core/record_feed.hpp"

namespace anomalyd::testing {

/// A topic of one partition that people write requests to; it outlives the feeds that read it. Any
/// thread.
class RequestRecords {
 public:
  void add(std::string record) {
    const std::lock_guard lock{mutex_};
    records_.push_back(std::move(record));
  }
  [[nodiscard]] Offset size() const {
    const std::lock_guard lock{mutex_};
    return static_cast<Offset>(records_.size());
  }
  [[nodiscard]] std::string at(Offset offset) const {
    const std::lock_guard lock{mutex_};
    return records_.at(static_cast<std::size_t>(offset));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> records_;
};

/// Reads one.
class MemoryFeed final : public RecordFeed {
 public:
  /// `at_end` is called whenever there is nothing more to read.
  MemoryFeed(
      const RequestRecords& records, Offset next, std::function<void()> at_end = [] {})
      : records_{records}, next_{next}, at_end_{std::move(at_end)} {}

  Status poll(std::chrono::milliseconds, const TakeFn& take) override {
    const Offset end = records_.size();
    if (next_ == end) {
      at_end_();
      std::this_thread::yield();
    }
    while (next_ < end) {
      const std::string value = records_.at(next_);
      Record record;
      record.topic = "said";
      record.offset = next_++;
      record.value = value;
      take(record);
    }
    return {};
  }
  [[nodiscard]] std::vector<Position> positions() const override { return {{{"said", 0}, next_}}; }

 private:
  const RequestRecords& records_;
  Offset next_;
  std::function<void()> at_end_;
};

}  // namespace anomalyd::testing
