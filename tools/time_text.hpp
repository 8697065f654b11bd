#pragma once

#include <chrono>
#include <string_view>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::tools {

/// Parses what a person or a file says of a time: RFC 3339, a date, or a number since 1970 whose
/// unit (s, ms, us, ns) follows from its size. Errors: kInvalid.
[[nodiscard]] Result<EventTime> parse_time(std::string_view text);

/// Parses "90s", "15m", "2h", "7d", "250ms". Errors: kInvalid, also for a bare number.
[[nodiscard]] Result<std::chrono::microseconds> parse_duration(std::string_view text);

}  // namespace anomalyd::tools
