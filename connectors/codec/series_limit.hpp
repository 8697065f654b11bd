#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "daemon/core/time.hpp"

namespace anomalyd::connectors {

/// Bounds how many different series an input may bring, in bounded memory.
///
/// Ids count for a day at least: when the limit is met and the last count began more than a day
/// ago, a new count begins. So a fleet whose members come and go is not refused for those that
/// went, and ids that were admitted in the last count are always admitted.
class SeriesLimit {
 public:
  SeriesLimit(std::size_t limit, Clock& clock)
      : limit_{limit}, clock_{clock}, since_{clock.monotonic()} {}

  /// True if `series` is known or may be new.
  [[nodiscard]] bool admit(std::string_view series);

 private:
  static constexpr std::chrono::hours kCountFor{24};

  std::size_t limit_;
  Clock& clock_;
  MonotonicTime since_;
  // Hashes instead of names: a collision, one in 2^64, admits one series too many.
  std::unordered_set<std::uint64_t> current_;
  std::unordered_set<std::uint64_t> previous_;
};

}  // namespace anomalyd::connectors
