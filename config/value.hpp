#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace anomalyd::config {

using TextList = std::vector<std::string>;
using TextMap = std::map<std::string, std::string>;
using RecordList = std::vector<TextMap>;

/// The value of any option, between its text in YAML and its type in C++. Empty: not set.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string,
                           std::chrono::microseconds, TextList, TextMap, RecordList>;

/// How the value of an option is written.
enum class Kind : std::uint8_t {
  kBool,
  kInteger,
  kNumber,
  kText,
  kChoice,    ///< One of a few names.
  kDuration,  ///< "20ms", "30s", "7d": a number and its unit.
  kBytes,     ///< "64MiB": a number and its unit.
  kList,      ///< Texts; one text alone is a list of one.
  kMap,       ///< Names to texts.
  kRecords,   ///< Maps with the same few fields; a text alone is the first field.
};

/// Reads `text` as `kind`, one of the scalar kinds. nullopt when it is not one.
[[nodiscard]] std::optional<Value> parse_scalar(Kind kind, std::string_view text);

/// Writes a scalar value as `parse_scalar` reads it. An empty value gives "".
[[nodiscard]] std::string format_scalar(Kind kind, const Value& value);

/// Reads "500us", "20ms", "1.5s", "5m", "2h", "7d" or "1w".
[[nodiscard]] std::optional<std::chrono::microseconds> parse_duration(std::string_view text);
/// Writes with the largest unit that needs no fraction: "90s", "7d".
[[nodiscard]] std::string format_duration(std::chrono::microseconds duration);

/// Reads "512B", "64KiB", "1.5MiB", "2GiB" or, in thousands, "10kB", "10MB", "1GB".
[[nodiscard]] std::optional<std::int64_t> parse_bytes(std::string_view text);
[[nodiscard]] std::string format_bytes(std::int64_t bytes);

}  // namespace anomalyd::config
