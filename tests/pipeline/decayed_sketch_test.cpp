#include "daemon/pipeline/decayed_sketch.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/pipeline/streams.hpp"

namespace anomalyd::pipeline {
namespace {

constexpr DecayedSketch::Range kZeroToTen{.low = 0, .bin_width = 0.02, .num_bins = 500};

TEST(DecayedSketch, FindsQuantilesToABin) {
  DecayedSketch sketch{kZeroToTen, 1e6};
  for (const double score : testing::exponential_scores(50'000)) sketch.add(score);
  for (const double level : {0.1, 0.5, 0.98}) {
    EXPECT_NEAR(sketch.quantile(level), -std::log(1 - level), 0.06) << level;
    EXPECT_NEAR(sketch.share_above(-std::log(1 - level)), 1 - level, 0.01) << level;
  }
}

TEST(DecayedSketch, ForgetsWhatIsManyMemoriesOld) {
  DecayedSketch sketch{kZeroToTen, 200};
  for (int row = 0; row < 5000; ++row) sketch.add(1.0);
  for (int row = 0; row < 1000; ++row) sketch.add(8.0);
  EXPECT_NEAR(sketch.quantile(0.05), 8.0, 0.03);
}

TEST(DecayedSketch, CountsARowWithItsShare) {
  DecayedSketch sketch{kZeroToTen, 1e6};
  for (int row = 0; row < 900; ++row) sketch.add(1.0);
  for (int row = 0; row < 1000; ++row) sketch.add(8.0, 0.1);
  EXPECT_NEAR(sketch.share_above(5.0), 0.1, 0.001);
}

TEST(DecayedSketch, CountsValuesOutsideItsRangeAtTheEnds) {
  DecayedSketch sketch{kZeroToTen, 1e6};
  for (const double value : {-1e300, 5.0, 1e300}) sketch.add(value);
  EXPECT_NEAR(sketch.quantile(0.3), 0.02, 1e-9);
  EXPECT_NEAR(sketch.quantile(1.0), 10.0, 1e-9);
}

TEST(DecayedSketch, MeasuresHowWideTheMiddleIs) {
  DecayedSketch sketch{kZeroToTen, 1e6};
  for (int row = 0; row < 1000; ++row) sketch.add(4.0 + 2.0 * row / 1000);
  EXPECT_NEAR(sketch.half_width(5.0, 0.5), 0.5, 0.03);
}

}  // namespace
}  // namespace anomalyd::pipeline
