#include "daemon/pipeline/tail_cost.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

namespace anomalyd::pipeline {
namespace {

double exact(double z) { return -std::log(0.5 * std::erfc(z / std::numbers::sqrt2)); }

TEST(TailCost, IsExactToAMillionthUpToFiveDeviations) {
  for (double z = -12; z <= 5; z += 0.0137) EXPECT_NEAR(tail_cost(z), exact(z), 1e-6) << z;
}

TEST(TailCost, IsWithinTwoTenThousandthsBeyond) {
  for (double z = 5.01; z < 30; z += 0.1) EXPECT_NEAR(tail_cost(z) / exact(z), 1, 2e-4) << z;
}

TEST(TailCost, NeverFalls) {
  double last = 0;
  for (double z = -15; z < 35; z += 0.001) {
    const double cost = tail_cost(z);
    EXPECT_GE(cost, last - 1e-9) << z;
    last = cost;
  }
}

TEST(TailCost, IsHeldAtThirtyDeviations) { EXPECT_EQ(tail_cost(1e30), tail_cost(30)); }

}  // namespace
}  // namespace anomalyd::pipeline
