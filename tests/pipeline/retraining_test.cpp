#include "daemon/pipeline/retraining.hpp"

#include <gmock/gmock.h>

#include "tests/runtime/judged_chunks.hpp"

namespace anomalyd::pipeline {
namespace {

using Outcome = ShadowRuling::Outcome;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
using testing::judged_chunk;
using testing::kMinute;

PipelineOptions options() {
  PipelineOptions all;
  all.window.length = 16;
  all.training.rows = 400;
  all.retraining.unseen_share = 0.25;
  return all;
}

TEST(RetrainingRows, KeepTheNewestForTheGate) {
  const std::vector<std::vector<JudgedRows>> series = {{judged_chunk("b", 0, 1000)},
                                                       {judged_chunk("a", 0, 900)}};
  const RetrainingRows rows = retraining_rows(series, {}, {}, options());
  ASSERT_EQ(rows.learned.size(), 2u);
  ASSERT_EQ(rows.unseen.size(), 2u);
  EXPECT_EQ(rows.learned[0].series, "a");
  EXPECT_LT(rows.learned[0].times.back(), rows.unseen[0].times.front());
  EXPECT_EQ(rows.unseen[0].times.back(), 899 * kMinute);
  EXPECT_NEAR(static_cast<double>(rows.unseen[1].size()), 0.25 * 800, 2);
}

TEST(RetrainingRows, KnowTheTimeBetweenThem) {
  const std::vector<std::vector<JudgedRows>> series = {{judged_chunk("a", 0, 900)}};
  const RetrainingRows rows = retraining_rows(series, {}, {}, options());
  ASSERT_EQ(rows.learned.size(), 1u);
  EXPECT_EQ(rows.learned[0].windower.period(), 60s) << "budgets are in time";
  EXPECT_EQ(rows.learned[0].windower.last_time().time_since_epoch().count(),
            rows.learned[0].times.back());
  EXPECT_EQ(rows.unseen[0].windower.period(), 60s);
}

TEST(RetrainingRows, LeaveOutSeriesWithTooFew) {
  const std::vector<std::vector<JudgedRows>> series = {{judged_chunk("a", 0, 900)},
                                                       {judged_chunk("b", 0, 100)}};
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

EventTime minute(std::int64_t row) { return EventTime{std::chrono::microseconds{row * kMinute}}; }

/// A thousand rows with two incidents: one early, one among the newest.
std::vector<std::vector<JudgedRows>> one_series() {
  JudgedRows rows = judged_chunk("m0", 0, 1000);
  for (std::size_t i = 200; i < 220; ++i) rows.marks[i] = RowMark::kIncident;
  for (std::size_t i = 950; i < 960; ++i) rows.marks[i] = RowMark::kIncident;
  return {{rows}};
}

const std::vector<Label>& faults() {
  static const std::vector<Label> labels{{"m0", minute(200), minute(219), "fault: pump"},
                                         {"m0", minute(950), minute(959), "fault: pump"}};
  return labels;
}

bool holds(const std::vector<History>& histories, std::int64_t row) {
  return std::ranges::find(histories.front().times, row * kMinute) != histories.front().times.end();
}

TEST(RetrainingRows, LeaveFaultsOut) {
  const RetrainingRows rows = retraining_rows(one_series(), faults(), {}, {});
  ASSERT_EQ(rows.learned.size(), 1U);
  EXPECT_FALSE(holds(rows.learned, 210));
  EXPECT_EQ(rows.left_out[static_cast<std::size_t>(LeftOut::kFault)], 30U);
}

TEST(RetrainingRows, HoldFaultsForAModelThatNamesThemButNoneIsMeasuredOn) {
  const RetrainingRows without = retraining_rows(one_series(), faults(), {}, {});
  const RetrainingRows rows = retraining_rows(one_series(), faults(), {}, {}, Faults::kLearned);
  EXPECT_TRUE(holds(rows.learned, 210));
  EXPECT_EQ(rows.learned.front().times.back(), without.learned.front().times.back());
  ASSERT_EQ(rows.unseen.size(), 1U);
  EXPECT_EQ(rows.unseen.front().times, without.unseen.front().times);
  EXPECT_FALSE(holds(rows.unseen, 955));
}

TEST(RetrainingRows, LetABenignIncidentIn) {
  const std::vector<Label> benign{{"m0", minute(200), minute(219), "benign: backup"}};
  EXPECT_TRUE(holds(retraining_rows(one_series(), benign, {}, {}).learned, 210));
}

}  // namespace
}  // namespace anomalyd::pipeline
