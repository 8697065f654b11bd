#pragma once

#include <span>
#include <string>
#include <vector>

#include "tools/figures_file.hpp"

namespace anomalyd::tools {

/// The figures that decide between two detectors.
struct Headline {
  Figures macro;
  BeyondAlpha beyond;
  double seconds = 0;
};
[[nodiscard]] Headline headline(const Evaluated& evaluated, double alpha);

/// A headline in one line.
[[nodiscard]] std::string headline_text(const Headline& headline);

/// The groups, MACRO last and with its 95 % intervals, as a table for a terminal.
[[nodiscard]] std::string figures_table(std::span<const SeriesFigures> series);

/// How many retrainings there were, and how they ended; empty without any.
[[nodiscard]] std::string retrainings_text(const std::map<std::string, std::size_t>& retrainings);

/// A line per figure: before, after, the difference and its 95 % interval. A figure whose interval
/// leaves out zero is marked.
[[nodiscard]] std::string comparison_table(const Comparison& comparison);

/// One kind of model and the headlines of its runs, one per seed.
struct KindRuns {
  std::string kind;
  std::vector<Headline> runs;
};
/// A row per kind; with several seeds their mean, and the standard deviation in a row below.
[[nodiscard]] std::string kinds_table(std::span<const KindRuns> kinds);

}  // namespace anomalyd::tools
