#include "tools/gap_filling.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::IsNan;

TEST(Interpolation, DrawsLinesAndHoldsValuesAtTheEnds) {
  const GappyRows rows{1, {NAN, 1, NAN, 3, NAN}};
  EXPECT_THAT(interpolate_linearly(rows), ElementsAre(1, 1, 2, 3, 3));
}

TEST(Interpolation, LooksAtOneChannelAtATime) {
  const GappyRows rows{2, {1, NAN, NAN, NAN, 3, NAN}};
  EXPECT_THAT(interpolate_linearly(rows), ElementsAre(1, 0, 2, 0, 3, 0));
}

TEST(Interpolation, BendsSplinesTowardsACurve) {
  GappyRows rows{1, {}};
  for (int i = 0; i < 21; ++i) rows.cells.push_back(std::sin(0.3F * static_cast<float>(i)));
  rows.cells[9] = rows.cells[10] = rows.cells[11] = NAN;
  EXPECT_THAT(interpolate_by_spline(rows)[10], FloatNear(std::sin(3.0F), 0.01F));
}

/// Expects the second channel to be minus the first, and the first to be what it is.
Result<std::vector<float>> mirror(std::span<const float> rows, std::span<const std::size_t> ends) {
  std::vector<float> windows;
  for (const std::size_t end : ends) {
    for (std::size_t i = end - 3; i <= end; ++i) {
      windows.push_back(rows[2 * i]);
      windows.push_back(-rows[2 * i]);
    }
  }
  return windows;
}

TEST(GapFilling, FillsWithWhatTheModelExpectsOfTheOtherChannels) {
  const GappyRows rows{2, {1, -1, 2, NAN, 5, NAN, 1, -1, 2, -2}};
  const std::vector<std::size_t> ends{3, 4};
  const auto filled = fill_gaps(rows, ends, mirror, {.window = 4});
  ASSERT_TRUE(filled);
  EXPECT_THAT(*filled, ElementsAre(1, -1, 2, -2, 5, -5, 1, -1, 2, -2));
}

TEST(GapFilling, MakesUpForWhatTheModelIsWrongByAroundTheGap) {
  const GappyRows rows{2, {1, 2, 2, 1, 5, NAN, 1, 2, 2, 1}};  // 3 more than expected
  const std::vector<std::size_t> ends{3, 4};
  const auto filled = fill_gaps(rows, ends, mirror, {.window = 4});
  ASSERT_TRUE(filled);
  EXPECT_THAT((*filled)[5], FloatNear(-2, 1e-4F));
}

TEST(GapFilling, LeavesCellsThatNoWindowCovers) {
  const GappyRows rows{2, {1, NAN, 2, -2, 5, NAN, 1, -1, 2, -2}};
  const auto filled = fill_gaps(rows, std::vector<std::size_t>{4}, mirror, {.window = 4});
  ASSERT_TRUE(filled);
  EXPECT_THAT((*filled)[1], IsNan());
  EXPECT_THAT((*filled)[5], FloatNear(-5, 1e-4F));
}

TEST(GapFilling, PassesErrorsOfTheModelOn) {
  const auto fails = [](std::span<const float>, std::span<const std::size_t>) {
    return Result<std::vector<float>>{fail(ErrorKind::kExhausted, "no memory")};
  };
  const GappyRows rows{1, {1, NAN, 2, 3}};
  const auto filled = fill_gaps(rows, std::vector<std::size_t>{3}, fails, {.window = 4});
  ASSERT_FALSE(filled);
  EXPECT_EQ(filled.error().kind, ErrorKind::kExhausted);
}

}  // namespace
}  // namespace anomalyd::tools
