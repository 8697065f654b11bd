#include "daemon/pipeline/threshold.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/pipeline/streams.hpp"

namespace anomalyd::pipeline {
namespace {

using testing::exponential_scores;
using testing::lognormal_scores;

constexpr double kAlpha = 1e-3;

// The share of the scores above the threshold of their row.
double exceeding(Threshold& threshold, const std::vector<double>& scores) {
  std::size_t count = 0;
  for (const double score : scores) {
    if (score > threshold.observe(score, kAlpha).threshold) ++count;
  }
  return static_cast<double>(count) / static_cast<double>(scores.size());
}

TEST(Threshold, OfATailIsExceededExactlyWhenTheScoreIsRarerThanAlpha) {
  const auto scores = exponential_scores(20'000);
  Threshold threshold{std::span{scores}.first(2000), {}};
  for (const double score : scores) {
    const Reading reading = threshold.observe(score, kAlpha);
    ASSERT_EQ(score > reading.threshold, reading.p_value < kAlpha) << score;
  }
}

TEST(Threshold, MovesWithAlpha) {
  Threshold threshold{exponential_scores(2000), {}};
  const double usual = threshold.observe(1, 1e-3).threshold;
  EXPECT_GT(threshold.observe(1, 1e-5).threshold, usual);
  EXPECT_NEAR(threshold.observe(1, 1e-3).threshold, usual, 1e-9);
}

TEST(Threshold, StaysWhereTheOperatorHasFixedIt) {
  Threshold threshold{exponential_scores(2000), {.kind = Threshold::Kind::kFixed, .fixed = 4.5}};
  const Reading reading = threshold.observe(4.6, kAlpha);
  EXPECT_EQ(reading.threshold, 4.5);
  EXPECT_EQ(reading.rule, ThresholdRule::kFixed);
  EXPECT_NEAR(reading.p_value, std::exp(-4.6), 0.005) << "the tail runs along";
}

TEST(Threshold, FollowsAQuantileOfTheRecentScores) {
  Threshold threshold{lognormal_scores(2000),
                      {.kind = Threshold::Kind::kQuantile, .quantile = 0.99}};
  EXPECT_NEAR(exceeding(threshold, lognormal_scores(20'000, 2)), 0.01, 0.003);
}

TEST(Threshold, CountsMedianAbsoluteDeviationsOnTheLogarithm) {
  Threshold threshold{lognormal_scores(4000), {.kind = Threshold::Kind::kMad, .deviations = 3}};
  const double three_deviations = std::exp(3 * 0.6745 * 0.5);  // of the lognormal distribution
  EXPECT_NEAR(threshold.observe(1, kAlpha).threshold / three_deviations, 1, 0.15);
}

TEST(Threshold, SwitchesToAnotherKindWithoutForgetting) {
  const auto scores = lognormal_scores(5000);
  Threshold threshold{scores, {.kind = Threshold::Kind::kFixed, .fixed = 1.0}};
  threshold.use({.kind = Threshold::Kind::kTail});
  const Reading reading = threshold.observe(1, kAlpha);
  EXPECT_EQ(reading.rule, ThresholdRule::kTail);
  EXPECT_NEAR(std::log(reading.threshold), 3.09 * 0.5, 0.4) << "the 0.999 quantile";
}

TEST(Threshold, NamesTheRungOfTheWarmUpLadder) {
  Threshold few{exponential_scores(30), {}};
  EXPECT_EQ(few.observe(1, kAlpha).rule, ThresholdRule::kWarmUp);
  Threshold some{exponential_scores(150), {}};
  EXPECT_EQ(some.observe(1, kAlpha).rule, ThresholdRule::kExponential);
  EXPECT_EQ(to_string(ThresholdRule::kWarmUp), "warm_up");
}

}  // namespace
}  // namespace anomalyd::pipeline
