#include "tools/scaled_series.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::tools {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsNan;

/// Rows 0, 1, 2, .. of one channel, a minute apart; `gaps` as in a History.
pipeline::History history(const std::vector<std::uint32_t>& gaps) {
  pipeline::History result;
  result.series = "a";
  result.width = 1;
  std::int64_t minute = 0;
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    minute += gaps[i] == pipeline::History::kRestart ? 1000 : 1 + gaps[i];
    result.times.push_back(minute * 60'000'000);
    result.offsets.push_back({});
    result.gaps.push_back(gaps[i]);
    result.rows.push_back(static_cast<double>(i));
  }
  return result;
}

ScaledSeries scaled(const std::vector<std::uint32_t>& gaps) {
  const pipeline::History rows = history(gaps);
  ScaledSeries series = scale(rows, fit_scaler(rows, {}));
  series.period = minutes{1};
  return series;
}

TEST(ScaledSeries, HasARowForEachThatNeverCame) {
  const ScaledSeries series = scaled({0, 2, 0});
  ASSERT_EQ(series.size(), 5U);
  EXPECT_THAT(series.inserted, ElementsAre(0, 1, 1, 0, 0));
  EXPECT_THAT(series.raw, ElementsAre(0, IsNan(), IsNan(), 1, 2));
  EXPECT_EQ(series.times[1] - series.times[0], minutes{1});
}

TEST(ScaledSeries, HasNoWindowAcrossARestart) {
  const ScaledSeries series = scaled({0, 0, 0, pipeline::History::kRestart, 0, 0});
  EXPECT_THAT(series.window_ends(3, 0, series.size()), ElementsAre(2, 5));
  EXPECT_THAT(series.window_ends(4, 0, series.size()), IsEmpty());
}

TEST(ScaledSeries, KnowsWhichWindowsAreComplete) {
  const ScaledSeries series = scaled({0, 0, 1, 0, 0});
  EXPECT_THAT(series.complete(series.window_ends(2, 0, series.size()), 2), ElementsAre(1, 4, 5));
}

TEST(ScaledSeries, IsRefinedByMissingRowsBetweenTheOthers) {
  const ScaledSeries fine = refined(scaled({0, 0, pipeline::History::kRestart}), 3);
  EXPECT_THAT(fine.raw, ElementsAre(0, IsNan(), IsNan(), 1, 2));
  EXPECT_THAT(fine.restarts, ElementsAre(4));
  EXPECT_EQ(fine.period, seconds{20});
}

TEST(HeldOut, KeepsThreeTenthsFromWhatIsLearned) {
  const pipeline::History rows = history(std::vector<std::uint32_t>(1000, 0));
  EXPECT_EQ(without_held_out(rows).size(), 700U);
}

TEST(HeldOut, SharesNoRowBetweenWindowsInsideAndOutside) {
  const ScaledSeries series = scaled(std::vector<std::uint32_t>(1000, 0));
  const auto ends = series.window_ends(10, 0, series.size());
  const HeldOut held_out{series};
  std::vector<int> seen(series.size());
  for (const std::size_t end : held_out.inside(series, ends, 10)) {
    for (std::size_t i = end - 9; i <= end; ++i) seen[i] |= 1;
  }
  for (const std::size_t end : held_out.outside(series, ends, 10)) {
    for (std::size_t i = end - 9; i <= end; ++i) seen[i] |= 2;
  }
  EXPECT_EQ(std::ranges::count(seen, 3), 0);
  EXPECT_EQ(std::ranges::count(seen, 1), 300);
}

}  // namespace
}  // namespace anomalyd::tools
