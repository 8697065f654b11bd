#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::pipeline {

/// When something is done again and again: at an interval, at times of the calendar, or never.
///
/// Written as `24h` (a whole number of s, m, h, d or w; from 1m to 520w), as `never`, or as the
/// five fields of crontab(5), in UTC:
///
///   minute   hour   day of the month   month            day of the week
///   0-59     0-23   1-31               1-12, jan-dec    0-7, sun-sat (0 and 7 are Sunday)
///
/// Each is `*`, a value, a range `a-b`, one of those with a step (`*/15`, `8-18/2`), or a list of
/// such. Where neither day begins with `*`, either of them suffices, as in cron. What never occurs,
/// such as the 30th of February, is refused.
///
/// Pure: the time is passed in.
class Schedule {
 public:
  /// Never.
  Schedule() = default;

  /// Errors: kInvalid; the message says which field was found to be wrong, and what it may be.
  [[nodiscard]] static Result<Schedule> parse(std::string_view text);
  /// At an interval > 0.
  [[nodiscard]] static Schedule every(std::chrono::minutes interval);

  /// The first time behind `last` that it is due: `last` and the interval, or the next time of the
  /// calendar; nullopt if never.
  [[nodiscard]] std::optional<EventTime> next_after(EventTime last) const;

  /// As `parse` reads it.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  bool operator==(const Schedule&) const = default;

 private:
  /// One bit per value of each field.
  struct Calendar {
    std::uint64_t minutes = 0;
    std::uint64_t hours = 0;
    std::uint64_t days = 0;
    std::uint64_t months = 0;
    std::uint64_t weekdays = 0;
    bool either_day = false;  // of the month or of the week; else it takes both

    [[nodiscard]] bool has(std::chrono::sys_days day) const;
    bool operator==(const Calendar&) const = default;
  };
  [[nodiscard]] static Result<Calendar> parse_calendar(std::string_view text);

  std::string text_ = "never";
  std::chrono::microseconds interval_{0};  // 0: the calendar, if there is one
  std::optional<Calendar> calendar_;
};

/// A share of `most`, always the same for one key and evenly spread over keys: so that groups with
/// one schedule do not all train at once.
[[nodiscard]] std::chrono::microseconds jitter_of(std::string_view key,
                                                  std::chrono::microseconds most);

}  // namespace anomalyd::pipeline
