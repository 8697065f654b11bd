#include "daemon/pipeline/batcher.hpp"

#include <gmock/gmock.h>

namespace anomalyd::pipeline {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr MonotonicTime kStart{};

Batcher::Item request(const std::shared_ptr<const LearnedGroup>& group, std::size_t windows) {
  ScoreRequest request;
  request.group = group;
  request.batch = {1, 2, std::vector<float>(windows + 1, 0.5F), {}};
  for (std::uint32_t i = 0; i < windows; ++i) request.batch.windows.push_back({i + 1, 0});
  return {std::move(request), [](ScoreRequest, Result<Residuals>) {}};
}

class BatcherTest : public ::testing::Test {
 protected:
  std::shared_ptr<const LearnedGroup> group_ = std::make_shared<LearnedGroup>();
  Batcher batcher_{{.max_windows = 8, .max_delay = 20ms}};
};

TEST_F(BatcherTest, SendsPartialBatchOnceOldestRequestHasWaitedMaxDelay) {
  batcher_.add(request(group_, 2), kStart);
  batcher_.add(request(group_, 2), kStart + 15ms);
  EXPECT_EQ(batcher_.deadline(), kStart + 20ms);
  EXPECT_THAT(batcher_.take_ready(kStart + 19ms), IsEmpty());
  EXPECT_THAT(batcher_.take_ready(kStart + 20ms), SizeIs(2));
  EXPECT_EQ(batcher_.deadline(), std::nullopt) << "an empty batcher asks for no wake-up";
}

TEST_F(BatcherTest, SendsFullBatchAtOnce) {
  batcher_.add(request(group_, 5), kStart);
  batcher_.add(request(group_, 4), kStart);
  EXPECT_LE(*batcher_.deadline(), kStart);
  EXPECT_THAT(batcher_.take_ready(kStart), SizeIs(2));
}

TEST_F(BatcherTest, SendsARequestLargerThanABatchAlone) {
  batcher_.add(request(group_, 100), kStart);
  batcher_.add(request(group_, 1), kStart);
  EXPECT_THAT(batcher_.take_ready(kStart), SizeIs(1));
  EXPECT_THAT(batcher_.take_ready(kStart), IsEmpty()) << "what is left waits its own turn";
  EXPECT_THAT(batcher_.take_ready(kStart + 20ms), SizeIs(1));
}

TEST_F(BatcherTest, NeverMixesGroups) {
  const auto other = std::make_shared<LearnedGroup>();
  batcher_.add(request(group_, 2), kStart);
  batcher_.add(request(other, 2), kStart);
  const auto first = batcher_.take_ready(kStart + 1s);
  const auto second = batcher_.take_ready(kStart + 1s);
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_NE(first[0].request.group, second[0].request.group);
}

TEST_F(BatcherTest, MergesAndSplitsWithoutMixingUpWindows) {
  std::vector<Batcher::Item> items;
  items.push_back(request(group_, 2));
  items.push_back(request(group_, 3));
  const Batch merged = merge(items);
  EXPECT_EQ(merged.num_rows(), 7u);
  std::vector<std::uint32_t> ends;
  for (const auto& window : merged.windows) ends.push_back(window.end_row);
  EXPECT_THAT(ends, ElementsAre(1, 2, 4, 5, 6));

  const auto parts = split({2, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}, items);
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_THAT(parts[0].values, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(parts[1].values, ElementsAre(4, 5, 6, 7, 8, 9));
}

}  // namespace
}  // namespace anomalyd::pipeline
