#include "tools/figures.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::tools {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::IsNan;

constexpr std::size_t kRows = 1000;

/// 1 on the half-open ranges given, 0 elsewhere.
std::vector<std::uint8_t> flags(std::initializer_list<std::pair<std::size_t, std::size_t>> ranges) {
  std::vector<std::uint8_t> result(kRows, 0);
  for (const auto& [begin, end] : ranges) {
    for (std::size_t i = begin; i < end; ++i) result[i] = 1;
  }
  return result;
}

Figures measured(std::vector<std::uint8_t> labels, std::vector<std::uint8_t> alerts) {
  std::vector<double> scores(labels.size(), 1.0);
  return measure("g", "e", {std::move(labels), std::move(scores), std::move(alerts)}).figures;
}

SeriesFigures series_with(const std::string& group, double recall, double nab_gain = 0) {
  SeriesFigures one;
  one.group = group;
  one.nab = {.gain = nab_gain, .range = 2};
  one.figures.event_recall = recall;
  return one;
}

// The expected numbers of this file come from an independent implementation of the definitions in
// numpy, with the same rules: gap 5, repeat 100, buffer 50.

TEST(Measure, JoinsNeighbouringAlertsAndCountsEventsOnce) {
  const auto labels = flags({{200, 230}, {500, 510}, {700, 705}});
  const auto alerts =
      flags({{208, 212}, {217, 219}, {503, 504}, {600, 601}, {606, 607}, {620, 621}});
  const Figures figures = measured(labels, alerts);
  EXPECT_THAT(figures.event_recall, DoubleEq(2.0 / 3));
  EXPECT_THAT(figures.event_precision, DoubleEq(0.5));
  EXPECT_THAT(figures.event_f1, DoubleNear(0.571428571, 1e-9));
  EXPECT_THAT(figures.normal_alert_rate, DoubleNear(0.004580152671755725, 1e-15));
  EXPECT_THAT(figures.false_alerts_per_10k, DoubleEq(20));
  EXPECT_THAT(figures.median_delay, DoubleEq(5.5));
}

TEST(Measure, AnAlarmThatNeverEndsIsNotPrecise) {
  const Figures figures = measured(flags({{100, 110}}), flags({{0, kRows}}));
  EXPECT_THAT(figures.event_recall, DoubleEq(1));
  EXPECT_THAT(figures.event_precision, DoubleEq(0.1));
  EXPECT_THAT(figures.event_f1, DoubleNear(0.181818182, 1e-9));
  EXPECT_THAT(figures.normal_alert_rate, DoubleEq(1));
  EXPECT_THAT(figures.false_alerts_per_10k, DoubleEq(90));
  EXPECT_THAT(figures.median_delay, DoubleEq(0));
}

TEST(Measure, NoAlertFindsNothing) {
  const Figures figures = measured(flags({{100, 110}}), flags({}));
  EXPECT_THAT(figures.event_recall, DoubleEq(0));
  EXPECT_THAT(figures.event_precision, DoubleEq(0));
  EXPECT_THAT(figures.event_f1, DoubleEq(0));
  EXPECT_THAT(figures.median_delay, IsNan());
}

TEST(Measure, LeavesRecallUndefinedWithoutEvents) {
  const Figures with_alert = measured(flags({}), flags({{5, 6}}));
  EXPECT_THAT(with_alert.event_recall, IsNan());
  EXPECT_THAT(with_alert.event_precision, DoubleEq(0));
  EXPECT_THAT(with_alert.false_alerts_per_10k, DoubleEq(10));
  EXPECT_THAT(with_alert.normal_alert_rate, DoubleEq(0.001));
  EXPECT_THAT(measured(flags({}), flags({})).event_precision, IsNan());
}

TEST(Measure, AllRowsLabelledLeaveNoNormalOnes) {
  const Figures figures = measured(flags({{0, kRows}}), flags({{10, 20}}));
  EXPECT_THAT(figures.normal_alert_rate, IsNan());
  EXPECT_THAT(figures.event_f1, DoubleEq(1));
  EXPECT_THAT(figures.auc_pr, DoubleEq(1));
}

