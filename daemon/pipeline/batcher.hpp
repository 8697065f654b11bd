#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::pipeline {

/// Collects score requests of all partitions until a batch is worth a trip to the device.
///
/// A batch leaves when it is full, or when its oldest request has waited `max_delay`, whichever
/// comes first. So `max_delay` bounds the latency that batching adds; it is not a period. Requests
/// of one model group leave in the order in which they came; different groups never share a batch.
///
/// Pure and synchronous: no thread, no timer, no clock. Whoever owns a Batcher passes `now` in and
/// wakes it at `deadline()`. See daemon/runtime/scoring_loop.hpp for that owner.
class Batcher {
 public:
  struct Options {
    std::size_t max_windows = 4096;           ///< 1..1000000. A batch this large leaves at once.
    std::chrono::milliseconds max_delay{20};  ///< >= 0. Zero sends every request alone.
  };
  /// A request and who wants to know. `done` gets the request back with its residuals.
  struct Item {
    ScoreRequest request;
    std::function<void(ScoreRequest, Result<Residuals>)> done;
  };

  explicit Batcher(Options options) : options_{options} {}

  void add(Item item, MonotonicTime now);
  /// When `take_ready` must be called next; nullopt while empty.
  [[nodiscard]] std::optional<MonotonicTime> deadline() const noexcept;
  /// Requests of one group that are to be scored together now, oldest first; empty if none is due.
  [[nodiscard]] std::vector<Item> take_ready(MonotonicTime now);
  [[nodiscard]] std::size_t waiting_windows() const noexcept;

 private:
  struct Queue {
    std::shared_ptr<const LearnedGroup> group;
    std::deque<Item> items;
    std::size_t windows = 0;
    MonotonicTime oldest{};
  };
  Options options_;
  std::vector<Queue> queues_;  // one per group; few
};

/// One batch with the windows of all `items`, in order.
[[nodiscard]] Batch merge(const std::vector<Batcher::Item>& items);
/// Cuts the residuals of a merged batch into those of each item.
[[nodiscard]] std::vector<Residuals> split(const Residuals& residuals,
                                           const std::vector<Batcher::Item>& items);

}  // namespace anomalyd::pipeline
