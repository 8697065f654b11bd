#include "config/value.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <system_error>

namespace anomalyd::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t size;
};

// Largest first, so that formatting takes the first one that divides evenly.
constexpr std::array kDurations = {Unit{"w", 604'800'000'000},
                                   Unit{"d", 86'400'000'000},
                                   Unit{"h", 3'600'000'000},
                                   Unit{"m", 60'000'000},
                                   Unit{"s", 1'000'000},
                                   Unit{"ms", 1'000},
                                   Unit{"us", 1}};
constexpr std::array kSizes = {
    Unit{"GiB", 1 << 30}, Unit{"GB", 1'000'000'000}, Unit{"MiB", 1 << 20}, Unit{"MB", 1'000'000},
    Unit{"KiB", 1 << 10}, Unit{"kB", 1'000},         Unit{"B", 1}};

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "1.5s" with the units of durations is 1 500 000. Only what is exact, and not negative.
std::optional<std::int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  const std::size_t split = text.find_last_of("0123456789") + 1;
  const auto number = parse_number<double>(text.substr(0, split));
  if (!number || !(*number >= 0)) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != text.substr(split)) continue;
    const double total = *number * static_cast<double>(unit.size);
    constexpr double kExact = 9e15;  // below 2^53, so that a double holds every integer
    if (total > kExact || total != std::floor(total)) return std::nullopt;
    return static_cast<std::int64_t>(total);
  }
  return std::nullopt;
}

std::string format_with_unit(std::int64_t total, std::span<const Unit> units,
                             std::string_view zero) {
  if (total == 0) return std::string{zero};
  for (const Unit& unit : units) {
    if (total % unit.size == 0) return fmt::format("{}{}", total / unit.size, unit.name);
  }
  return {};
}

std::optional<Value> parse_bool(std::string_view text) {
  if (text == "true") return Value{true};
  if (text == "false") return Value{false};
  return std::nullopt;
}

template <typename T>
std::optional<Value> as_value(const std::optional<T>& parsed) {
  if (!parsed) return std::nullopt;
  return Value{*parsed};
}

}  // namespace

std::optional<std::chrono::microseconds> parse_duration(std::string_view text) {
  const auto total = parse_with_unit(text, kDurations);
  if (!total) return std::nullopt;
  return std::chrono::microseconds{*total};
}

std::string format_duration(std::chrono::microseconds duration) {
  const auto without_weeks = std::span{kDurations}.subspan(1);
  return format_with_unit(duration.count(), without_weeks, "0s");
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  return parse_with_unit(text, kSizes);
}

std::string format_bytes(std::int64_t bytes) { return format_with_unit(bytes, kSizes, "0B"); }

std::optional<Value> parse_scalar(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kBool: return parse_bool(text);
    case Kind::kInteger: return as_value(parse_number<std::int64_t>(text));
    case Kind::kNumber: {
      const auto number = parse_number<double>(text);
      return number && std::isfinite(*number) ? std::optional{Value{*number}} : std::nullopt;
    }
    case Kind::kText:
    case Kind::kChoice: return Value{std::string{text}};
    case Kind::kDuration: return as_value(parse_duration(text));
    case Kind::kBytes: return as_value(parse_bytes(text));
    case Kind::kList:
    case Kind::kMap:
    case Kind::kRecords: return std::nullopt;
  }
  return std::nullopt;
}

std::string format_scalar(Kind kind, const Value& value) {
  struct Formatter {
    Kind kind;
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const {
      return kind == Kind::kBytes ? format_bytes(number) : std::to_string(number);
    }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(std::chrono::microseconds duration) const {
      return format_duration(duration);
    }
    std::string operator()(const TextList&) const { return {}; }
    std::string operator()(const TextMap&) const { return {}; }
    std::string operator()(const RecordList&) const { return {}; }
  };
  return std::visit(Formatter{kind}, value);
}

}  // namespace anomalyd::config
