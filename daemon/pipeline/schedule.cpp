#include "daemon/pipeline/schedule.hpp"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <sstream>
#include <vector>

namespace anomalyd::pipeline {
namespace {

using std::chrono::days;
using std::chrono::microseconds;
using std::chrono::sys_days;

// The 29th of February may be eight years away, around 2100.
constexpr int kFarthestDays = 366 * 9;
constexpr microseconds kShortest = std::chrono::minutes{1};
constexpr microseconds kLongest = std::chrono::weeks{520};
constexpr int kSunday = 7;  // also 0

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int min;
  int max;
  std::span<const std::string_view> names{};  // of the values from min on
};
constexpr Field kMinute{"minute", 0, 59};
constexpr Field kHour{"hour", 0, 23};
constexpr Field kDay{"day of the month", 1, 31};
constexpr Field kMonth{"month", 1, 12, kMonths};
constexpr Field kWeekday{"day of the week", 0, kSunday, kWeekdays};

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> value_of(std::string_view text, const Field& field) {
  const auto named = std::ranges::find(field.names, text);
  if (named != field.names.end()) {
    return field.min + static_cast<int>(named - field.names.begin());
  }
  const auto value = number(text);
  return value && *value >= field.min && *value <= field.max ? value : std::nullopt;
}

Failure unusable(std::string_view part, const Field& field, std::string_view found) {
  return fail(
      ErrorKind::kInvalid,
      fmt::format("{} '{}': {}; expected *, {}..{}{}, a range a-b, a step such as */5, or a "
                  "list of them",
                  field.name, part, found, field.min, field.max,
                  field.names.empty()
                      ? std::string{}
                      : fmt::format(", {}..{}", field.names.front(), field.names.back())));
}

/// The bits of one entry of a list: "*", "5", "1-5", "*/15".
Result<std::uint64_t> entry_bits(std::string_view entry, const Field& field) {
  int step = 1;
  const std::size_t slash = entry.find('/');
  if (slash != std::string_view::npos) {
    const auto given = number(entry.substr(slash + 1));
    if (!given || *given < 1) return unusable(entry, field, "the step is not a positive number");
    step = *given;
  }
  const std::string_view range = entry.substr(0, slash);
  int first = field.min, last = field.max;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto from = value_of(range.substr(0, dash), field);
    auto to = from;
    if (dash != std::string_view::npos) to = value_of(range.substr(dash + 1), field);
    if (!from || !to) return unusable(entry, field, "not within its values");
    if (slash != std::string_view::npos && dash == std::string_view::npos) {
      return unusable(entry, field, "a step needs a range");
    }
    if (*to == 0 && *from > 0) to = kSunday;  // "fri-sun"
    if (*to < *from || *to > field.max) {
      return unusable(entry, field, "the range ends before it begins");
    }
    first = *from;
    last = *to;
  }
  std::uint64_t bits = 0;
  for (int value = first; value <= last; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

Result<std::uint64_t> field_bits(std::string_view text, const Field& field) {
  std::uint64_t bits = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    auto entry = entry_bits(text.substr(begin, end - begin), field);
    if (!entry) return entry;
    bits |= *entry;
    begin = end + 1;
  }
  return bits;
}

bool has_bit(std::uint64_t bits, unsigned value) { return ((bits >> value) & 1) != 0; }

std::vector<std::string> words_of(std::string_view text) {
  std::string lower{text};
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::istringstream stream{lower};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::optional<microseconds> duration_of(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const auto count = number(text.substr(0, text.size() - 1));
  if (!count || *count < 1) return std::nullopt;
  switch (text.back()) {
    case 's': return std::chrono::seconds{*count};
    case 'm': return std::chrono::minutes{*count};
    case 'h': return std::chrono::hours{*count};
    case 'd': return days{*count};
    case 'w': return std::chrono::weeks{*count};
    default: return std::nullopt;
  }
}

}  // namespace

Result<Schedule> Schedule::parse(std::string_view text) {
  const auto unusable = [&](std::string_view found) {
    return fail(ErrorKind::kInvalid,
                fmt::format("schedule '{}': {}; expected an interval such as 24h, five fields of "
                            "cron such as 0 3 * * *, or never",
                            text, found));
  };
  const auto words = words_of(text);
  Schedule schedule;
  schedule.text_ = fmt::format("{}", fmt::join(words, " "));
  if (schedule.text_ == "never") return schedule;
  if (words.size() == 1) {
    const auto interval = duration_of(words[0]);
    if (!interval) return unusable("not a schedule");
    if (*interval < kShortest || *interval > kLongest) return unusable("not within 1m..520w");
    schedule.interval_ = *interval;
    return schedule;
  }
  if (words.size() != 5) return unusable(fmt::format("{} fields", words.size()));
  auto calendar = parse_calendar(schedule.text_);
  if (!calendar) return unusable(calendar.error().message);
  schedule.calendar_ = *calendar;
  if (!schedule.next_after(EventTime{})) return unusable("there is no such day");
  return schedule;
}

Result<Schedule::Calendar> Schedule::parse_calendar(std::string_view text) {
  const auto words = words_of(text);
  Calendar calendar;
  const struct {
    const Field& field;
    std::uint64_t& bits;
  } fields[] = {{kMinute, calendar.minutes},
                {kHour, calendar.hours},
                {kDay, calendar.days},
                {kMonth, calendar.months},
                {kWeekday, calendar.weekdays}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto bits = field_bits(words[i], fields[i].field);
    if (!bits) return Failure{bits.error()};
    fields[i].bits = *bits;
  }
  if (has_bit(calendar.weekdays, kSunday)) calendar.weekdays |= 1;
  calendar.either_day = words[2].front() != '*' && words[4].front() != '*';
  return calendar;
}

Schedule Schedule::every(std::chrono::minutes interval) {
  Schedule schedule;
  schedule.interval_ = interval;
  const bool hours = interval % std::chrono::hours{1} == std::chrono::minutes{0};
  schedule.text_ =
      hours ? fmt::format("{}h", interval.count() / 60) : fmt::format("{}m", interval.count());
  return schedule;
}

bool Schedule::Calendar::has(sys_days day) const {
  const std::chrono::year_month_day date{day};
  if (!has_bit(months, static_cast<unsigned>(date.month()))) return false;
  const bool in_month = has_bit(days, static_cast<unsigned>(date.day()));
  const bool in_week = has_bit(weekdays, std::chrono::weekday{day}.c_encoding());
  return either_day ? in_month || in_week : in_month && in_week;
}

std::optional<EventTime> Schedule::next_after(EventTime last) const {
  if (interval_.count() > 0) return last + interval_;
  if (!calendar_) return std::nullopt;
  const auto first = std::chrono::floor<std::chrono::minutes>(last) + std::chrono::minutes{1};
  sys_days day = std::chrono::floor<days>(first);
  auto from = static_cast<unsigned>((first - day).count());  // minute of the day
  for (int i = 0; i < kFarthestDays; ++i, day += days{1}, from = 0) {
    if (!calendar_->has(day)) continue;
    for (unsigned minute = from; minute < 24 * 60; ++minute) {
      if (!has_bit(calendar_->hours, minute / 60)) continue;
      if (has_bit(calendar_->minutes, minute % 60)) return day + std::chrono::minutes{minute};
    }
  }
  return std::nullopt;
}

microseconds jitter_of(std::string_view key, microseconds most) {
  // The upper bits of the hash as a share of one.
  const auto share = static_cast<double>(XXH3_64bits(key.data(), key.size()) >> 11U) * 0x1p-53;
  return microseconds{static_cast<std::int64_t>(share * static_cast<double>(most.count()))};
}

}  // namespace anomalyd::pipeline
