#include "tools/figures.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace anomalyd::tools {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
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

// The expected numbers of this file come from an independent implementation of the definitions in
// numpy, with the same rules: gap 5, repeat 100, buffer 50.

TEST(Measure, JoinsNeighbouringAlertsAndCountsEventsOnce) {
  const auto labels = flags({{200, 230}, {500, 510}, {700, 705}});
  const auto alerts =
      flags({{208, 212}, {217, 219}, {503, 504}, {600, 601}, {606, 607}, {620, 621}});
  const Figures figures = measure(labels, alerts);
  EXPECT_THAT(figures.event_recall, DoubleEq(2.0 / 3));
  EXPECT_THAT(figures.event_precision, DoubleEq(0.5));
  EXPECT_THAT(figures.event_f1, DoubleNear(0.571428571, 1e-9));
  EXPECT_THAT(figures.normal_alert_rate, DoubleNear(0.004580152671755725, 1e-15));
  EXPECT_THAT(figures.false_alerts_per_10k, DoubleEq(20));
  EXPECT_THAT(figures.median_delay, DoubleEq(5.5));
}

TEST(Measure, AnAlarmThatNeverEndsIsNotPrecise) {
  const Figures figures = measure(flags({{100, 110}}), flags({{0, kRows}}));
  EXPECT_THAT(figures.event_recall, DoubleEq(1));
  EXPECT_THAT(figures.event_precision, DoubleEq(0.1));
  EXPECT_THAT(figures.event_f1, DoubleNear(0.181818182, 1e-9));
  EXPECT_THAT(figures.normal_alert_rate, DoubleEq(1));
  EXPECT_THAT(figures.false_alerts_per_10k, DoubleEq(90));
  EXPECT_THAT(figures.median_delay, DoubleEq(0));
}

TEST(Measure, NoAlertFindsNothing) {
  const Figures figures = measure(flags({{100, 110}}), flags({}));
  EXPECT_THAT(figures.event_recall, DoubleEq(0));
  EXPECT_THAT(figures.event_precision, DoubleEq(0));
  EXPECT_THAT(figures.event_f1, DoubleEq(0));
  EXPECT_THAT(figures.median_delay, IsNan());
}

TEST(Measure, LeavesRecallUndefinedWithoutEvents) {
  const Figures with_alert = measure(flags({}), flags({{5, 6}}));
  EXPECT_THAT(with_alert.event_recall, IsNan());
  EXPECT_THAT(with_alert.event_precision, DoubleEq(0));
  EXPECT_THAT(with_alert.false_alerts_per_10k, DoubleEq(10));
  EXPECT_THAT(with_alert.normal_alert_rate, DoubleEq(0.001));
  EXPECT_THAT(measure(flags({}), flags({})).event_precision, IsNan());
}

TEST(ByGroup, AveragesSeriesThenGroupsAndLeavesUndefinedOnesOut) {
  const auto series = [](const char* group, double recall) {
    SeriesFigures one{.group = group, .entity = "e", .rows = 1, .figures = {}};
    one.figures.event_recall = recall;
    return one;
  };
  const std::vector<SeriesFigures> all = {series("a", 1), series("b", 0.25), series("a", 0),
                                          series("b", Figures::kNone)};
  const auto groups = by_group(all);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].num_series, 2U);
  EXPECT_THAT(groups[0].figures.event_recall, DoubleEq(0.5));
  EXPECT_THAT(groups[1].figures.event_recall, DoubleEq(0.25));
  EXPECT_EQ(groups[2].group, "MACRO");
  EXPECT_THAT(groups[2].figures.event_recall, DoubleEq(0.375));
  EXPECT_THAT(groups[2].figures.event_f1, IsNan());
  EXPECT_THAT(figures_table(groups), HasSubstr("MACRO            4       0.375"));
}

TEST(FiguresJson, WritesUndefinedFiguresAsNull) {
  SeriesFigures one{.group = "g", .entity = "e", .rows = 7, .figures = {}};
  one.figures.event_f1 = 0.5;
  const auto json = nlohmann::json::parse(figures_json({&one, 1}));
  EXPECT_EQ(json["series"][0]["rows"], 7);
  EXPECT_EQ(json["groups"]["MACRO"]["event_f1"], 0.5);
  EXPECT_TRUE(json["groups"]["g"]["event_recall"].is_null());
}

}  // namespace
}  // namespace anomalyd::tools
