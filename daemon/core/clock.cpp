#include <cstdio>

#include "daemon/core/time.hpp"

namespace anomalyd {
namespace {

class SystemClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return std::chrono::steady_clock::now(); }
  EventTime wall() const override {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

std::string to_rfc3339(EventTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  const auto micros = clock.subseconds().count();
  char text[48];
  int n = std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02ld:%02ld:%02ld.",
                        static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                        static_cast<unsigned>(date.day()), static_cast<long>(clock.hours().count()),
                        static_cast<long>(clock.minutes().count()),
                        static_cast<long>(clock.seconds().count()));
  const bool whole_millis = micros % 1000 == 0;
  std::snprintf(text + n, sizeof text - static_cast<std::size_t>(n),
                whole_millis ? "%03ldZ" : "%06ldZ",
                static_cast<long>(whole_millis ? micros / 1000 : micros));
  return text;
}

}  // namespace anomalyd
