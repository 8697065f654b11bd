#include "models/scoring_jobs.hpp"

#include <gmock/gmock.h>

#include <numeric>
#include <set>

namespace anomalyd::models {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<Batch::Window> windows_of_slots(const std::vector<std::uint32_t>& slots) {
  std::vector<Batch::Window> windows;
  for (const std::uint32_t slot : slots) windows.push_back({0, slot});
  return windows;
}

TEST(ScoringJobs, CutsOneSlotIntoBlocksInOrder) {
  const auto jobs = plan_jobs(windows_of_slots({3, 3, 3, 3, 3}), 2);
  ASSERT_THAT(jobs, SizeIs(3));
  EXPECT_THAT(jobs[0].slots, ElementsAre(3));
  EXPECT_THAT(jobs[0].windows, ElementsAre(0, 1));
  EXPECT_THAT(jobs[1].windows, ElementsAre(2, 3));
  EXPECT_THAT(jobs[2].windows, ElementsAre(4));
}

TEST(ScoringJobs, PutsSlotsSideBySideAndPadsTheShorterOnes) {
  const auto jobs = plan_jobs(windows_of_slots({1, 2, 1, 2, 1}), 100);
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_THAT(jobs[0].slots, ElementsAre(1, 2));
  EXPECT_THAT(jobs[0].windows, ElementsAre(0, 2, 4, 1, 3, 3));
}

TEST(ScoringJobs, DoesNotPadASlotToMoreThanTwiceItsWindows) {
  const auto jobs = plan_jobs(windows_of_slots({1, 1, 1, 1, 1, 2, 3}), 100);
  ASSERT_THAT(jobs, SizeIs(2));
  EXPECT_THAT(jobs[0].slots, ElementsAre(1));
  EXPECT_THAT(jobs[1].slots, ElementsAre(2, 3));
}

TEST(ScoringJobs, CoversEveryWindowWithinTheBlock) {
  std::vector<std::uint32_t> slots(1000);
  for (std::uint32_t i = 0; i < slots.size(); ++i) slots[i] = i * i % 37;
  std::set<std::int64_t> seen;
  for (const ScoringJob& job : plan_jobs(windows_of_slots(slots), 64)) {
    EXPECT_LE(job.windows.size(), 64U);
    EXPECT_EQ(job.windows.size() % job.slots.size(), 0U);
    seen.insert(job.windows.begin(), job.windows.end());
  }
  EXPECT_THAT(seen, SizeIs(1000));
}

}  // namespace
}  // namespace anomalyd::models
