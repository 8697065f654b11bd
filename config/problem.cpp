#include "config/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <numeric>

namespace anomalyd::config {
namespace {

// Changed, missing, surplus and swapped letters that turn one name into the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

// Control characters could redraw the operator's terminal.
std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) shown += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return shown;
}

std::string place(const Problem& problem, std::string_view file) {
  return problem.line == 0 ? std::string{file}
                           : fmt::format("{}:{}:{}", file, problem.line, problem.column);
}

}  // namespace

std::string format_problems(std::span<const Problem> problems, std::string_view file,
                            const Headline& headline) {
  std::string screen;
  auto out = std::back_inserter(screen);
  fmt::format_to(out, "{}: {} problem{} in {}; {}\n\n", headline.program, problems.size(),
                 problems.size() == 1 ? "" : "s", file, headline.consequence);
  std::string section;
  for (const Problem& problem : problems) {
    const std::string path = problem.path.empty() ? "" : printable(problem.path) + ": ";
    fmt::format_to(out, "{}: {}{}\n", place(problem, file), path, printable(problem.what));
    if (!problem.source.empty()) {
      fmt::format_to(out, "{:>6} | {}\n", problem.line, printable(problem.source));
    }
    if (section.empty()) section = problem.path.substr(0, problem.path.find('.'));
  }
  if (!section.empty()) {
    fmt::format_to(out, "\nRun 'anomalyctl config explain {}' for every option of that section.\n",
                   printable(section));
  }
  return screen;
}

bool looks_secret(std::string_view name) {
  constexpr std::array<std::string_view, 8> kMarks = {
      "passw", "passphrase", "secret", "token", "credential", "jaas", "key.pem", "private"};
  std::string lower;
  for (const char c : name) {
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return std::ranges::any_of(
      kMarks, [&](std::string_view mark) { return lower.find(mark) != std::string::npos; });
}

std::string nearest_name(std::string_view name, std::span<const std::string> names) {
  return nearest_name(name, names, std::max<std::size_t>(1, name.size() / 3));
}

std::string nearest_name(std::string_view name, std::span<const std::string> names,
                         std::size_t max_edits) {
  constexpr std::size_t kLongest = 80;  // the distance takes the product of both lengths
  if (name.size() > kLongest) return {};
  std::string nearest;
  for (const std::string& candidate : names) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance > max_edits) continue;
    if (distance == 0) return candidate;
    max_edits = distance - 1;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace anomalyd::config
