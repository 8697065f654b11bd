#pragma once

#include "daemon/core/time.hpp"

namespace anomalyd::testing {

/// A clock that a test moves. It starts at 2026-11-20T00:00:00Z.
class ManualClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return monotonic_; }
  EventTime wall() const override { return wall_; }

  void advance(std::chrono::microseconds time) {
    monotonic_ += time;
    wall_ += time;
  }

 private:
  MonotonicTime monotonic_{};
  EventTime wall_ = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20};
};

}  // namespace anomalyd::testing
