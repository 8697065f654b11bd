#include "daemon/pipeline/retraining.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::pipeline {
namespace {

using Outcome = ShadowRuling::Outcome;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::int64_t kMinute = 60'000'000;

/// Rows of a wave, a minute apart.
JudgedRows judged(const std::string& series, std::size_t rows) {
  JudgedRows chunk;
  chunk.history.series = series;
  chunk.history.width = 1;
  for (std::size_t i = 0; i < rows; ++i) {
    chunk.history.rows.push_back(std::sin(static_cast<double>(i) / 10));
    chunk.history.times.push_back(static_cast<std::int64_t>(i) * kMinute);
    chunk.history.offsets.push_back(static_cast<Offset>(i));
    chunk.history.gaps.push_back(0);
    chunk.marks.push_back(RowMark::kNormal);
  }
  return chunk;
}

PipelineOptions options() {
  PipelineOptions all;
  all.window.length = 16;
  all.training.rows = 400;
  all.retraining.unseen_share = 0.25;
  return all;
}

TEST(RetrainingRows, KeepTheNewestForTheGate) {
  const std::vector<std::vector<JudgedRows>> series = {{judged("b", 1000)}, {judged("a", 900)}};
  const RetrainingRows rows = retraining_rows(series, {}, {}, options());
  ASSERT_EQ(rows.learned.size(), 2u);
  ASSERT_EQ(rows.unseen.size(), 2u);
  EXPECT_EQ(rows.learned[0].series, "a");
  EXPECT_LT(rows.learned[0].times.back(), rows.unseen[0].times.front());
  EXPECT_EQ(rows.unseen[0].times.back(), 899 * kMinute);
  EXPECT_NEAR(static_cast<double>(rows.unseen[1].size()), 0.25 * 800, 2);
}

TEST(RetrainingRows, KnowTheTimeBetweenThem) {
  const std::vector<std::vector<JudgedRows>> series = {{judged("a", 900)}};
  const RetrainingRows rows = retraining_rows(series, {}, {}, options());
  ASSERT_EQ(rows.learned.size(), 1u);
  EXPECT_EQ(rows.learned[0].windower.period(), 60s) << "budgets are in time";
  EXPECT_EQ(rows.learned[0].windower.last_time().time_since_epoch().count(),
            rows.learned[0].times.back());
  EXPECT_EQ(rows.unseen[0].windower.period(), 60s);
}

TEST(RetrainingRows, LeaveOutSeriesWithTooFew) {
  const std::vector<std::vector<JudgedRows>> series = {{judged("a", 900)}, {judged("b", 100)}};
  const RetrainingRows rows = retraining_rows(series, {}, {}, options());
  ASSERT_EQ(rows.learned.size(), 1u);
  EXPECT_EQ(rows.learned[0].series, "a");
}

class ShadowRule : public ::testing::Test {
 protected:
  [[nodiscard]] Outcome rule(std::chrono::milliseconds elapsed = 1s) const {
    return rule_shadow(report_, elapsed, 1e-3, options_).outcome;
  }
  ShadowRule() {
    options_.shadow_rows = 1000;
    options_.shadow_time = 10min;
    options_.shadow_deadline = 1h;
    report_.rows = 1000;
    report_.first = EventTime{};
    report_.newest = EventTime{20min};
  }
  RetrainingOptions options_;
  PartitionPipeline::ShadowReport report_;
};

TEST_F(ShadowRule, PromotesWithEnoughRowsThatSpanEnoughTime) {
  EXPECT_EQ(rule(), Outcome::kPromote);
  report_.rows = 999;
  EXPECT_EQ(rule(), Outcome::kGoesOn);
  report_.rows = 100'000;
  report_.newest = EventTime{9min};
  EXPECT_EQ(rule(), Outcome::kGoesOn);
}

TEST_F(ShadowRule, EndsAtItsDeadlineWhateverCame) {
  report_.rows = 0;
  report_.first = EventTime::max();
  report_.newest = EventTime::min();
  EXPECT_EQ(rule(59min), Outcome::kGoesOn);
  EXPECT_EQ(rule(1h), Outcome::kStarved);
}

TEST_F(ShadowRule, RefusesAFloodAtOnce) {
  report_.rows = 100;
  report_.challenger_alerts = 9;
  EXPECT_EQ(rule(), Outcome::kAlarmHappy);
  report_.champion_alerts = 9;
  EXPECT_EQ(rule(), Outcome::kGoesOn) << "the champion alerts as often";
}

TEST_F(ShadowRule, CountsIncidentsThatBothOpened) {
  report_.incidents = {{"a", EventTime{0s}, false},
                       {"a", EventTime{60s}, true},
                       {"b", EventTime{0s}, true},
                       {"c", EventTime{0s}, false}};
  EXPECT_THAT(incident_diff(report_, 2min),
              HasSubstr("1 incidents of both, 1 of the champion alone, 1 of the challenger alone"));
}

}  // namespace
}  // namespace anomalyd::pipeline
