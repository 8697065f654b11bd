#include "daemon/pipeline/scaler.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

namespace anomalyd::pipeline {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

std::vector<std::int64_t> every_second(std::size_t n) {
  std::vector<std::int64_t> times(n);
  for (std::size_t i = 0; i < n; ++i) times[i] = static_cast<std::int64_t>(i + 1) * kSecond;
  return times;
}

Scaler fit(const std::vector<double>& column) {
  return Scaler::fit(column, every_second(column.size()), 1, Scaler::Counters::kDetect);
}

float scaled(Scaler& scaler, double value, std::int64_t time = 0) {
  float out = 0;
  scaler.apply(std::span{&value, 1}, time, std::span{&out, 1});
  return out;
}

TEST(Scaler, CentresOnTheMedianAndScalesByTheDeviation) {
  std::mt19937 random{1};
  std::normal_distribution<double> normal{50, 4};
  std::vector<double> column(5000);
  for (double& v : column) v = normal(random);
  Scaler scaler = fit(column);
  EXPECT_NEAR(scaled(scaler, 50), 0, 0.05);
  EXPECT_NEAR(scaled(scaler, 58), 2, 0.1);
  EXPECT_NEAR(scaler.restore(0, 2.0), 58, 0.3);
}

TEST(Scaler, IsNotMovedByAFewOutliers) {
  std::vector<double> column(5000);
  for (std::size_t i = 0; i < column.size(); ++i)
    column[i] = static_cast<double>(i * 7919 % 1000) / 100;
  Scaler clean = fit(column);
  column[17] = 1e3;
  column[18] = -1e3;
  Scaler dirty = fit(column);
  EXPECT_NEAR(scaled(dirty, 9), scaled(clean, 9), 0.1);
}

TEST(Scaler, MakesADepartureFromAConstantLargeInsteadOfDividingByZero) {
  Scaler scaler = fit(std::vector<double>(200, 40.0));
  EXPECT_EQ(scaled(scaler, 40), 0);
  EXPECT_NEAR(scaled(scaler, 44), 1, 1e-5) << "a tenth of its magnitude";
  Scaler zero = fit(std::vector<double>(200, 0.0));
  EXPECT_EQ(scaled(zero, 2), 2);
}

TEST(Scaler, ClipsButKeepsMissingCellsMissing) {
  Scaler scaler = fit(std::vector<double>(200, 1.0));
  EXPECT_EQ(scaled(scaler, 1e300), Scaler::kClip);
  EXPECT_EQ(scaled(scaler, -1e300), -Scaler::kClip);
  EXPECT_TRUE(std::isnan(scaled(scaler, NAN)));
}

TEST(Scaler, HandlesAChannelThatIsAlwaysMissing) {
  Scaler scaler = fit(std::vector<double>(200, NAN));
  EXPECT_TRUE(std::isnan(scaled(scaler, NAN)));
  EXPECT_TRUE(std::isfinite(scaled(scaler, 3)));
}

TEST(Scaler, TurnsACounterIntoItsRatePerSecond) {
  std::vector<double> column(400);
  std::mt19937 random{2};
  std::uniform_real_distribution<double> step{900, 1100};
  double total = 1e13;  // far beyond what a float resolves
  for (double& v : column) v = total += step(random);
  Scaler scaler = fit(column);
  ASSERT_TRUE(scaler.is_counter(0));
  EXPECT_TRUE(std::isnan(scaled(scaler, 1e13, 1 * kSecond))) << "no row before: no rate";
  const float rate = scaled(scaler, 1e13 + 2000, 3 * kSecond);
  EXPECT_NEAR(scaler.restore(0, static_cast<double>(rate)), 1000, 1);
}

TEST(Scaler, TreatsTheResetOfACounterAsAMissingRate) {
  std::vector<double> column(400);
  for (std::size_t i = 0; i < column.size(); ++i) column[i] = static_cast<double>(10 * i + i % 3);
  Scaler scaler = fit(column);
  ASSERT_TRUE(scaler.is_counter(0));
  (void)scaled(scaler, 5000, 1 * kSecond);
  EXPECT_TRUE(std::isnan(scaled(scaler, 3, 2 * kSecond)));
  EXPECT_NEAR(scaler.restore(0, static_cast<double>(scaled(scaler, 13, 3 * kSecond))), 10, 0.5);
}

TEST(Scaler, DoesNotTakeAGaugeForACounter) {
  std::vector<double> column(400);
  for (std::size_t i = 0; i < column.size(); ++i)
    column[i] = 100 + std::sin(0.1 * static_cast<double>(i));
  EXPECT_FALSE(fit(column).is_counter(0));
  EXPECT_FALSE(fit(std::vector<double>(400, 7.0)).is_counter(0)) << "a constant does not grow";
}

TEST(Scaler, GivesTheSameValuesAfterARestart) {
  std::vector<double> column(400);
  for (std::size_t i = 0; i < column.size(); ++i) column[i] = static_cast<double>(i * i);
  Scaler scaler = fit(column);
  (void)scaled(scaler, 1000, kSecond);
  StateWriter out;
  scaler.save(out);
  Scaler copy;
  StateReader in{out.bytes()};
  ASSERT_TRUE(copy.load(in));
  EXPECT_EQ(scaled(copy, 1500, 2 * kSecond), scaled(scaler, 1500, 2 * kSecond));
}

}  // namespace
}  // namespace anomalyd::pipeline
