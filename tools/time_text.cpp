#include "tools/time_text.hpp"

#include <fmt/format.h>

#include <string>

#include "config/value.hpp"
#include "connectors/codec/time_reader.hpp"

namespace anomalyd::tools {

Result<EventTime> parse_time(std::string_view text) {
  connectors::TimeReader reader{connectors::TimeReader::Unit::kAuto};
  constexpr std::size_t kDate = 10;  // "2026-11-20"
  const bool only_date = text.size() == kDate && text.find('-') != std::string_view::npos;
  const auto time =
      only_date ? reader.from_text(std::string{text} + "T00:00:00Z") : reader.from_text(text);
  if (time) return *time;
  return fail(
      ErrorKind::kInvalid,
      fmt::format("'{}' is not a time; expected 2026-11-20T22:15:04Z or a number since 1970",
                  text));
}

Result<std::chrono::microseconds> parse_duration(std::string_view text) {
  if (const auto duration = config::parse_duration(text)) return *duration;
  return fail(
      ErrorKind::kInvalid,
      fmt::format("'{}' is not a duration; expected one like 250ms, 30s, 15m, 2h or 7d", text));
}

}  // namespace anomalyd::tools
