#include "models/job_pool.hpp"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <barrier>
#include <stdexcept>
#include <thread>
#include <vector>

namespace anomalyd::models {
namespace {

TEST(JobPool, RunsEveryJobOnceInEveryRound) {
  JobPool pool{3, [] {}};
  std::vector<std::atomic<int>> runs(100);
  for (int round = 0; round < 50; ++round) {
    pool.run(runs.size(), [&](std::size_t i) { ++runs[i]; });
  }
  for (const auto& count : runs) EXPECT_EQ(count, 50);
}

TEST(JobPool, WithOneThreadRunsJobsInOrder) {
  JobPool pool{1, [] {}};
  std::vector<std::size_t> order;
  pool.run(4, [&](std::size_t i) { order.push_back(i); });
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 3));
}

TEST(JobPool, ThrowsWhatAJobThrewAndGoesOn) {
  JobPool pool{2, [] {}};
  const auto fails = [](std::size_t i) {
    if (i == 7) throw std::runtime_error{"job 7"};
  };
  EXPECT_THROW(pool.run(20, fails), std::runtime_error);
  std::atomic<int> count = 0;
  pool.run(20, [&](std::size_t) { ++count; });
  EXPECT_EQ(count, 20);
}

TEST(JobPool, WorkersHaveThePriorityOfTheThreadThatCalls) {
  JobPool pool{2, [] {}};
  std::barrier both{2};  // one job on each thread
  const auto priorities = [&] {
    std::array<int, 2> found{};
    pool.run(2, [&](std::size_t i) {
      both.arrive_and_wait();
      found.at(i) = getpriority(PRIO_PROCESS, 0);
    });
    return found;
  };
  const int here = getpriority(PRIO_PROCESS, 0);
  if (here == 19) GTEST_SKIP() << "there is no lower priority than that of this process";
  std::thread{[&] {
    ASSERT_EQ(setpriority(PRIO_PROCESS, 0, 19), 0);
    EXPECT_THAT(priorities(), ::testing::Each(19));
  }}.join();
  EXPECT_THAT(priorities(), ::testing::Each(here));
  EXPECT_THAT(priorities(), ::testing::Each(here)) << "in later rounds too";
}

}  // namespace
}  // namespace anomalyd::models
