#include "tools/time_text.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

namespace anomalyd::tools {
namespace {

using std::chrono::microseconds;

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

EventTime from_epoch(double value) {
  double per_second = 1;
  while (value / per_second > 1e11) per_second *= 1000;  // 1e11 s is the year 5138
  return EventTime{microseconds{static_cast<std::int64_t>(value / per_second * 1e6)}};
}

/// "Z", "+02:00" or nothing, which is UTC.
std::optional<std::chrono::minutes> utc_offset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return std::chrono::minutes{0};
  int hours = 0;
  int minutes = 0;
  if (std::sscanf(std::string{text.substr(1)}.c_str(), "%2d:%2d", &hours, &minutes) != 2) {
    return std::nullopt;
  }
  if (text[0] != '+' && text[0] != '-') return std::nullopt;
  return std::chrono::minutes{(text[0] == '-' ? -1 : 1) * (hours * 60 + minutes)};
}

std::optional<EventTime> from_rfc3339(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &used) != 3) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                         std::chrono::day{day}};
  if (!date.ok()) return std::nullopt;
  const EventTime midnight = std::chrono::sys_days{date};
  const std::string_view rest = std::string_view{text}.substr(static_cast<std::size_t>(used));
  if (rest.empty()) return midnight;

  const std::size_t zone = std::min(rest.find_first_of("Zz+-"), rest.size());
  int hour = 0;
  int minute = 0;
  double second = 0;
  const std::string clock{rest.substr(0, zone)};
  if (std::sscanf(clock.c_str(), "%*1[Tt ]%2d:%2d:%lf", &hour, &minute, &second) != 3) {
    return std::nullopt;
  }
  const auto offset = utc_offset(rest.substr(zone));
  if (!offset || hour > 23 || minute > 59 || second >= 61) return std::nullopt;
  return midnight + std::chrono::hours{hour} + std::chrono::minutes{minute} +
         microseconds{static_cast<std::int64_t>(second * 1e6 + 0.5)} - *offset;
}

}  // namespace

Result<EventTime> parse_time(std::string_view text) {
  if (const auto value = number(text)) return from_epoch(*value);
  if (const auto time = from_rfc3339(std::string{text})) return *time;
  return fail(
      ErrorKind::kInvalid,
      fmt::format("'{}' is not a time; expected 2026-11-20T22:15:04Z or a number since 1970",
                  text));
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 6> kUnits = {
      {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"min", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto value = number(text.substr(0, digits));
  for (const auto& [unit, millis] : kUnits) {
    if (value && text.substr(digits) == unit) {
      return std::chrono::milliseconds{static_cast<std::int64_t>(*value * millis)};
    }
  }
  return fail(
      ErrorKind::kInvalid,
      fmt::format("'{}' is not a duration; expected one like 250ms, 30s, 15m, 2h or 7d", text));
}

}  // namespace anomalyd::tools
