#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace anomalyd::config {

/// One mistake of the operator, with the place to correct it.
struct Problem {
  int line = 0;             ///< From 1; 0 when the mistake has no place, as a missing section.
  int column = 0;           ///< From 1.
  std::string path = {};    ///< "window.length"; empty when the file itself cannot be read.
  std::string what = {};    ///< "<what was found>; expected <what>", no trailing period.
  std::string source = {};  ///< The line, its secrets masked; empty when it should not be shown.

  bool operator==(const Problem&) const = default;
};

/// Who speaks, and what the problems prevented.
struct Headline {
  std::string_view program = "anomalyd";
  std::string_view consequence = "nothing was started";
};

/// Writes the screen that an operator sees: every problem with file, line, column and source line.
[[nodiscard]] std::string format_problems(std::span<const Problem> problems, std::string_view file,
                                          const Headline& headline = {});

/// Whether the value of an option, property or variable of this name must never be shown.
[[nodiscard]] bool looks_secret(std::string_view name);

/// What stands in place of a secret.
inline constexpr std::string_view kMask = "***";

/// The name closest to `name`, or empty when none is close enough to have been meant: at most
/// `max_edits` letters may be changed, missing, surplus or swapped.
[[nodiscard]] std::string nearest_name(std::string_view name, std::span<const std::string> names,
                                       std::size_t max_edits);
/// The same, with a third of the letters but at least one.
[[nodiscard]] std::string nearest_name(std::string_view name, std::span<const std::string> names);

}  // namespace anomalyd::config
