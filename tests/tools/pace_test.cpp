#include "tools/pace.hpp"

#include <gmock/gmock.h>

namespace anomalyd::tools {
namespace {

using namespace std::chrono_literals;

const MonotonicTime kNow{1000s};
EventTime row_at(std::chrono::seconds time) { return EventTime{time}; }

TEST(Pace, NeverWaitsWithoutALimit) {
  Pace pace{{}};
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow), 0s);
  EXPECT_EQ(pace.wait_for(row_at(100000s), kNow), 0s);
}

TEST(Pace, KeepsARate) {
  Pace pace{{.rows_per_second = 10}};
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow), 0ms);
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow), 100ms);
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow + 150ms), 50ms);
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow + 5s), 0ms) << "late: it catches up";
}

TEST(Pace, ScalesTheTimeOfTheData) {
  Pace pace{{.speed = 60}};
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow), 0s);
  EXPECT_EQ(pace.wait_for(row_at(60s), kNow), 1s);
  EXPECT_EQ(pace.wait_for(row_at(120s), kNow + 1s), 1s);
}

TEST(Pace, ScalesOnlyWhatComesBehindTheBackfill) {
  Pace pace{{.speed = 60, .backfill = 1h}};
  EXPECT_EQ(pace.wait_for(row_at(0s), kNow), 0s);
  EXPECT_EQ(pace.wait_for(row_at(3600s), kNow + 2s), 0s);
  EXPECT_EQ(pace.wait_for(row_at(3660s), kNow + 2s), 1s);
}

}  // namespace
}  // namespace anomalyd::tools
