#include "daemon/pipeline/labels.hpp"

#include <algorithm>
#include <set>

namespace anomalyd::pipeline {

std::vector<std::string> classes_of(std::span<const Label> labels) {
  std::set<std::string> names;
  for (const Label& label : labels) names.insert(label.name);
  if (names.empty()) return {};
  names.erase(std::string{kNormalClass});
  std::vector<std::string> classes{std::string{kNormalClass}};
  classes.insert(classes.end(), names.begin(), names.end());
  return classes;
}

std::vector<std::int16_t> label_rows(std::span<const Label> labels,
                                     const std::vector<std::string>& classes,
                                     const std::string& series,
                                     std::span<const std::int64_t> times) {
  std::vector<std::int16_t> rows(times.size(), -1);
  for (const Label& label : labels) {
    if (!label.series.empty() && label.series != series) continue;
    const auto name = std::ranges::find(classes, label.name);
    if (name == classes.end()) continue;
    const auto first = std::ranges::lower_bound(times, label.start.time_since_epoch().count());
    const auto last = std::ranges::upper_bound(times, label.end.time_since_epoch().count());
    for (auto time = first; time < last; ++time) {
      rows[static_cast<std::size_t>(time - times.begin())] =
          static_cast<std::int16_t>(name - classes.begin());
    }
  }
  return rows;
}

}  // namespace anomalyd::pipeline
