#include "daemon/pipeline/alert_budget.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <sstream>
#include <vector>

namespace anomalyd::pipeline {
namespace {

using std::chrono::microseconds;

struct Unit {
  std::string_view name;
  microseconds time;
};
constexpr Unit kUnits[] = {
    {"minute", std::chrono::minutes{1}}, {"hour", std::chrono::hours{1}},
    {"day", std::chrono::days{1}},       {"week", std::chrono::weeks{1}},
    {"month", std::chrono::days{30}},
};

std::vector<std::string> words_of(std::string_view text) {
  std::string lower{text};
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::istringstream stream{lower};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::optional<double> positive_number(const std::string& word) {
  double value = 0;
  const auto [end, error] = fast_float::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  if (!std::isfinite(value) || value <= 0) return std::nullopt;
  return value;
}

Failure unusable(std::string_view text, std::string_view found) {
  return fail(ErrorKind::kInvalid,
              fmt::format("alert budget '{}': {}; expected '<number> per series|fleet per "
                          "minute|hour|day|week|month' or '<number> per series|fleet per "
                          "<number> rows'",
                          text, found));
}

}  // namespace

Result<AlertBudget> AlertBudget::parse(std::string_view text) {
  const auto words = words_of(text);
  const bool by_rows = words.size() == 6 && (words[5] == "rows" || words[5] == "row");
  if ((words.size() != 5 && !by_rows) || words[1] != "per" || words[3] != "per") {
    return unusable(text, "not a budget");
  }
  AlertBudget budget;
  const auto alerts = positive_number(words[0]);
  if (!alerts) return unusable(text, fmt::format("'{}' is not a positive number", words[0]));
  budget.alerts = *alerts;
  if (words[2] != "series" && words[2] != "fleet") {
    return unusable(text, fmt::format("'{}' is not a scope", words[2]));
  }
  budget.scope = words[2] == "fleet" ? Scope::kFleet : Scope::kSeries;
  if (by_rows) {
    budget.rows = positive_number(words[4]);
    if (!budget.rows) return unusable(text, fmt::format("'{}' is not a positive number", words[4]));
    return budget;
  }
  const auto* unit = std::ranges::find(kUnits, words[4], &Unit::name);
  if (unit == std::end(kUnits)) {
    return unusable(text, fmt::format("'{}' is not a unit of time", words[4]));
  }
  budget.time = unit->time;
  return budget;
}

double AlertBudget::per_row(microseconds period, std::size_t num_series) const {
  const double sharers =
      scope == Scope::kFleet ? static_cast<double>(std::max<std::size_t>(num_series, 1)) : 1.0;
  if (rows) return alerts / *rows / sharers;
  const double rows_in_time = static_cast<double>(time.count()) /
                              static_cast<double>(std::max(period, microseconds{1}).count());
  return alerts / rows_in_time / sharers;
}

std::string AlertBudget::text() const {
  const std::string_view who = scope == Scope::kFleet ? "fleet" : "series";
  if (rows) return fmt::format("{} per {} per {} rows", alerts, who, *rows);
  const auto* unit = std::ranges::find(kUnits, time, &Unit::time);
  return fmt::format("{} per {} per {}", alerts, who, unit == std::end(kUnits) ? "?" : unit->name);
}

}  // namespace anomalyd::pipeline
