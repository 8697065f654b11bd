#include "daemon/pipeline/retraining.hpp"

#include <gmock/gmock.h>

#include "tests/runtime/judged_chunks.hpp"

namespace anomalyd::pipeline {
namespace {

using testing::judged_chunk;
using testing::kMinute;

EventTime minute(std::int64_t row) { return EventTime{std::chrono::microseconds{row * kMinute}}; }

/// A thousand rows with two incidents: one early, one among the newest.
std::vector<std::vector<JudgedRows>> one_series() {
  JudgedRows rows = judged_chunk("m0", 0, 1000);
  for (std::size_t i = 200; i < 220; ++i) rows.marks[i] = RowMark::kIncident;
  for (std::size_t i = 950; i < 960; ++i) rows.marks[i] = RowMark::kIncident;
  return {{rows}};
}

const std::vector<Label>& faults() {
  static const std::vector<Label> labels{{"m0", minute(200), minute(219), "fault: pump"},
                                         {"m0", minute(950), minute(959), "fault: pump"}};
  return labels;
}

bool holds(const std::vector<History>& histories, std::int64_t row) {
  return std::ranges::find(histories.front().times, row * kMinute) != histories.front().times.end();
}

TEST(RetrainingRows, LeaveFaultsOut) {
  const RetrainingRows rows = retraining_rows(one_series(), faults(), {}, {});
  ASSERT_EQ(rows.learned.size(), 1U);
  EXPECT_FALSE(holds(rows.learned, 210));
  EXPECT_EQ(rows.left_out[static_cast<std::size_t>(LeftOut::kFault)], 30U);
}

TEST(RetrainingRows, HoldFaultsForAModelThatNamesThemButNoneIsMeasuredOn) {
  const RetrainingRows without = retraining_rows(one_series(), faults(), {}, {});
  const RetrainingRows rows = retraining_rows(one_series(), faults(), {}, {}, Faults::kLearned);
  EXPECT_TRUE(holds(rows.learned, 210));
  EXPECT_EQ(rows.learned.front().times.back(), without.learned.front().times.back());
  ASSERT_EQ(rows.unseen.size(), 1U);
  EXPECT_EQ(rows.unseen.front().times, without.unseen.front().times);
  EXPECT_FALSE(holds(rows.unseen, 955));
}

TEST(RetrainingRows, LetABenignIncidentIn) {
  const std::vector<Label> benign{{"m0", minute(200), minute(219), "benign: backup"}};
  EXPECT_TRUE(holds(retraining_rows(one_series(), benign, {}, {}).learned, 210));
}

}  // namespace
}  // namespace anomalyd::pipeline
