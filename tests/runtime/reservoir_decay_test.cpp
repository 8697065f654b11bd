#include "daemon/runtime/reservoir_decay.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace anomalyd::runtime {
namespace {

constexpr std::int64_t kHour = 3600LL * 1'000'000;
constexpr std::int64_t kStep = 60'000'000;

TEST(Decay, HalvesWithEveryOctaveOfAge) {
  const Thinning thinning{kHour, 100 * kHour};
  EXPECT_EQ(thinning.level(100 * kHour), 0U);
  EXPECT_EQ(thinning.level(99 * kHour + 1), 0U);
  EXPECT_EQ(thinning.level(99 * kHour), 1U);
  EXPECT_EQ(thinning.level(98 * kHour), 2U);
  EXPECT_EQ(thinning.level(97 * kHour), 2U);
  EXPECT_EQ(thinning.level(96 * kHour), 3U);
  EXPECT_EQ(thinning.level(200 * kHour), 0U) << "later than the newest known";
  EXPECT_EQ(Thinning{}.level(0), 0U);
}

TEST(Decay, KeepsEveryStretchThatItKeptBeforeOrLess) {
  const Stretches stretches{"m0", kStep};
  for (std::int64_t time = -1000 * kHour; time < 1000 * kHour; time += 3 * kHour) {
    const bool later = stretches.keeps(time, {10 * kHour, 3000 * kHour});
    const bool before = stretches.keeps(time, {10 * kHour, 1000 * kHour});
    EXPECT_TRUE(before || !later) << time;
  }
}

TEST(Decay, KeepsStretchesOfAtLeast256Rows) {
  const Stretches stretches{"m0", kStep};
  const Thinning thinning{kHour, 10'000 * kHour};
  int length = 0, shortest = 1 << 20, kept = 0;
  for (std::int64_t time = 6000 * kHour; time < 7000 * kHour; time += kStep) {
    const bool keeps = stretches.keeps(time, thinning);
    if (!keeps && length > 0 && kept > 1) shortest = std::min(shortest, length);
    if (keeps && length == 0) ++kept;
    length = keeps ? length + 1 : 0;
  }
  EXPECT_GE(shortest, 256);
}

TEST(Decay, EstimatesWhatStays) {
  const Thinning thinning{kHour, 100 * kHour};
  const StoredPiece young{1000, 99 * kHour + 1, 100 * kHour, {}};
  EXPECT_EQ(share_that_stays(young, thinning), 1.0);
  const StoredPiece old{1000, 97 * kHour, 98 * kHour, {}};
  EXPECT_EQ(share_that_stays(old, thinning), 0.25);
  const StoredPiece thinned_before{1000, 97 * kHour, 98 * kHour, {kHour, 99 * kHour}};
  EXPECT_EQ(share_that_stays(thinned_before, thinning), 0.5);
  const StoredPiece hostile{1000, INT64_MIN, INT64_MAX, {1, INT64_MIN}};
  EXPECT_GE(share_that_stays(hostile, {1, INT64_MAX}), 0.0);
}

TEST(Decay, ThinsJustEnough) {
  std::vector<StoredPiece> pieces;
  for (int i = 0; i < 1000; ++i) pieces.push_back({1000, i * kHour, (i + 1) * kHour, {}});
  const Thinning thinning = find_thinning(pieces, 300'000, 1000 * kHour);
  double total = 0;
  for (const StoredPiece& piece : pieces) total += 1000 * share_that_stays(piece, thinning);
  EXPECT_LE(total, 300'000);
  EXPECT_GT(total, 150'000);
  EXPECT_EQ(find_thinning(pieces, 1'000'000, 1000 * kHour).level(0), 0U) << "all fits";
}

TEST(Decay, SharesFairly) {
  EXPECT_EQ(fair_share({10, 20, 1000, 2000}, 530), 250U);
  EXPECT_EQ(fair_share({10, 20}, 530), 20U) << "all may stay";
  EXPECT_EQ(fair_share({1000, 1000}, 530), 265U);
  EXPECT_EQ(fair_share({}, 530), 530U);
}

}  // namespace
}  // namespace anomalyd::runtime
