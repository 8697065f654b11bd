#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "daemon/core/ports.hpp"

namespace anomalyd {

/// A topic whose few records tell the daemon something. One thread.
class RecordFeed {
 public:
  using TakeFn = std::function<void(const Record&)>;
  virtual ~RecordFeed() = default;
  /// Waits at most `timeout` for records and hands them over one by one; a record's views die when
  /// `take` returns. Errors: as Source::poll.
  [[nodiscard]] virtual Status poll(std::chrono::milliseconds timeout, const TakeFn& take) = 0;
  /// Where each partition goes on.
  [[nodiscard]] virtual std::vector<Position> positions() const = 0;
};

}  // namespace anomalyd
