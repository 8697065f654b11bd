#include "daemon/pipeline/retraining.hpp"

#include <gmock/gmock.h>

#include "tests/runtime/judged_chunks.hpp"
#include "tests/support/histories.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/persistence_model.hpp"

namespace anomalyd::pipeline {
namespace {

using Outcome = ShadowRuling::Outcome;
using namespace std::chrono_literals;
using testing::judged_chunk;
using testing::kMinute;
using testing::ManualClock;
using testing::PersistenceFactory;
using testing::wandering;

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
  report_.challenger_alerts = 5;
  EXPECT_EQ(rule(), Outcome::kGoesOn) << "fewer than the whole shadow may have";
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
  const IncidentDiff diff = incident_diff(report_, 2min);
  EXPECT_EQ(to_text(diff),
            "1 incidents of both, 1 of the champion alone, 1 of the challenger alone");
  ASSERT_EQ(diff.alone.size(), 2U);
  EXPECT_EQ(diff.alone[0].series, "b");
  EXPECT_TRUE(diff.alone[0].of_challenger);
  EXPECT_EQ(diff.alone[1].series, "c");
}

/// Two models of the same rows, and what comes behind them.
class ReplayedShadow : public ::testing::Test {
 protected:
  ReplayedShadow() {
    options_.training.rows = 1000;
    options_.training.detect_counters = false;
    const std::vector<History> rows{wandering("a", 0, 1000, 3, 1), wandering("b", 0, 1000, 3, 2)};
    const std::vector<Channel> channels{{"x", ""}, {"y", ""}, {"z", ""}};
    for (Learned& one : models_) {
      one = learn(rows, channels, factory_, options_, [](const auto&) {}, {}).value();
    }
    newest_ = {wandering("a", 1000, 1600, 3, 1), wandering("b", 1000, 1600, 3, 2)};
  }
  static Candidate candidate(const Learned& model) { return {model.scorer.get(), model.group}; }
  Result<PartitionPipeline::ShadowReport> replayed() {
    return replay_shadow(candidate(models_[1]), candidate(models_[0]), newest_,
                         {options_, gate_, clock_, stop_.get_token()});
  }

  PipelineOptions options_;
  GateOptions gate_;
  ManualClock clock_;
  std::stop_source stop_;
  PersistenceFactory factory_;
  Learned models_[2];
  std::vector<History> newest_;
};

TEST_F(ReplayedShadow, BothOpenTheSameIncidents) {
  for (std::size_t i = 300; i < 320; ++i) newest_[1].rows[3 * i] += i % 2 == 0 ? 40 : -40;
  const auto report = replayed();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rows, 1200U) << "they go on where training ended: all are judged";
  EXPECT_EQ(report->first.time_since_epoch().count(), newest_[0].times.front());
  EXPECT_EQ(report->newest.time_since_epoch().count(), newest_[0].times.back());
  EXPECT_EQ(report->champion_alerts, report->challenger_alerts);
  const Pace pace = pace_of(*models_[1].group, options_);
  const IncidentDiff diff = incident_diff(*report, pace.slack);
  EXPECT_GE(diff.both, 1U);
  EXPECT_TRUE(diff.alone.empty());
  EXPECT_EQ(report->incidents.front().series, "b");
  EXPECT_EQ(rule_ended_shadow(*report, pace.budget_per_row, options_.retraining).outcome,
            ShadowRuling::Outcome::kPromote);
}

TEST_F(ReplayedShadow, TakesNoMoreRowsThanTheGateAndCanBeStopped) {
  gate_.max_rows = 700;
  const auto report = replayed();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(static_cast<double>(report->rows), 700, 10);
  stop_.request_stop();
  EXPECT_EQ(replayed().error().kind, ErrorKind::kCancelled);
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

TEST(RetrainingRows, BehindThoseLearnedAllAreThereButForDataFaults) {
  auto series = one_series();
  series[0][0].marks[990] = RowMark::kDataFault;
  const RetrainingRows rows = retraining_rows(series, {}, {}, {});
  ASSERT_EQ(rows.learned.size(), 1U);
  const std::int64_t last = rows.learned[0].times.back() / kMinute;
  const std::vector<History> behind = rows_behind(rows.learned, series, {});
  ASSERT_EQ(behind.size(), 1U);
  EXPECT_EQ(behind[0].times.front(), (last + 1) * kMinute);
  EXPECT_EQ(behind[0].size(), static_cast<std::size_t>(1000 - last - 2));
  EXPECT_TRUE(holds(behind, 955)) << "an incident";
  EXPECT_FALSE(holds(behind, 990));
  EXPECT_TRUE(rows_behind({}, series, {}).empty()) << "nothing of the series was learned";
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
