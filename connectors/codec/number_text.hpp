#pragma once

#include <optional>
#include <string_view>

namespace anomalyd::connectors {

/// Reads all of `text`, spaces at its ends apart, as a decimal number; nullopt if it is none.
/// "nan" and "inf" are numbers for this function.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);

/// True for the ways in which people write "no value": "", "null", "NaN", "NA", "N/A", "None", "-".
[[nodiscard]] bool is_missing_text(std::string_view text);

/// Takes spaces, tabs and line ends off both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace anomalyd::connectors
