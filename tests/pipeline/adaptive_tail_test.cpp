#include "daemon/pipeline/adaptive_tail.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/pipeline/streams.hpp"

namespace anomalyd::pipeline {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::correlated_scores;
using ::testing::Each;
using testing::exponential_scores;
using ::testing::Ge;
using ::testing::Le;
using testing::lognormal_scores;
using ::testing::Lt;
using testing::pareto_scores;

constexpr double kAlpha = 1e-3;
constexpr std::size_t kCalibrationRows = 2000;

AdaptiveTail tail_of(const std::vector<double>& scores, const AdaptiveTail::Options& options = {}) {
  return {std::span{scores}.first(std::min(kCalibrationRows, scores.size())), options};
}

// The share of the rows after calibration that are rarer than alpha.
double alarm_rate(const std::vector<double>& scores) {
  AdaptiveTail tail = tail_of(scores);
  std::size_t alarms = 0;
  for (const double score : std::span{scores}.subspan(kCalibrationRows)) {
    if (tail.observe(score) < kAlpha) ++alarms;
  }
  return static_cast<double>(alarms) / static_cast<double>(scores.size() - kCalibrationRows);
}

std::vector<double> observe_all(AdaptiveTail& tail, std::span<const double> scores) {
  std::vector<double> p_values;
  for (const double score : scores) p_values.push_back(tail.observe(score));
  return p_values;
}

class IndependentScores
    : public ::testing::TestWithParam<std::function<std::vector<double>(std::size_t)>> {};

TEST_P(IndependentScores, AlarmAtTwiceTheNominalRateAtMostAndAtHalfOfItAtLeast) {
  EXPECT_THAT(alarm_rate(GetParam()(100'000)), AllOf(Ge(kAlpha / 2), Le(2 * kAlpha)));
}

INSTANTIATE_TEST_SUITE_P(Streams, IndependentScores,
                         ::testing::Values([](std::size_t n) { return exponential_scores(n); },
                                           [](std::size_t n) { return lognormal_scores(n); },
                                           [](std::size_t n) { return pareto_scores(n); }));

TEST(AdaptiveTail, AlarmsWithinThreeTimesTheNominalRateOnCorrelatedScores) {
  EXPECT_THAT(alarm_rate(correlated_scores(100'000, 0.8)), AllOf(Ge(kAlpha / 3), Le(3 * kAlpha)));
}

TEST(AdaptiveTail, FollowsAThreefoldDriftOfTheScale) {
  auto scores = exponential_scores(kCalibrationRows + 10'000);
  for (std::size_t i = kCalibrationRows; i < scores.size(); ++i) {
    scores[i] *= 1 + 2 * static_cast<double>(i - kCalibrationRows) / 10'000;
  }
  EXPECT_LE(alarm_rate(scores), 5 * kAlpha);
}

TEST(AdaptiveTail, AcceptsALevelThatStaysWithinAThousandRows) {
  auto scores = lognormal_scores(kCalibrationRows + 3000);
  for (std::size_t i = kCalibrationRows; i < scores.size(); ++i) scores[i] *= 8;
  AdaptiveTail tail = tail_of(scores);
  const std::span<const double> after = std::span{scores}.subspan(kCalibrationRows);
  EXPECT_THAT(observe_all(tail, after.first(20)), Contains(Lt(kAlpha))) << "the shift is rare";
  observe_all(tail, after.subspan(20, 980));
  const auto later = observe_all(tail, after.subspan(1000));
  EXPECT_LE(std::ranges::count_if(later, [](double p) { return p < kAlpha; }), 10);
}

TEST(AdaptiveTail, IsNotBlindedByAnIncident) {
  auto scores = exponential_scores(kCalibrationRows + 300);
  AdaptiveTail tail = tail_of(scores);
  const double before = tail.threshold(kAlpha);
  for (int i = 0; i < 40; ++i) EXPECT_LT(tail.observe(500), kAlpha) << "row " << i;
  EXPECT_LT(tail.threshold(kAlpha), 3 * before);
}

TEST(AdaptiveTail, IgnoresAnomaliesInItsCalibrationRows) {
  auto scores = exponential_scores(kCalibrationRows);
  const double clean = tail_of(scores).threshold(kAlpha);
  for (std::size_t i = 500; i < 510; ++i) scores[i] = 1000;
  EXPECT_LT(tail_of(scores).threshold(kAlpha), 2 * clean);
}

TEST(AdaptiveTail, GivesProbabilitiesThatFallAsScoresRise) {
  const auto scores = exponential_scores(kCalibrationRows);
  double last = 1.0;
  for (double score = 0.01; score < 1e6; score *= 1.3) {
    AdaptiveTail tail = tail_of(scores);
    const double p_value = tail.observe(score);
    EXPECT_LE(p_value, last) << "score " << score;
    last = p_value;
  }
  EXPECT_EQ(last, 1e-12);
}

TEST(AdaptiveTail, GivesTheRankBelowTheTail) {
  AdaptiveTail tail = tail_of(exponential_scores(kCalibrationRows));
  EXPECT_NEAR(tail.observe(std::log(2)), 0.5, 0.05);
  EXPECT_NEAR(tail.observe(-std::log(0.1)), 0.1, 0.03);
}

TEST(AdaptiveTail, PutsTheThresholdWhereItsProbabilityIs) {
  const auto scores = exponential_scores(kCalibrationRows);
  for (const double alpha : {1e-2, 1e-3, 1e-5}) {
    AdaptiveTail tail = tail_of(scores);
    EXPECT_NEAR(tail.observe(tail.threshold(alpha)) / alpha, 1, 1e-6);
  }
}

TEST(AdaptiveTail, TakesAScoreThatIsNotFiniteForNoInformation) {
  AdaptiveTail tail = tail_of(exponential_scores(kCalibrationRows));
  StateWriter before;
  tail.save(before);
  for (const double score : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(tail.observe(score), 1.0);
  }
  StateWriter after;
  tail.save(after);
  EXPECT_EQ(before.bytes(), after.bytes());
}

TEST(AdaptiveTail, NeverAlarmsOnTies) {
  AdaptiveTail tail = tail_of(std::vector(kCalibrationRows, 0.7));
  EXPECT_THAT(observe_all(tail, std::vector(500, 0.7)), Each(Ge(0.02)));
}

TEST(AdaptiveTail, NeverAlarmsOnZeroScoresAmongZeroScores) {
  AdaptiveTail tail = tail_of(std::vector(kCalibrationRows, 0.0));
  EXPECT_THAT(observe_all(tail, std::vector(500, 0.0)), Each(Ge(0.02)));
}

TEST(AdaptiveTail, AlarmsAtTheNominalRateOnQuantisedScores) {
  auto scores = exponential_scores(50'000);
  for (double& score : scores) score = std::round(4 * score) / 4;
  EXPECT_LE(alarm_rate(scores), 3 * kAlpha);
}

TEST(AdaptiveTail, SurvivesScoresOfAnySize) {
  AdaptiveTail tail = tail_of(exponential_scores(kCalibrationRows));
  for (int round = 0; round < 500; ++round) {
    for (const double score : {1e-300, 1e300, 0.0, 5e-324, 1.7e308, 1.0}) {
      EXPECT_THAT(tail.observe(score), AllOf(Ge(1e-12), Le(1.0)));
    }
  }
  EXPECT_TRUE(std::isfinite(tail.threshold(kAlpha)));
}

TEST(AdaptiveTail, LearnsFromCalibrationScoresOfAnySize) {
  for (const double size : {1e-300, 1e300}) {
    auto scores = exponential_scores(kCalibrationRows);
    for (double& score : scores) score *= size;
    AdaptiveTail tail = tail_of(scores);
    EXPECT_GE(tail.observe(size), 0.02);
  }
}

TEST(AdaptiveTail, KeepsItsWeightsFiniteForever) {
  // With a short memory weights grow fast: many rescalings in few rows.
  auto scores = exponential_scores(60'000);
  AdaptiveTail tail = tail_of(scores, {.memory_rows = 100});
  const auto p_values = observe_all(tail, scores);
  EXPECT_NEAR(
      static_cast<double>(std::ranges::count_if(p_values, [](double p) { return p < 0.1; })), 6000,
      1200);
}

TEST(AdaptiveTail, SaysOnWhatFootingItStands) {
  const AdaptiveTail::Options options{.warm_up_rows = 100};
  EXPECT_EQ(tail_of({}, options).footing(), AdaptiveTail::Footing::kWarmUp);
  EXPECT_EQ(tail_of(exponential_scores(99), options).footing(), AdaptiveTail::Footing::kWarmUp);
  EXPECT_EQ(tail_of(exponential_scores(150), options).footing(),
            AdaptiveTail::Footing::kExponential)
      << "3 excesses are too few for a fit";
  EXPECT_EQ(tail_of(exponential_scores(1000), options).footing(), AdaptiveTail::Footing::kFitted);
}

TEST(AdaptiveTail, LeavesTheWarmUpOnceItHasSeenEnough) {
  AdaptiveTail tail = tail_of(lognormal_scores(60), {.warm_up_rows = 100});
  observe_all(tail, lognormal_scores(39, 2));
  EXPECT_EQ(tail.footing(), AdaptiveTail::Footing::kWarmUp);
  observe_all(tail, lognormal_scores(1, 3));
  EXPECT_NE(tail.footing(), AdaptiveTail::Footing::kWarmUp);
}

TEST(AdaptiveTail, ComparesWithTheMedianDuringWarmUp) {
  AdaptiveTail tail = tail_of(lognormal_scores(60), {.alpha = kAlpha, .warm_up_rows = 100});
  const double limit = tail.threshold(kAlpha);
  EXPECT_NEAR(tail.observe(limit) / kAlpha, 1, 1e-6);
  EXPECT_NEAR(std::log(limit), 6 * 0.6745 * 0.5, 0.7) << "six deviations of a median of one";
}

TEST(AdaptiveTail, StartsFromNothingWithoutACrash) {
  AdaptiveTail tail = tail_of({});
  EXPECT_THAT(observe_all(tail, exponential_scores(200)), Each(AllOf(Ge(1e-12), Le(1.0))));
}

TEST(AdaptiveTail, CountsClustersOfExceedances) {
  const AdaptiveTail tail = tail_of(exponential_scores(kCalibrationRows));
  std::vector<double> alone(100, 1.0);
  alone[10] = alone[30] = alone[60] = 50;
  EXPECT_EQ(tail.extremal_index(alone), 1.0);
  std::vector<double> together(100, 1.0);
  together[10] = together[11] = together[14] = together[50] = 50;
  EXPECT_EQ(tail.extremal_index(together), 0.5);
  EXPECT_EQ(tail.extremal_index(std::vector(100, 1.0)), 1.0) << "no exceedance at all";
}

TEST(AdaptiveTail, GoesOnAfterARestartAsIfNothingHadHappened) {
  auto scores = correlated_scores(12'000, 0.6);
  for (std::size_t i = 6990; i < 7010; ++i) scores[i] *= 50;  // restart in the middle of a run
  AdaptiveTail whole = tail_of(scores, {.drift_rows = 1000});
  observe_all(whole, std::span<const double>{scores}.subspan(2000, 5000));
  StateWriter out;
  whole.save(out);
  AdaptiveTail restarted = tail_of({}, {.drift_rows = 1000});
  StateReader in{out.bytes()};
  ASSERT_TRUE(restarted.load(in));
  EXPECT_TRUE(in.at_end());
  const std::span<const double> rest = std::span<const double>{scores}.subspan(7000);
  EXPECT_EQ(observe_all(whole, rest), observe_all(restarted, rest));
  EXPECT_EQ(whole.threshold(kAlpha), restarted.threshold(kAlpha));
}

TEST(AdaptiveTail, RefusesEveryTruncationOfItsState) {
  StateWriter out;
  tail_of(exponential_scores(300)).save(out);
  for (std::size_t size = 0; size < out.bytes().size(); size += 13) {
    AdaptiveTail tail = tail_of({});
    StateReader in{std::span{out.bytes()}.first(size)};
    EXPECT_FALSE(tail.load(in)) << size << " bytes";
  }
}

TEST(AdaptiveTail, GoesOnWhenTheRingIsMadeSmaller) {
  auto scores = exponential_scores(30'000);
  AdaptiveTail tail = tail_of(scores);
  observe_all(tail, scores);
  tail.use({.excesses = 32});
  EXPECT_THAT(observe_all(tail, scores), Each(AllOf(Ge(1e-12), Le(1.0))));
}

}  // namespace
}  // namespace anomalyd::pipeline
