#include "daemon/pipeline/generalised_pareto.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>
#include <vector>

namespace anomalyd::pipeline {
namespace {

std::vector<double> draw(const GeneralisedPareto& tail, std::size_t count) {
  std::mt19937_64 random{7};
  std::uniform_real_distribution<double> uniform{1e-12, 1};
  std::vector<double> excesses(count);
  for (double& excess : excesses) excess = tail.excess_at(uniform(random));
  return excesses;
}

TEST(GeneralisedPareto, InvertsItself) {
  for (const double shape : {-0.4, 0.0, 1e-10, 0.1, 0.8}) {
    const GeneralisedPareto tail{shape, 2.5};
    for (const double p : {0.9, 0.1, 1e-4, 1e-9}) {
      EXPECT_NEAR(tail.probability_above(tail.excess_at(p)) / p, 1, 1e-9) << shape << ' ' << p;
    }
  }
}

TEST(GeneralisedPareto, GivesNoProbabilityBeyondAFiniteEnd) {
  const GeneralisedPareto tail{-0.5, 1.0};  // ends at 2
  EXPECT_GT(tail.probability_above(1.99), 0.0);
  EXPECT_EQ(tail.probability_above(2.0), 0.0);
  EXPECT_EQ(tail.probability_above(1e9), 0.0);
}

TEST(GeneralisedPareto, RecoversTheShapeOfADrawnSample) {
  for (const double shape : {-0.2, 0.1, 0.5}) {
    EXPECT_NEAR(fit_shape(draw({shape, 3.0}, 5000)), shape, 0.06);
  }
}

TEST(GeneralisedPareto, FitsTheSameShapeInAnyUnit) {
  auto excesses = draw({0.2, 1.0}, 256);
  const double shape = fit_shape(excesses);
  for (double& excess : excesses) excess *= 1e9;
  EXPECT_NEAR(fit_shape(excesses), shape, 1e-6);
}

TEST(GeneralisedPareto, FitsTiesAndExtremeRatiosToAFiniteShape) {
  EXPECT_TRUE(std::isfinite(fit_shape(std::vector(64, 0.5))));
  std::vector<double> extreme(64, 1e-9);
  extreme.back() = 1e9;
  EXPECT_TRUE(std::isfinite(fit_shape(extreme)));
}

}  // namespace
}  // namespace anomalyd::pipeline
