#include "daemon/pipeline/calibration.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace anomalyd::pipeline {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

std::vector<float> normal_residuals(std::size_t count, unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::normal_distribution<float> normal;
  std::vector<float> residuals(count);
  for (float& residual : residuals) residual = normal(random);
  return residuals;
}

Calibration learned(std::size_t members, std::size_t channels) {
  return Calibration::learn(normal_residuals(1000 * members * channels), members, channels, {})
      .calibration;
}

TEST(Calibration, ScoresTheNinetyNinthPercentileAtLogTwo) {
  const auto learned =
      Calibration::learn(normal_residuals(5000), 1, 1, {.fast_rows = 1, .slow_rows = 1});
  const auto above =
      std::ranges::count_if(learned.scores, [](double s) { return s > std::log(2); });
  EXPECT_NEAR(static_cast<double>(above), 50, 1);
}

TEST(Calibration, RaisesTheScoreOfALargeResidualOfEitherSign) {
  for (const float sign : {-1.0F, 1.0F}) {
    Calibration calibration = learned(1, 2);
    const double before = calibration.score();
    calibration.observe(std::vector{sign * 8, 0.5F});
    EXPECT_GT(calibration.score(), before + 0.5);
  }
}

TEST(Calibration, TakesADepartureFromAConstantForAFinding) {
  std::vector<float> residuals = normal_residuals(2000);
  for (std::size_t i = 0; i < residuals.size(); i += 2) residuals[i] = 0;  // channel 0
  Calibration calibration = Calibration::learn(residuals, 1, 2, {}).calibration;
  const double before = calibration.score();
  calibration.observe(std::vector{1.0F, 0.5F});
  EXPECT_TRUE(std::isfinite(calibration.score()));
  EXPECT_GT(calibration.score(), before + 0.5);
}

TEST(Calibration, NeitherHidesNorFeignsAnAnomalyWhenACellIsMissing) {
  const std::vector row{6.0F, 6.0F};
  Calibration whole = learned(1, 2);
  Calibration gappy = whole;
  whole.observe(row);
  gappy.observe(std::vector{6.0F, kMissing});
  EXPECT_NEAR(gappy.score() / whole.score(), 1, 0.05);
}

TEST(Calibration, StaysAsItIsWhenNothingIsObserved) {
  Calibration calibration = learned(2, 2);
  const double before = calibration.score();
  EXPECT_EQ(calibration.observe(std::vector(4, kMissing)), Calibration::Seen::kNothing);
  EXPECT_EQ(calibration.score(), before);
}

TEST(Calibration, LearnsFromRowsWithMissingCells) {
  auto residuals = normal_residuals(2000);
  for (std::size_t i = 0; i < residuals.size(); i += 7) residuals[i] = kMissing;
  const auto gappy = Calibration::learn(residuals, 1, 2, {});
  EXPECT_EQ(gappy.scores.size(), 1000U);
  for (std::size_t i = 0; i < 400; ++i) residuals[i] = kMissing;
  EXPECT_EQ(Calibration::learn(residuals, 1, 2, {}).scores.size(), 800U)
      << "rows without any cell do not count";
}

TEST(Calibration, LearnsFromNothingWithoutACrash) {
  const auto learned = Calibration::learn({}, 1, 3, {});
  EXPECT_TRUE(learned.scores.empty());
  EXPECT_THAT(learned.rule_scales, ::testing::SizeIs(1));
}

TEST(Calibration, LeavesIncidentsAmongItsRowsOut) {
  auto residuals = normal_residuals(1000);
  const auto clean = Calibration::learn(residuals, 1, 1, {});
  for (std::size_t i = 400; i < 420; ++i) residuals[i] += 12;
  Calibration learned_all =
      Calibration::learn(residuals, 1, 1, {.exclude_incidents = false}).calibration;
  const auto robust = Calibration::learn(residuals, 1, 1, {});
  EXPECT_LE(robust.scores.size(), 1000U - 20U);
  EXPECT_GE(robust.scores.size(), 1000U - 20U - 50U) << "the incident and its echo";
  EXPECT_NEAR(robust.rule_scales[0].slow / clean.rule_scales[0].slow, 1, 0.2);

  Calibration excluded = robust.calibration;
  Calibration healthy = clean.calibration;
  for (int i = 0; i < 5; ++i) {
    excluded.observe(std::vector{12.0F});
    healthy.observe(std::vector{12.0F});
    learned_all.observe(std::vector{12.0F});
  }
  EXPECT_GT(excluded.score(), 1.5 * learned_all.score());
  EXPECT_LT(excluded.score(), healthy.score()) << "incidents keep a part in the scale";
}

TEST(Calibration, KeepsWhatWouldTakeTooManyRowsAway) {
  auto residuals = normal_residuals(1000);
  for (std::size_t i = 400; i < 600; ++i) residuals[i] += 12;
  EXPECT_EQ(Calibration::learn(residuals, 1, 1, {}).scores.size(), 1000U);
}

TEST(Calibration, SharesTheCostAmongChannels) {
  Calibration calibration = learned(3, 4);
  std::vector<float> row(12, 0.1F);
  for (std::size_t member = 0; member < 3; ++member) row[member * 4 + 2] = 9;
  calibration.observe(row);
  const auto shares = calibration.attribute(row);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
  EXPECT_GT(shares[2], 0.9);
}

TEST(Calibration, GivesAMissingChannelNoShare) {
  Calibration calibration = learned(1, 2);
  const std::vector row{kMissing, 4.0F};
  calibration.observe(row);
  EXPECT_THAT(calibration.attribute(row), ElementsAre(0.0, DoubleNear(1.0, 1e-12)));
  EXPECT_THAT(calibration.attribute(std::vector(2, kMissing)), Each(0.0));
}

TEST(Calibration, NamesTheMemberWithTheLargestPart) {
  Calibration calibration = learned(3, 1);
  const std::vector row{0.1F, 9.0F, 0.1F};
  calibration.observe(row);
  EXPECT_EQ(calibration.leading_member(row, {}), 1U);
  EXPECT_NE(calibration.leading_member(std::vector{0.1F, kMissing, 0.1F}, {}), 1U)
      << "a member that saw nothing cannot say what it expected";
  const std::vector<std::size_t> distances{1};
  EXPECT_NE(calibration.leading_member(row, distances), 1U);
  EXPECT_EQ(calibration.leading_member(std::vector(3, kMissing), {}), std::nullopt);
}

TEST(Calibration, GoesOnAfterARestartAsIfNothingHadHappened) {
  Calibration whole = learned(2, 3);
  StateWriter out;
  whole.save(out);
  Calibration restarted;
  StateReader in{out.bytes()};
  ASSERT_TRUE(restarted.load(in));
  restarted.use({});
  const auto rows = normal_residuals(600, 2);
  for (std::size_t i = 0; i < rows.size(); i += 6) {
    whole.observe(std::span{rows}.subspan(i, 6));
    restarted.observe(std::span{rows}.subspan(i, 6));
    ASSERT_EQ(whole.score(), restarted.score());
  }
}

}  // namespace
}  // namespace anomalyd::pipeline
