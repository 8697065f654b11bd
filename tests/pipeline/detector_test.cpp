#include "daemon/pipeline/detector.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <random>

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kMembers = 2;
constexpr std::size_t kChannels = 3;
constexpr std::size_t kWidth = kMembers * kChannels;
constexpr std::size_t kCalibrationRows = 2000;

std::vector<float> normal_rows(std::size_t rows, unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::normal_distribution<float> normal;
  std::vector<float> residuals(rows * kWidth);
  for (float& residual : residuals) residual = normal(random);
  return residuals;
}

std::span<const float> row_of(const std::vector<float>& rows, std::size_t i) {
  return std::span{rows}.subspan(i * kWidth, kWidth);
}

Detector calibrated(const Detector::Options& options = {}) {
  return Detector::calibrate(normal_rows(kCalibrationRows), kMembers, kChannels, options);
}

class Budgets : public ::testing::TestWithParam<double> {};

TEST_P(Budgets, HoldOnRowsLikeThoseOfTheCalibration) {
  Detector::Options options;
  options.budget = GetParam();
  Detector detector = calibrated(options);
  const std::size_t num_rows = 50'000;
  const auto rows = normal_rows(num_rows, 2);
  int onsets = 0;
  int quiet = 100;
  for (std::size_t i = 0; i < num_rows; ++i) {
    const bool alert = detector.judge(row_of(rows, i)).alert;
    if (alert && quiet > 5) ++onsets;
    quiet = alert ? 0 : quiet + 1;
  }
  EXPECT_LE(onsets, 2 * options.budget * static_cast<double>(num_rows));
}

INSTANTIATE_TEST_SUITE_P(OnsetsPerRow, Budgets, ::testing::Values(1e-3, 2e-4, 4e-5));

TEST(Detector, AlertsOnTheRowOfALargeDepartureAndBlamesItsChannel) {
  Detector detector = calibrated();
  auto rows = normal_rows(101, 2);
  for (std::size_t member = 0; member < kMembers; ++member) {
    rows[100 * kWidth + member * kChannels + 1] = 20;
  }
  for (std::size_t i = 0; i < 100; ++i) EXPECT_FALSE(detector.judge(row_of(rows, i)).alert);
  const Verdict verdict = detector.judge(row_of(rows, 100));
  EXPECT_TRUE(verdict.alert);
  EXPECT_GT(verdict.score, verdict.threshold);
  EXPECT_GT(detector.attribute(row_of(rows, 100))[1], 0.9);
}

TEST(Detector, DoesNotJudgeARowInWhichNothingIsObserved) {
  Detector detector = calibrated();
  const double score = detector.judge(row_of(normal_rows(1, 2), 0)).score;
  const std::vector<float> nothing(kWidth, std::numeric_limits<float>::quiet_NaN());
  const Verdict verdict = detector.judge(nothing);
  EXPECT_FALSE(verdict.judged);
  EXPECT_FALSE(verdict.alert);
  EXPECT_EQ(verdict.p_value, 1.0);
  EXPECT_EQ(verdict.score, score) << "the last one";
}

TEST(Detector, TakesItsAlphaFromTheBudgetAndHowExceedancesCluster) {
  Detector::Options options;
  options.budget = 1e-5;
  const double alpha = calibrated(options).alpha();
  EXPECT_GT(alpha, options.budget) << "smoothing makes exceedances come in clusters";
  EXPECT_LT(alpha, 1e-3);
  options.budget = 0.1;
  EXPECT_EQ(calibrated(options).alpha(), 1e-3) << "never above";
  options.alpha = 2e-4;
  EXPECT_EQ(calibrated(options).alpha(), 2e-4) << "as told";
}

TEST(Detector, StartsANewSeriesFromACopyThatGoesItsOwnWay) {
  Detector known = calibrated();
  Detector fresh = known;
  std::vector<float> wild(kWidth, 30.0F);
  for (int i = 0; i < 50; ++i) (void)fresh.judge(wild);
  const auto rows = normal_rows(1, 2);
  Detector untouched = calibrated();
  EXPECT_EQ(known.judge(row_of(rows, 0)).score, untouched.judge(row_of(rows, 0)).score);
}

TEST(Detector, GoesOnAfterARestartAsIfNothingHadHappened) {
  Detector::Options options;
  options.budget = 1e-4;
  Detector whole = calibrated(options);
  auto rows = normal_rows(3000, 2);
  for (std::size_t i = 995 * kWidth; i < 1020 * kWidth; ++i) rows[i] += 6;
  for (std::size_t i = 0; i < 1000; ++i) (void)whole.judge(row_of(rows, i));
  StateWriter out;
  whole.save(out);
  Detector restarted;
  StateReader in{out.bytes()};
  ASSERT_TRUE(restarted.load(in));
  restarted.use(options);
  EXPECT_TRUE(in.at_end());
  EXPECT_EQ(restarted.alpha(), whole.alpha());
  for (std::size_t i = 1000; i < 3000; ++i) {
    const Verdict a = whole.judge(row_of(rows, i));
    const Verdict b = restarted.judge(row_of(rows, i));
    ASSERT_EQ(std::tie(a.score, a.p_value, a.threshold, a.magnitude, a.alert),
              std::tie(b.score, b.p_value, b.threshold, b.magnitude, b.alert))
        << "row " << i;
  }
}

TEST(Detector, LeavesItsRegimesAloneWhenToldTo) {
  const auto rows = normal_rows(kCalibrationRows);
  std::vector<std::int16_t> regimes(kCalibrationRows);
  for (std::size_t i = 0; i < regimes.size(); ++i) regimes[i] = i < 500 ? 1 : 0;
  Detector::Options options;
  Detector detector = Detector::calibrate(rows, kMembers, kChannels, options, regimes, 2);
  Detector without = calibrated(options);
  options.per_regime = false;  // as a configuration may say when a snapshot is restored
  detector.use(options);
  const auto unseen = normal_rows(1, 2);
  EXPECT_EQ(detector.judge(unseen, 1).score, without.judge(unseen).score);
}

TEST(Detector, RefusesEveryTruncationOfItsState) {
  StateWriter out;
  calibrated().save(out);
  for (std::size_t size = 0; size < out.bytes().size(); size += 17) {
    Detector detector;
    StateReader in{std::span{out.bytes()}.first(size)};
    EXPECT_FALSE(detector.load(in)) << size << " bytes";
  }
}

TEST(Detector, KeepsASeriesInAboutEightKilobytes) {
  Detector detector = calibrated();
  const auto rows = normal_rows(20'000, 2);
  for (std::size_t i = 0; i < 20'000; ++i) (void)detector.judge(row_of(rows, i));
  StateWriter out;
  detector.save(out);
  EXPECT_LT(out.bytes().size() + sizeof detector, 8U * 1024);
}

}  // namespace
}  // namespace anomalyd::pipeline
