#pragma once

#include <chrono>
#include <string>

namespace anomalyd {

/// When a sample was taken, in UTC. Comes with the data; drives windows, thresholds, incidents.
using EventTime = std::chrono::sys_time<std::chrono::microseconds>;

/// When something happens on this host. Drives deadlines; never compared with an EventTime.
using MonotonicTime = std::chrono::steady_clock::time_point;

/// The only door to the clocks of the host. Pure code takes `now` as an argument instead.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime monotonic() const = 0;
  [[nodiscard]] virtual EventTime wall() const = 0;  ///< For logs, schedules and clock-skew checks.
};

/// The clocks of the operating system. Any thread.
[[nodiscard]] Clock& system_clock();

/// Formats as RFC 3339 in UTC: "2026-11-20T22:15:04.120Z"; microseconds only where there are any.
[[nodiscard]] std::string to_rfc3339(EventTime time);

}  // namespace anomalyd
