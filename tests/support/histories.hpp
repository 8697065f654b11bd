#pragma once

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "daemon/pipeline/learning.hpp"

namespace anomalyd::testing {

/// Time of row `t` of the histories below: one a minute.
inline EventTime minute(std::size_t t) {
  return EventTime{std::chrono::minutes{29'000'000 + static_cast<std::int64_t>(t)}};
}

/// Rows [from, to) of a series, as a windower releases them; `cells` gives those of row t.
inline pipeline::History history_of(
    const std::string& series, std::size_t from, std::size_t to,
    const std::function<std::vector<double>(std::size_t t)>& cells) {
  pipeline::History history;
  history.series = series;
  const pipeline::Windower::Options options;
  const auto keep = [&](const pipeline::Windower::Row& row) { history.append(row); };
  for (std::size_t t = from; t < to; ++t) {
    const std::vector<double> row = cells(t);
    (void)history.windower.add({series, minute(t), static_cast<Offset>(t), row}, options, keep);
  }
  history.windower.flush(options, keep);
  return history;
}

/// Rows [from, to) whose channels follow a load that wanders, each with noise of its own. Row t of
/// a seed is the same whatever is asked for.
inline pipeline::History wandering(const std::string& series, std::size_t from, std::size_t to,
                                   std::size_t channels, unsigned seed, double noise = 0.3) {
  std::mt19937_64 random{seed};
  std::normal_distribution<double> normal;
  double load = 0;
  std::vector<std::vector<double>> rows;
  for (std::size_t t = 0; t < to; ++t) {
    load = 0.9 * load + 0.4 * normal(random);
    auto& row = rows.emplace_back();
    for (std::size_t c = 0; c < channels; ++c) {
      const auto k = static_cast<double>(c + 1);
      row.push_back(10 * k + k * (load + noise * normal(random)));
    }
  }
  return history_of(series, from, to, [&](std::size_t t) { return rows[t]; });
}

}  // namespace anomalyd::testing
