#include "daemon/pipeline/gate_statistics.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

namespace anomalyd::pipeline {
namespace {

TEST(PoissonTail, IsThatOfThePoissonDistribution) {
  EXPECT_DOUBLE_EQ(poisson_tail(0, 3), 1);
  EXPECT_NEAR(poisson_tail(1, 0.5), 1 - std::exp(-0.5), 1e-12);
  EXPECT_NEAR(poisson_tail(5, 2), 0.052653, 1e-6);
  EXPECT_NEAR(poisson_tail(1, 0), 0, 1e-12);
}

TEST(PoissonBound, IsWhatChanceRarelyExceeds) {
  EXPECT_EQ(poisson_bound(0, 0.99), 0U);
  EXPECT_EQ(poisson_bound(0.06, 0.99), 1U);
  EXPECT_EQ(poisson_bound(3, 0.99), 8U);
  EXPECT_GT(poisson_bound(1000, 0.99), 1070U);
}

TEST(SignTest, IsExact) {
  EXPECT_DOUBLE_EQ(sign_test(0, 0), 1);
  EXPECT_DOUBLE_EQ(sign_test(0, 5), 1);
  EXPECT_NEAR(sign_test(5, 0), 1.0 / 32, 1e-12);
  EXPECT_NEAR(sign_test(7, 3), 0.171875, 1e-12);
}

/// Residuals of two models that make mostly the same errors.
PairedLosses similar(std::size_t rows, double factor, unsigned seed) {
  std::mt19937_64 random{seed};
  std::normal_distribution<double> normal;
  PairedLosses losses{2, 3, {}, {}};
  for (std::size_t i = 0; i < rows * 6; ++i) {
    const double unit = std::pow(10.0, static_cast<double>(i % 6));  // channels of any size
    const double common = normal(random);
    losses.champion.push_back(static_cast<float>(unit * std::abs(common + 0.3 * normal(random))));
    losses.challenger.push_back(
        static_cast<float>(unit * factor * std::abs(common + 0.3 * normal(random))));
  }
  return losses;
}

TEST(CompareLosses, FindsTheRatio) {
  const std::vector<PairedLosses> all{similar(400, 1.1, 1), similar(300, 1.1, 2)};
  const LossRatio ratio = compare_losses(all, 0.99, 1);
  EXPECT_EQ(ratio.rows, 700U);
  EXPECT_NEAR(ratio.ratio, 1.1, 0.02);
  EXPECT_LT(ratio.low, ratio.ratio);
  EXPECT_GT(ratio.high, ratio.ratio);
  EXPECT_GT(ratio.low, 1.05);
  EXPECT_EQ(compare_losses(all, 0.99, 1).low, ratio.low) << "the same seed, the same limits";
}

TEST(CompareLosses, TellsFivePercentButNotChance) {
  std::size_t worse_found = 0, good_refused = 0, small_refused = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    const std::vector<PairedLosses> worse{similar(2000, 1.05, seed)};
    const std::vector<PairedLosses> good{similar(2000, 1.0, seed + 100)};
    const std::vector<PairedLosses> small{similar(100, 1.0, seed + 200)};
    worse_found += compare_losses(worse, 0.99, 1).low > 1.02 ? 1 : 0;
    good_refused += compare_losses(good, 0.99, 1).low > 1.02 ? 1 : 0;
    small_refused += compare_losses(small, 0.99, 1).low > 1.02 ? 1 : 0;
  }
  EXPECT_GE(worse_found, 39U);
  EXPECT_EQ(good_refused, 0U);
  EXPECT_EQ(small_refused, 0U);
}

TEST(CompareLosses, IsNotMovedByAFewWildRows) {
  std::vector<PairedLosses> all{similar(1000, 1.0, 1)};
  for (std::size_t row = 0; row < 30; ++row) all[0].challenger[row * 33 * 6] = 1e6F;
  EXPECT_NEAR(compare_losses(all, 0.99, 1).ratio, 1.0, 0.02);
}

TEST(CompareLosses, LeavesOutWhatOneOfThemDidNotJudge) {
  std::vector<PairedLosses> all{similar(500, 1.0, 1)};
  for (std::size_t i = 0; i < 100 * 6; ++i) all[0].champion[i] = NAN;
  for (std::size_t i = 100 * 6; i < 200 * 6; ++i) all[0].challenger[i] = NAN;
  for (std::size_t i = 0; i < 500; ++i) all[0].challenger[i * 6 + 4] = NAN;  // one channel
  const LossRatio ratio = compare_losses(all, 0.99, 1);
  EXPECT_EQ(ratio.rows, 300U);
  EXPECT_NEAR(ratio.ratio, 1.0, 0.03);
  EXPECT_EQ(compare_losses({}, 0.99, 1).rows, 0U);
}

TEST(CompareLosses, CountsAChannelThatTheChampionExpectsExactly) {
  std::vector<PairedLosses> all{similar(500, 1.0, 1)};
  for (std::size_t i = 0; i < 500; ++i) all[0].champion[i * 6] = all[0].challenger[i * 6] = 0;
  EXPECT_NEAR(compare_losses(all, 0.99, 1).ratio, 1.0, 0.03);
  for (std::size_t i = 0; i < 500; ++i) all[0].challenger[i * 6] = 100;
  EXPECT_GT(compare_losses(all, 0.99, 1).low, 1.1);
}

}  // namespace
}  // namespace anomalyd::pipeline
