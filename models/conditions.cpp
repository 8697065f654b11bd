#include "models/conditions.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <numbers>

namespace anomalyd::models {
namespace {

constexpr std::int64_t kMicrosPerMinute = 60'000'000;
constexpr std::int64_t kMinutesPerDay = 24 * 60;
constexpr std::int64_t kMostEntities = 512;
constexpr std::int64_t kMostOffset = 24 * 60;  // minutes
constexpr std::size_t kMostHolidays = 4096;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::vector<double> as_doubles(const std::vector<std::int64_t>& values) {
  return {values.begin(), values.end()};
}

// Any number of whole numbers, none if the option is absent.
Result<std::vector<std::int64_t>> optional_numbers(const MemberOptions& options,
                                                   std::string_view name, Range range,
                                                   std::size_t max_count) {
  const auto it = options.find(name);
  if (it == options.end() || it->second.empty()) return std::vector<std::int64_t>{};
  return whole_numbers(options, name, range, max_count);
}

}  // namespace

Result<std::int64_t> day_of(const std::string& date) {
  const auto wrong = [&] {
    return fail(ErrorKind::kInvalid, "found '" + date + "'; expected a date such as 2026-12-25");
  };
  int year = 0;
  unsigned month = 0, day = 0;
  if (date.size() != 10 || date[4] != '-' || date[7] != '-') return wrong();
  const auto read = [&](std::size_t from, std::size_t to, auto& value) {
    const auto [end, error] = std::from_chars(date.data() + from, date.data() + to, value);
    return error == std::errc{} && end == date.data() + to;
  };
  if (!read(0, 4, year) || !read(5, 7, month) || !read(8, 10, day)) return wrong();
  const std::chrono::year_month_day parsed{std::chrono::year{year}, std::chrono::month{month},
                                           std::chrono::day{day}};
  if (!parsed.ok()) return wrong();
  return std::chrono::sys_days{parsed}.time_since_epoch().count();
}

Result<Conditions> Conditions::parse(std::span<const std::string> names,
                                     std::span<const std::string> holidays, std::int64_t utc_offset,
                                     std::span<const Channel> channels, std::size_t num_series) {
  Conditions conditions;
  conditions.utc_offset = utc_offset;
  for (auto at = names.begin(); at != names.end(); ++at) {
    const std::string& name = *at;
    if (std::find(names.begin(), at, name) != at) {
      return fail(ErrorKind::kInvalid, "conditions: found '" + name + "' twice; expected it once");
    }
    if (name == "hour") {
      conditions.hour = true;
    } else if (name == "weekday") {
      conditions.weekday = true;
    } else if (name == "holiday") {
      conditions.holiday = true;
    } else if (name == "entity") {
      if (num_series > static_cast<std::size_t>(kMostEntities)) {
        return fail(ErrorKind::kInvalid, "conditions: found 'entity' and " +
                                             std::to_string(num_series) +
                                             " series; expected at most " +
                                             std::to_string(kMostEntities) + " to tell apart");
      }
      conditions.entities = static_cast<std::int64_t>(num_series);
    } else {
      const auto channel = std::ranges::find(channels, name, &Channel::name);
      if (channel == channels.end()) {
        return fail(ErrorKind::kInvalid,
                    "conditions: found '" + name +
                        "'; expected hour, weekday, holiday, entity or the name of a channel");
      }
      conditions.fields.push_back(channel - channels.begin());
    }
  }
  if (conditions.holiday && (holidays.empty() || holidays.size() > kMostHolidays)) {
    return fail(ErrorKind::kInvalid, "holidays: found " + std::to_string(holidays.size()) +
                                         "; expected 1.." + std::to_string(kMostHolidays) +
                                         " dates for the condition 'holiday'");
  }
  for (const std::string& date : holidays) {
    const auto day = day_of(date);
    if (!day) return fail(Error{day.error()}, "holidays");
    conditions.holidays.push_back(*day);
  }
  std::ranges::sort(conditions.holidays);
  return conditions;
}

Result<Conditions> Conditions::from_options(const MemberOptions& options) {
  const auto flags = optional_numbers(options, "calendar", {0, 1}, 3);
  if (!flags) return Failure{flags.error()};
  auto holidays = optional_numbers(options, "holidays", {-1e6, 1e6}, kMostHolidays);
  if (!holidays) return Failure{std::move(holidays.error())};
  const auto offset = optional_numbers(options, "utc_offset", {-kMostOffset, kMostOffset}, 1);
  if (!offset) return Failure{offset.error()};
  const auto entities = optional_numbers(options, "entities", {0, kMostEntities}, 1);
  if (!entities) return Failure{entities.error()};
  std::ranges::sort(*holidays);  // as `append` looks them up
  auto fields = optional_numbers(options, "fields", {0, 1 << 20}, 4096);
  if (!fields) return Failure{std::move(fields.error())};
  const auto flag = [&](std::size_t i) { return i < flags->size() && (*flags)[i] == 1; };
  return Conditions{.hour = flag(0),
                    .weekday = flag(1),
                    .holiday = flag(2),
                    .holidays = std::move(*holidays),
                    .utc_offset = offset->empty() ? 0 : offset->front(),
                    .entities = entities->empty() ? 0 : entities->front(),
                    .fields = std::move(*fields)};
}

void Conditions::add_to(MemberOptions& options) const {
  if (width() == 0) return;
  options["calendar"] = {hour ? 1.0 : 0.0, weekday ? 1.0 : 0.0, holiday ? 1.0 : 0.0};
  options["utc_offset"] = {static_cast<double>(utc_offset)};
  options["entities"] = {static_cast<double>(entities)};
  if (!holidays.empty()) options["holidays"] = as_doubles(holidays);
  if (!fields.empty()) options["fields"] = as_doubles(fields);
}

std::int64_t Conditions::width() const {
  return (hour ? 4 : 0) + (weekday ? 7 : 0) + (holiday ? 1 : 0) + entities +
         static_cast<std::int64_t>(fields.size());
}

void Conditions::append(std::int64_t time, std::uint32_t entity, std::span<const float> newest,
                        std::vector<float>& out) const {
  const std::int64_t minutes = floor_div(time, kMicrosPerMinute) + utc_offset;
  const std::int64_t day = floor_div(minutes, kMinutesPerDay);
  if (hour) {
    const double phase = 2 * std::numbers::pi *
                         static_cast<double>(minutes - day * kMinutesPerDay) /
                         static_cast<double>(kMinutesPerDay);
    for (const double wave : {phase, 2 * phase}) {
      out.push_back(static_cast<float>(std::sin(wave)));
      out.push_back(static_cast<float>(std::cos(wave)));
    }
  }
  if (weekday) {
    const std::int64_t today = ((day + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
    for (std::int64_t i = 0; i < 7; ++i) out.push_back(i == today ? 1.0F : 0.0F);
  }
  if (holiday) out.push_back(std::ranges::binary_search(holidays, day) ? 1.0F : 0.0F);
  for (std::int64_t i = 1; i <= entities; ++i) out.push_back(entity == i ? 1.0F : 0.0F);
  for (const std::int64_t field : fields) out.push_back(newest[static_cast<std::size_t>(field)]);
}

}  // namespace anomalyd::models
