#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>

#include "daemon/core/time.hpp"

namespace anomalyd::tools {

/// Says how long to wait before a row is published, so that rows come at a rate or as they did.
///
/// Pure: the caller passes `now` in and does the waiting. A publisher that is late is not told to
/// wait until it has caught up.
class Pace {
 public:
  struct Options {
    double rows_per_second = 0;             ///< 0: no limit.
    double speed = 0;                       ///< Seconds of the data per second here; 0: no limit.
    std::chrono::microseconds backfill{0};  ///< This much of the data goes without waiting first.
  };
  explicit Pace(Options options) : options_{options} {}

  /// How long to wait before the next row, which is of `time`.
  [[nodiscard]] std::chrono::nanoseconds wait_for(EventTime time, MonotonicTime now);

 private:
  Options options_;
  std::size_t num_rows_ = 0;
  MonotonicTime begin_{};           // when the first row was published
  std::optional<EventTime> first_;  // time of the first row
  MonotonicTime live_begin_{};      // when backfilling ended
  bool live_ = false;
};

/// Waits, at most `duration`, looking at `stop` often. False if it was set.
bool wait_unless(const std::atomic<bool>& stop, std::chrono::nanoseconds duration);

}  // namespace anomalyd::tools
