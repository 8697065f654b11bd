#include "tools/figures.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <utility>

#include "tools/ranking.hpp"

namespace anomalyd::tools {
namespace {

constexpr FigureColumn kColumns[] = {
    {"VUS-PR", "vus_pr", &Figures::vus_pr, 3},
    {"AUC-PR", "auc_pr", &Figures::auc_pr, 3},
    {"recall", "event_recall", &Figures::event_recall, 3},
    {"precision", "event_precision", &Figures::event_precision, 3},
    {"event F1", "event_f1", &Figures::event_f1, 3},
    {"NAB", "nab", &Figures::nab, 1},
    {"alert rate", "normal_row_alert_rate", &Figures::normal_alert_rate, 5},
    {"false/10k", "false_alerts_per_10k", &Figures::false_alerts_per_10k, 2},
    {"delay", "median_delay", &Figures::median_delay, 1},
};

double median(std::vector<double> values) {
  if (values.empty()) return Figures::kNone;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double ratio(std::size_t part, std::size_t whole) {
  return whole == 0 ? Figures::kNone : static_cast<double>(part) / static_cast<double>(whole);
}

double f1_of(double recall, double precision) {
  if (std::isnan(recall) || std::isnan(precision) || recall * precision == 0) return 0;
  return 2 * recall * precision / (recall + precision);
}

struct AlertCounts {
  std::size_t good = 0;   // alerts that touch an event
  std::size_t wrong = 0;  // false alerts; one that goes on counts several times
};

AlertCounts count_alerts(const JudgedRows& rows, const FigureRules& rules) {
  AlertCounts counts;
  for (const RowRange& alarm : runs_of(rows.alerts, rules.gap)) {
    const auto span = std::span{rows.labels}.subspan(alarm.begin, alarm.end - alarm.begin);
    const auto inside = static_cast<std::size_t>(std::ranges::count(span, 1));
    if (inside > 0) ++counts.good;
    counts.wrong += (span.size() - inside) / rules.repeat + (inside == 0 ? 1 : 0);
  }
  return counts;
}

struct NormalRows {
  std::size_t count = 0;
  std::size_t alerted = 0;
};

NormalRows normal_rows(const JudgedRows& rows, std::span<const EventFinding> events,
                       const FigureRules& rules) {
  NormalRows normal;
  std::size_t next = 0;  // behind the buffer of the event before
  const auto take = [&](std::size_t end) {
    for (; next < end; ++next) {
      ++normal.count;
      normal.alerted += rows.alerts[next];
    }
  };
  for (const EventFinding& event : events) {
    take(event.rows.begin - std::min(event.rows.begin, rules.buffer));
    next = std::max(next, event.rows.end + rules.buffer);
  }
  take(rows.labels.size());
  return normal;
}

/// The mean of each figure over those for which it is defined.
class Mean {
 public:
  void add(const Figures& figures) {
    for (std::size_t i = 0; i < std::size(kColumns); ++i) {
      const double value = figures.*kColumns[i].figure;
      if (std::isnan(value)) continue;
      sums_[i] += value;
      ++counts_[i];
    }
  }
  [[nodiscard]] Figures value() const {
    Figures result;
    for (std::size_t i = 0; i < std::size(kColumns); ++i) {
      if (counts_[i] > 0) result.*kColumns[i].figure = sums_[i] / static_cast<double>(counts_[i]);
    }
    return result;
  }

 private:
  double sums_[std::size(kColumns)] = {};
  std::size_t counts_[std::size(kColumns)] = {};
};

struct Group {
  std::string name;
  std::vector<const SeriesFigures*> members;
};

std::vector<Group> split(std::span<const SeriesFigures> series) {
  std::vector<Group> groups;
  for (const SeriesFigures& one : series) {
    auto group = std::ranges::find(groups, one.group, &Group::name);
    if (group == groups.end()) group = groups.insert(groups.end(), {one.group, {}});
    group->members.push_back(&one);
  }
  return groups;
}

Figures figures_of(const Group& group) {
  Mean mean;
  NabPoints nab;
  for (const SeriesFigures* one : group.members) {
    mean.add(one->figures);
    nab += one->nab;
  }
  Figures figures = mean.value();
  figures.nab = nab.score();
  return figures;
}

Figures macro_of(std::span<const Group> groups) {
  Mean mean;
  double nab = Figures::kNone;
  for (const Group& group : groups) {
    const Figures figures = figures_of(group);
    mean.add(figures);
    if (group.name == "nab") nab = figures.nab;
  }
  Figures figures = mean.value();
  if (!std::isnan(nab)) figures.nab = nab;
  return figures;
}

/// Figures of the same groups with other series of them, the same ones for the same `random`.
Figures redrawn(const std::vector<Group>& groups, std::mt19937_64& random) {
  std::vector<Group> drawn = groups;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto& members = groups[g].members;
    // Not by uniform_int_distribution, which differs between libraries.
    for (auto& member : drawn[g].members) member = members[random() % members.size()];
  }
  return macro_of(drawn);
}

/// Values of `draw`, many times; the middle 95 % of each figure become the interval of `value`.
MacroFigures with_intervals(const Figures& value,
                            const std::function<Figures(std::mt19937_64&)>& draw) {
  constexpr std::size_t kDraws = 2000;
  std::mt19937_64 random{1};
  std::vector<Figures> draws(kDraws);
  for (Figures& one : draws) one = draw(random);
  MacroFigures result{.value = value, .low = {}, .high = {}};
  std::vector<double> values;
  for (const FigureColumn& column : kColumns) {
    values.clear();
    for (const Figures& one : draws) {
      if (!std::isnan(one.*column.figure)) values.push_back(one.*column.figure);
    }
    if (values.empty() || std::isnan(value.*column.figure)) continue;
    std::ranges::sort(values);
    const auto quantile = [&](double share) {
      return values[static_cast<std::size_t>(
          std::lround(share * static_cast<double>(values.size() - 1)))];
    };
    result.low.*column.figure = quantile(0.025);
    result.high.*column.figure = quantile(0.975);
  }
  return result;
}

Figures difference(const Figures& before, const Figures& after) {
  Figures result;
  for (const FigureColumn& column : kColumns) {
    result.*column.figure = after.*column.figure - before.*column.figure;
  }
  return result;
}

}  // namespace

std::span<const FigureColumn> figure_columns() { return kColumns; }

SeriesFigures measure(std::string group, std::string entity, const JudgedRows& rows,
                      const FigureRules& rules) {
  const auto events = find_events(rows.labels, rows.alerts, rules);
  const auto normal = normal_rows(rows, events, rules);
  const auto [good, wrong] = count_alerts(rows, rules);
  const auto [vus_pr, auc_pr] = rank(rows.labels, rows.scores);
  const auto nab = nab_points(rows.labels, rows.alerts, rules);
  std::vector<double> delays;
  for (const EventFinding& event : events) {
    if (event.delay) delays.push_back(static_cast<double>(*event.delay));
  }

  Figures figures;
  figures.vus_pr = vus_pr;
  figures.auc_pr = auc_pr;
  figures.event_recall =
      ratio(static_cast<std::size_t>(std::ranges::count(events, true, &EventFinding::found)),
            events.size());
  figures.event_precision = ratio(good, good + wrong);
  if (good + wrong == 0 && !events.empty()) figures.event_precision = 0;
  figures.event_f1 = f1_of(figures.event_recall, figures.event_precision);
  figures.nab = nab.score();
  figures.normal_alert_rate = ratio(normal.alerted, normal.count);
  figures.false_alerts_per_10k = ratio(wrong * 10000, rows.labels.size());
  figures.median_delay = median(std::move(delays));
  return {.group = std::move(group),
          .entity = std::move(entity),
          .rows = rows.labels.size(),
          .normal_rows = normal.count,
          .nab = nab,
          .figures = figures};
}

std::vector<GroupFigures> by_group(std::span<const SeriesFigures> series) {
  const auto groups = split(series);
  std::vector<GroupFigures> result;
  for (const Group& group : groups) {
    result.push_back({group.name, group.members.size(), figures_of(group)});
  }
  result.push_back({"MACRO", series.size(), macro_of(groups)});
  return result;
}

MacroFigures macro_figures(std::span<const SeriesFigures> series) {
  const auto groups = split(series);
  return with_intervals(macro_of(groups),
                        [&](std::mt19937_64& random) { return redrawn(groups, random); });
}

Comparison compare(std::vector<SeriesFigures> before, std::vector<SeriesFigures> after) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (const FigureColumn& column : kColumns) {
      double& a = before[i].figures.*column.figure;
      double& b = after[i].figures.*column.figure;
      if (std::isnan(a) || std::isnan(b)) a = b = Figures::kNone;
    }
  }
  const auto old_groups = split(before);
  const auto new_groups = split(after);
  const Figures old_macro = macro_of(old_groups);
  const Figures new_macro = macro_of(new_groups);
  const auto draw = [&](std::mt19937_64& random) {
    std::mt19937_64 same = random;
    const Figures figures = redrawn(old_groups, same);
    return difference(figures, redrawn(new_groups, random));
  };
  return {.before = old_macro,
          .after = new_macro,
          .difference = with_intervals(difference(old_macro, new_macro), draw)};
}

BeyondAlpha beyond_alpha(std::span<const SeriesFigures> series, double alpha) {
  BeyondAlpha result;
  for (const SeriesFigures& one : series) {
    if (static_cast<double>(one.normal_rows) * alpha < 1) continue;
    ++result.of;
    if (one.figures.normal_alert_rate > 10 * alpha) ++result.beyond;
  }
  return result;
}

}  // namespace anomalyd::tools
