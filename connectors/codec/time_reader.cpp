#include "connectors/codec/time_reader.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "connectors/codec/number_text.hpp"

namespace anomalyd::connectors {
namespace {

using std::chrono::microseconds;

// Microseconds in one unit; below one for nanoseconds.
double micros_per(SampleDecoder::TimeUnit unit) {
  switch (unit) {
    case SampleDecoder::TimeUnit::kSeconds: return 1e6;
    case SampleDecoder::TimeUnit::kMillis: return 1e3;
    case SampleDecoder::TimeUnit::kMicros: return 1;
    case SampleDecoder::TimeUnit::kNanos: return 1e-3;
    case SampleDecoder::TimeUnit::kAuto:
    case SampleDecoder::TimeUnit::kRfc3339: break;
  }
  return std::nan("");
}

// Takes `digits` digits off the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc{} || end != text.data() + digits || value < 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<microseconds> take_fraction(std::string_view& text) {
  if (!take(text, ".,")) return microseconds{0};
  std::int64_t micros = 0;
  std::int64_t scale = 100'000;
  std::size_t n = 0;
  for (; n < text.size() && text[n] >= '0' && text[n] <= '9'; ++n, scale /= 10) {
    micros += (text[n] - '0') * scale;
  }
  if (n == 0) return std::nullopt;
  text.remove_prefix(n);
  return microseconds{micros};
}

std::optional<std::chrono::minutes> take_zone(std::string_view& text) {
  if (text.empty() || take(text, "Zz")) return std::chrono::minutes{0};
  const int sign = text.front() == '-' ? -1 : 1;
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_digits(text, 2);
  take(text, ":");
  const auto minutes = take_digits(text, 2);
  if (!hours || !minutes) return std::nullopt;
  return std::chrono::minutes{sign * (*hours * 60 + *minutes)};
}

}  // namespace

std::optional<EventTime> parse_rfc3339(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !take(text, "Tt ")) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return std::nullopt;

  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  // 60 is a leap second; it becomes the first second of the next minute.
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return EventTime{std::chrono::sys_days{date} + std::chrono::hours{*hour} +
                   std::chrono::minutes{*minute} + std::chrono::seconds{*second} + *fraction -
                   *zone};
}

void TimeReader::select(std::string_view topic) {
  if (topic == topic_) return;
  topic_ = topic;
  const auto known =
      std::ranges::find(frozen_, topic, [](const auto& entry) { return entry.first; });
  selected_ = known == frozen_.end() ? Unit::kAuto : known->second;
}

TimeReader::Unit TimeReader::unit_for(double value) const {
  if (configured_ != Unit::kAuto) return configured_;
  if (selected_ != Unit::kAuto) return selected_;
  const double magnitude = std::abs(value);
  if (magnitude < 1e11) return Unit::kSeconds;
  if (magnitude < 1e14) return Unit::kMillis;
  if (magnitude < 1e17) return Unit::kMicros;
  return Unit::kNanos;
}

std::optional<EventTime> TimeReader::from_integer(std::int64_t value) {
  last_unit_ = unit_for(static_cast<double>(value));
  const double scale = micros_per(last_unit_);
  if (!(std::abs(static_cast<double>(value)) * scale < 9e18)) return std::nullopt;
  const std::int64_t micros =
      last_unit_ == Unit::kNanos ? value / 1000 : value * static_cast<std::int64_t>(scale);
  return EventTime{microseconds{micros}};
}

std::optional<EventTime> TimeReader::from_real(double value) {
  last_unit_ = unit_for(value);
  const double micros = value * micros_per(last_unit_);
  if (!(std::abs(micros) < 9e18)) return std::nullopt;
  return EventTime{microseconds{std::llround(micros)}};
}

std::optional<EventTime> TimeReader::from_text(std::string_view text) {
  text = trimmed(text);
  if (configured_ == Unit::kAuto || configured_ == Unit::kRfc3339) {
    if (const auto time = parse_rfc3339(text)) {
      last_unit_ = Unit::kRfc3339;
      return time;
    }
  }
  std::int64_t integer = 0;
  const char* const end = text.data() + text.size();
  if (const auto [rest, error] = std::from_chars(text.data(), end, integer);
      error == std::errc{} && rest == end) {
    return from_integer(integer);
  }
  const auto real = parse_number(text);
  return real ? from_real(*real) : std::nullopt;
}

void TimeReader::confirm() {
  if (configured_ != Unit::kAuto || selected_ != Unit::kAuto) return;
  if (last_unit_ == Unit::kAuto || last_unit_ == Unit::kRfc3339) return;
  selected_ = last_unit_;
  frozen_.emplace_back(topic_, selected_);
}

}  // namespace anomalyd::connectors