TEST(ByGroup, AveragesSeriesThenGroupsAndLeavesUndefinedOnesOut) {
  const std::vector<SeriesFigures> all = {series_with("a", 1), series_with("b", 0.25),
                                          series_with("a", 0), series_with("b", Figures::kNone)};
  const auto groups = by_group(all);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].num_series, 2U);
  EXPECT_THAT(groups[0].figures.event_recall, DoubleEq(0.5));
  EXPECT_THAT(groups[1].figures.event_recall, DoubleEq(0.25));
  EXPECT_EQ(groups[2].group, "MACRO");
  EXPECT_THAT(groups[2].figures.event_recall, DoubleEq(0.375));
  EXPECT_THAT(groups[2].figures.event_f1, IsNan());
}

TEST(ByGroup, TakesTheNabScoreOfAGroupTogether) {
  std::vector<SeriesFigures> all = {series_with("a", 1, 2), series_with("a", 1, -1),
                                    series_with("b", 1, 1)};
  EXPECT_THAT(by_group(all)[0].figures.nab, DoubleEq(25));
  EXPECT_THAT(by_group(all).back().figures.nab, DoubleEq(37.5));
  all[2].group = "nab";
  EXPECT_THAT(by_group(all).back().figures.nab, DoubleEq(50)) << "that of the benchmark itself";
}

std::vector<SeriesFigures> many_series() {
  std::vector<SeriesFigures> all;
  for (int i = 0; i < 40; ++i) all.push_back(series_with(i % 2 == 0 ? "a" : "b", i % 5 / 4.0));
  return all;
}

TEST(MacroFigures, HaveTheSameIntervalEveryTime) {
  const auto first = macro_figures(many_series());
  const auto second = macro_figures(many_series());
  EXPECT_EQ(first.low.event_recall, second.low.event_recall);
  EXPECT_EQ(first.high.event_recall, second.high.event_recall);
  EXPECT_LT(first.low.event_recall, first.value.event_recall);
  EXPECT_GT(first.high.event_recall, first.value.event_recall);
  // The mean of 40 values of deviation 0.354 has the standard error 0.056.
  EXPECT_NEAR(first.high.event_recall - first.low.event_recall, 2 * 1.96 * 0.056, 0.02);
}

TEST(MacroFigures, HaveNoIntervalWhereUndefined) {
  const std::vector<SeriesFigures> one = {series_with("a", Figures::kNone)};
  EXPECT_THAT(macro_figures(one).low.event_recall, IsNan());
  EXPECT_THAT(macro_figures({}).value.event_recall, IsNan());
}

TEST(Compare, DrawsTheSameSeriesForBoth) {
  auto better = many_series();
  for (auto& one : better) one.figures.event_recall += 0.1;
  const Comparison comparison = compare(many_series(), better);
  EXPECT_NEAR(comparison.difference.value.event_recall, 0.1, 1e-12);
  EXPECT_NEAR(comparison.difference.low.event_recall, 0.1, 1e-12) << "what varies is in both";
  EXPECT_NEAR(comparison.difference.high.event_recall, 0.1, 1e-12);
}

TEST(Compare, LeavesOutWhatOneOfThemLacks) {
  std::vector<SeriesFigures> before = {series_with("a", 0.5), series_with("a", Figures::kNone)};
  std::vector<SeriesFigures> after = {series_with("a", 0.75), series_with("a", 0)};
  const Comparison comparison = compare(before, after);
  EXPECT_THAT(comparison.before.event_recall, DoubleEq(0.5));
  EXPECT_THAT(comparison.after.event_recall, DoubleEq(0.75));
}

TEST(BeyondAlpha, CountsSeriesWithEnoughNormalRows) {
  std::vector<SeriesFigures> all(3);
  for (auto& one : all) one.normal_rows = 1000;
  all[0].figures.normal_alert_rate = 0.02;
  all[1].figures.normal_alert_rate = 0.01;  // ten times is not beyond it
  all[2].figures.normal_alert_rate = 0.5;
  all[2].normal_rows = 999;
  const auto [beyond, of] = beyond_alpha(all, 1e-3);
  EXPECT_EQ(beyond, 1U);
  EXPECT_EQ(of, 2U);
}

}  // namespace
}  // namespace anomalyd::tools
