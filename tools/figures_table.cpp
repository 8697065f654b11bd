#include "tools/figures_table.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

constexpr int kWidth = 11;

std::string cell(double value, int digits) {
  return std::isnan(value) ? fmt::format("{:>{}}", "-", kWidth)
                           : fmt::format("{:>{}.{}f}", value, kWidth, digits);
}

std::string figures_row(std::string_view name, std::string_view count, const Figures& figures) {
  std::string text = fmt::format("{:<14}{:>4}", name, count);
  for (const FigureColumn& column : figure_columns()) {
    text += cell(figures.*column.figure, column.digits);
  }
  return text + '\n';
}

struct HeadlineColumn {
  const char* name;
  int digits;
  double (*value)(const Headline&);
};
constexpr HeadlineColumn kHeadline[] = {
    {"VUS-PR", 3, [](const Headline& one) { return one.macro.vus_pr; }},
    {"AUC-PR", 3, [](const Headline& one) { return one.macro.auc_pr; }},
    {"event F1", 3, [](const Headline& one) { return one.macro.event_f1; }},
    {"NAB", 1, [](const Headline& one) { return one.macro.nab; }},
    {"beyond", 1, [](const Headline& one) { return static_cast<double>(one.beyond.beyond); }},
    {"false/10k", 2, [](const Headline& one) { return one.macro.false_alerts_per_10k; }},
    {"delay", 1, [](const Headline& one) { return one.macro.median_delay; }},
    {"seconds", 1, [](const Headline& one) { return one.seconds; }},
};

struct Spread {
  double mean;
  double deviation;
};

/// Over the runs for which the figure is defined.
Spread spread_of(std::span<const Headline> runs, const HeadlineColumn& column) {
  std::vector<double> values;
  for (const Headline& run : runs) {
    if (!std::isnan(column.value(run))) values.push_back(column.value(run));
  }
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean,
          .deviation = values.size() < 2 ? Figures::kNone : std::sqrt(squares / (count - 1))};
}

}  // namespace

Headline headline(const Evaluated& evaluated, double alpha) {
  return {.macro = by_group(evaluated.series).back().figures,
          .beyond = beyond_alpha(evaluated.series, alpha),
          .seconds = evaluated.seconds};
}

std::string headline_text(const Headline& headline) {
  const auto figure = [](double value, int digits) {
    return std::isnan(value) ? std::string{"-"} : fmt::format("{:.{}f}", value, digits);
  };
  return fmt::format(
      "VUS-PR {}, event F1 {}, NAB {}, {} of {} series beyond 10 alpha, {} false alerts per 10k "
      "rows, median delay {} rows, {}",
      figure(headline.macro.vus_pr, 3), figure(headline.macro.event_f1, 3),
      figure(headline.macro.nab, 1), headline.beyond.beyond, headline.beyond.of,
      figure(headline.macro.false_alerts_per_10k, 2), figure(headline.macro.median_delay, 1),
      short_duration(headline.seconds));
}

std::string figures_table(std::span<const SeriesFigures> series) {
  std::string text = fmt::format("{:<14}{:>4}", "group", "n");
  for (const FigureColumn& column : figure_columns()) {
    text += fmt::format("{:>{}}", column.name, kWidth);
  }
  text += '\n';
  for (const GroupFigures& group : by_group(series)) {
    text += figures_row(group.group, std::to_string(group.num_series), group.figures);
  }
  const MacroFigures macro = macro_figures(series);
  return text + figures_row("  95 % from", "", macro.low) + figures_row("  to", "", macro.high);
}

std::string retrainings_text(const std::map<std::string, std::size_t>& retrainings) {
  if (retrainings.empty()) return {};
  std::size_t total = 0;
  for (const auto& [outcome, count] : retrainings) total += count;
  std::string text = fmt::format("{} retrainings:", total);
  for (const auto& [outcome, count] : retrainings) text += fmt::format(" {} {},", count, outcome);
  text.back() = '\n';
  return text;
}

std::string comparison_table(const Comparison& comparison) {
  std::string text = fmt::format("{:<12}{:>{w}}{:>{w}}{:>{w}}{:>{w}}{:>{w}}\n", "MACRO", "before",
                                 "after", "after-bef.", "95 % from", "to", fmt::arg("w", kWidth));
  for (const FigureColumn& column : figure_columns()) {
    const auto add = [&](const Figures& figures) {
      text += cell(figures.*column.figure, column.digits);
    };
    text += fmt::format("{:<12}", column.name);
    add(comparison.before);
    add(comparison.after);
    add(comparison.difference.value);
    add(comparison.difference.low);
    add(comparison.difference.high);
    const bool clear = comparison.difference.low.*column.figure > 0 ||
                       comparison.difference.high.*column.figure < 0;
    text += clear ? "  *\n" : "\n";
  }
  return text;
}

std::string kinds_table(std::span<const KindRuns> kinds) {
  std::string text = fmt::format("{:<24}", "kind");
  for (const HeadlineColumn& column : kHeadline) {
    text += fmt::format("{:>{}}", column.name, kWidth);
  }
  text += '\n';
  for (const KindRuns& kind : kinds) {
    std::string means = fmt::format("{:<24}", kind.kind);
    std::string deviations = fmt::format("{:<24}", "  sd");
    for (const HeadlineColumn& column : kHeadline) {
      const auto [mean, deviation] = spread_of(kind.runs, column);
      means += cell(mean, column.digits);
      deviations += cell(deviation, column.digits);
    }
    text += means + '\n';
    if (kind.runs.size() > 1) text += deviations + '\n';
  }
  return text;
}

}  // namespace anomalyd::tools
