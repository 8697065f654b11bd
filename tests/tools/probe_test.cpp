#include "tools/probe.hpp"

#include <gmock/gmock.h>

#include <random>

namespace anomalyd::tools {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

/// Points of two classes: noise, the second one `shift` further along the first axis and `stretch`
/// times as wide.
LabelledPoints two_clouds(float shift, float stretch) {
  std::mt19937 random{1};
  std::normal_distribution<float> normal;
  LabelledPoints points;
  for (std::size_t i = 0; i < 600; ++i) {
    const bool second = i % 2 == 1;
    const float wide = second ? stretch : 1;
    const float x = wide * normal(random), y = wide * normal(random);
    points.add(std::vector<float>{x + (second ? shift : 0), y}, second ? 1 : 0);
  }
  return points;
}

TEST(Probe, TellsClassesApartByWhereTheyAre) {
  EXPECT_THAT(cross_validated_probe(two_clouds(6, 1)), Ge(0.98));
}

TEST(Probe, TellsClassesApartByHowWideTheyAre) {
  EXPECT_THAT(cross_validated_probe(two_clouds(0, 8)), Ge(0.75));
}

TEST(Probe, GuessesWhereThereIsNothingToTell) {
  EXPECT_THAT(cross_validated_probe(two_clouds(0, 1)), AllOf(Ge(0.4), Le(0.6)));
}

TEST(Probe, ChanceIsTheShareOfTheMostFrequentClass) {
  LabelledPoints points;
  for (const std::size_t label : {0U, 1U, 1U, 2U}) points.add(std::vector<float>{0}, label);
  EXPECT_EQ(chance(points), 0.5);
}

/// Windows [count x 16 x 2] of a sine in random phase, and noise of this deviation.
std::vector<float> waves(std::size_t count, float noise, unsigned seed) {
  std::mt19937 random{seed};
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> phase{0, 6.28F};
  std::vector<float> windows;
  for (std::size_t k = 0; k < count; ++k) {
    const float at = phase(random);
    for (int i = 0; i < 16; ++i) {
      for (int c = 0; c < 2; ++c) {
        windows.push_back(std::sin(at + static_cast<float>(i + c) / 5) + noise * normal(random));
      }
    }
  }
  return windows;
}

TEST(TwoSampleTest, CannotTellWindowsOfOneKindApart) {
  EXPECT_THAT(two_sample_accuracy(waves(300, 0.1F, 1), waves(400, 0.1F, 2), 16, 2), Le(0.6));
}

TEST(TwoSampleTest, FindsOutWindowsThatAreTooSmooth) {
  EXPECT_THAT(two_sample_accuracy(waves(300, 0.1F, 1), waves(300, 0.01F, 2), 16, 2), Ge(0.98));
}

}  // namespace
}  // namespace anomalyd::tools
