#include "tools/pace.hpp"

#include <algorithm>
#include <thread>

namespace anomalyd::tools {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::nanoseconds;

nanoseconds Pace::wait_for(EventTime time, MonotonicTime now) {
  if (!first_) {
    first_ = time;
    begin_ = now;
  }
  const std::size_t row = num_rows_++;
  MonotonicTime due = now;
  if (options_.rows_per_second > 0) {
    const duration<double> offset{static_cast<double>(row) / options_.rows_per_second};
    due = begin_ + duration_cast<nanoseconds>(offset);
  }
  const auto beyond = time - *first_ - options_.backfill;
  if (options_.speed > 0 && beyond > beyond.zero()) {
    if (!live_) {
      live_ = true;
      live_begin_ = now;
    }
    const duration<double> offset = duration<double>{beyond} / options_.speed;
    due = std::max(due, live_begin_ + duration_cast<nanoseconds>(offset));
  }
  return std::max<nanoseconds>(due - now, nanoseconds{0});
}

bool wait_unless(const std::atomic<bool>& stop, nanoseconds left) {
  constexpr nanoseconds kSlice = std::chrono::milliseconds{50};
  for (; left > left.zero() && !stop; left -= kSlice) {
    std::this_thread::sleep_for(std::min(left, kSlice));
  }
  return !stop;
}

}  // namespace anomalyd::tools
