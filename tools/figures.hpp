#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tools/events.hpp"

namespace anomalyd::tools {

/// How well scores and alerts meet labelled events, in one series or averaged over several.
///
/// Undefined figures (no events, no normal rows, nothing found) are NaN and left out of means.
struct Figures {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double vus_pr = kNone;           ///< Of the scores; see RankingFigures.
  double auc_pr = kNone;           ///< The same.
  double event_recall = kNone;     ///< Events touched by an alert.
  double event_precision = kNone;  ///< Alerts that touch an event / (those + false alerts).
  double event_f1 = kNone;
  double nab = kNone;                   ///< The NAB score, at most 100; see NabPoints.
  double normal_alert_rate = kNone;     ///< Alerted share of rows 50 or more rows from any event.
  double false_alerts_per_10k = kNone;  ///< Per 10 000 rows.
  double median_delay = kNone;          ///< Rows from the start of a found event to its alert.
};

/// A figure, where it is listed: in tables, files and comparisons.
struct FigureColumn {
  const char* name;
  const char* json_name;
  double Figures::*figure;
  int digits;
};
[[nodiscard]] std::span<const FigureColumn> figure_columns();

/// The rows of a series that were judged: the same number of each.
struct JudgedRows {
  std::vector<std::uint8_t> labels;  ///< 1 where something was wrong.
  std::vector<double> scores;        ///< NaN where there is none.
  std::vector<std::uint8_t> alerts;  ///< 0 or 1.
};

/// Figures of one series, and where it belongs.
struct SeriesFigures {
  std::string group;
  std::string entity;
  std::size_t rows = 0;
  std::size_t normal_rows = 0;  ///< 50 or more rows from any event.
  NabPoints nab;
  Figures figures;
};

/// Compares scores and alerts with labels.
[[nodiscard]] SeriesFigures measure(std::string group, std::string entity, const JudgedRows& rows,
                                    const FigureRules& rules = {});

/// Figures of one group: the mean over its series; the NAB score of all of them together.
struct GroupFigures {
  std::string group;
  std::size_t num_series = 0;
  Figures figures;
};

/// One entry per group in order of appearance; "MACRO", the mean over groups, comes last.
///
/// The NAB score of MACRO is that of the group `nab` where there is one: its scale is made for the
/// windows of that benchmark, and so published scores can be compared with it.
[[nodiscard]] std::vector<GroupFigures> by_group(std::span<const SeriesFigures> series);

/// The figures of MACRO, with intervals that hold 95 % of what other series of the same groups
/// would give.
struct MacroFigures {
  Figures value;
  Figures low;
  Figures high;
};

/// The percentile bootstrap (Efron and Tibshirani 1993): 2000 times, as many series as a group has
/// are drawn from it with replacement. Draws depend on nothing but the number of series, so the
/// same figures always have the same intervals. A group of one series adds no width.
[[nodiscard]] MacroFigures macro_figures(std::span<const SeriesFigures> series);

/// Two evaluations of the same series, and how MACRO differs: after - before. In each draw both
/// have the same series, so that what is hard for both does not widen the interval. A figure that
/// one of them lacks for a series is left out of both.
struct Comparison {
  Figures before;
  Figures after;
  MacroFigures difference;
};
/// `before` and `after` are of the same series, in the same order.
[[nodiscard]] Comparison compare(std::vector<SeriesFigures> before,
                                 std::vector<SeriesFigures> after);

/// Series that alert on more than ten times `alpha` of their normal rows.
struct BeyondAlpha {
  std::size_t beyond = 0;
  std::size_t of = 0;  ///< Series with 1 / alpha normal rows; in fewer one alert may be beyond.
};
[[nodiscard]] BeyondAlpha beyond_alpha(std::span<const SeriesFigures> series, double alpha);

}  // namespace anomalyd::tools
