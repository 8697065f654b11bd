#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/value.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::config {

template <typename T>
inline constexpr bool kIsDuration = false;
template <typename Rep, typename Period>
inline constexpr bool kIsDuration<std::chrono::duration<Rep, Period>> = true;

/// How a C++ type is written in YAML, and how it becomes a Value and back. A value that comes in is
/// of the right kind and within the range of its option; an error says what it still lacks.
template <typename T>
struct Conversion;

template <>
struct Conversion<bool> {
  static constexpr Kind kKind = Kind::kBool;
  static Value to_value(bool flag) { return flag; }
  static Status from_value(const Value& value, bool& flag) {
    flag = std::get<bool>(value);
    return {};
  }
};

template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char>) struct Conversion<T> {
  static constexpr Kind kKind = Kind::kInteger;
  static Value to_value(T number) { return static_cast<std::int64_t>(number); }
  static Status from_value(const Value& value, T& number) {
    number = static_cast<T>(std::get<std::int64_t>(value));  // the range was checked
    return {};
  }
};

template <std::floating_point T>
struct Conversion<T> {
  static constexpr Kind kKind = Kind::kNumber;
  static Value to_value(T number) { return static_cast<double>(number); }
  static Status from_value(const Value& value, T& number) {
    number = static_cast<T>(std::get<double>(value));
    return {};
  }
};

template <>
struct Conversion<std::string> {
  static constexpr Kind kKind = Kind::kText;
  static Value to_value(const std::string& text) { return text; }
  static Status from_value(const Value& value, std::string& text) {
    text = std::get<std::string>(value);
    return {};
  }
};

template <>
struct Conversion<char> {
  static constexpr Kind kKind = Kind::kText;
  static Value to_value(char character) { return std::string{character}; }
  static Status from_value(const Value& value, char& character) {
    const auto& text = std::get<std::string>(value);
    if (text.size() != 1) {
      return fail(ErrorKind::kInvalid, "'" + text + "' is not one character; expected one");
    }
    character = text.front();
    return {};
  }
};

template <>
struct Conversion<std::filesystem::path> {
  static constexpr Kind kKind = Kind::kText;
  static Value to_value(const std::filesystem::path& path) { return path.string(); }
  static Status from_value(const Value& value, std::filesystem::path& path) {
    path = std::get<std::string>(value);
    return {};
  }
};

template <typename T>
requires kIsDuration<T>
struct Conversion<T> {
  static constexpr Kind kKind = Kind::kDuration;
  static Value to_value(T duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration);
  }
  static Status from_value(const Value& value, T& duration) {
    const auto exact = std::get<std::chrono::microseconds>(value);
    duration = std::chrono::duration_cast<T>(exact);
    if (duration == exact) return {};
    return fail(
        ErrorKind::kInvalid,
        format_duration(exact) + " is too fine; expected multiples of " + format_duration(T{1}));
  }
};

template <>
struct Conversion<TextList> {
  static constexpr Kind kKind = Kind::kList;
  static Value to_value(const TextList& list) { return list; }
  static Status from_value(const Value& value, TextList& list) {
    list = std::get<TextList>(value);
    return {};
  }
};

/// Counts, such as the widths of layers.
template <>
struct Conversion<std::vector<std::size_t>> {
  static constexpr Kind kKind = Kind::kList;
  static Value to_value(const std::vector<std::size_t>& numbers) {
    TextList list;
    for (const std::size_t number : numbers) list.push_back(std::to_string(number));
    return list;
  }
  static Status from_value(const Value& value, std::vector<std::size_t>& numbers) {
    numbers.clear();
    for (const std::string& text : std::get<TextList>(value)) {
      const auto number = parse_scalar(Kind::kInteger, text);
      if (!number || *number < Value{std::int64_t{0}}) {
        return fail(ErrorKind::kInvalid,
                    "'" + text + "' cannot be read as a whole number; expected 0 or more");
      }
      numbers.push_back(static_cast<std::size_t>(std::get<std::int64_t>(*number)));
    }
    return {};
  }
};

template <>
struct Conversion<TextMap> {
  static constexpr Kind kKind = Kind::kMap;
  static Value to_value(const TextMap& map) { return map; }
  static Status from_value(const Value& value, TextMap& map) {
    map = std::get<TextMap>(value);
    return {};
  }
};

template <typename T>
struct Conversion<std::optional<T>> {
  static constexpr Kind kKind = Conversion<T>::kKind;
  static Value to_value(const std::optional<T>& maybe) {
    return maybe ? Conversion<T>::to_value(*maybe) : Value{};
  }
  static Status from_value(const Value& value, std::optional<T>& maybe) {
    return Conversion<T>::from_value(value, maybe.emplace());
  }
};

template <typename T>
struct WithoutOptional {
  using Type = T;
};
template <typename T>
struct WithoutOptional<std::optional<T>> {
  using Type = T;
};

}  // namespace anomalyd::config
