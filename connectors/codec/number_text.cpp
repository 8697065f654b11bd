#include "connectors/codec/number_text.hpp"

#include <fast_float/fast_float.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace anomalyd::connectors {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_missing_text(std::string_view text) {
  constexpr std::array<std::string_view, 8> kMissing{"",    "null", "nan", "na",
                                                     "n/a", "none", "-",   "nil"};
  text = trimmed(text);
  return std::ranges::any_of(kMissing, [text](std::string_view word) {
    return std::ranges::equal(text, word, [](unsigned char a, char b) {
      return static_cast<char>(std::tolower(a)) == b;
    });
  });
}

}  // namespace anomalyd::connectors
