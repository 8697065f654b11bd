#include "daemon/runtime/scoring_loop.hpp"

#include <gmock/gmock.h>

#include <future>

#include "tests/support/persistence_model.hpp"

namespace anomalyd::runtime {
namespace {

using anomalyd::testing::PersistenceScorer;
using ::testing::SizeIs;
using namespace std::chrono_literals;

pipeline::ScoreRequest request(const std::shared_ptr<const pipeline::LearnedGroup>& group,
                               std::uint32_t windows, Memory& memory) {
  pipeline::ScoreRequest request;
  request.group = group;
  request.batch.channels = 1;
  request.batch.context = 2;
  for (std::uint32_t i = 0; i <= windows; ++i)
    request.batch.rows.push_back(static_cast<float>(i * i));
  for (std::uint32_t i = 0; i < windows; ++i) request.batch.windows.push_back({i + 1, 0, &memory});
  return request;
}

class ScoringLoopTest : public ::testing::Test {
 protected:
  PersistenceScorer& install() {
    auto scorer = std::make_unique<PersistenceScorer>(std::vector<Channel>{{"x", ""}}, 2);
    PersistenceScorer& view = *scorer;
    memory_ = view.memorize(std::vector<float>(1), 0, 1).value();
    loop_.install(group_, std::move(scorer));
    return view;
  }
  Result<Residuals> score(std::uint32_t windows) {
    std::promise<Result<Residuals>> promise;
    loop_.submit(request(group_, windows, memory_),
                 [&](pipeline::ScoreRequest, Result<Residuals> residuals) {
                   promise.set_value(std::move(residuals));
                 });
    return promise.get_future().get();
  }

  std::vector<std::string> degraded_;
  Memory memory_;
  std::shared_ptr<const pipeline::LearnedGroup> group_ = std::make_shared<pipeline::LearnedGroup>();
  ScoringLoop loop_{{.max_windows = 8, .max_delay = 1ms},
                    system_clock(),
                    {[this](const std::string& message) { degraded_.push_back(message); }, {}}};
};

TEST_F(ScoringLoopTest, ScoresEveryWindowInOrder) {
  install();
  const auto residuals = score(3);
  ASSERT_TRUE(residuals);
  EXPECT_THAT(residuals->values, ::testing::ElementsAre(1, 1, 3, 3, 5, 5));
}

TEST_F(ScoringLoopTest, HalvesTheBatchWhenTheDeviceIsOutOfMemory) {
  PersistenceScorer& scorer = install();
  scorer.max_windows = 3;
  const auto residuals = score(20);
  ASSERT_TRUE(residuals);
  EXPECT_THAT(residuals->values, SizeIs(40));
  EXPECT_EQ(residuals->values[39], 39);
  EXPECT_GT(scorer.calls, 6);
}

TEST_F(ScoringLoopTest, ScoresABacklogInPartsSoThatTheWatchdogSeesItMove) {
  PersistenceScorer& scorer = install();
  const auto residuals = score(40'000);
  ASSERT_TRUE(residuals);
  EXPECT_THAT(residuals->values, SizeIs(80'000));
  EXPECT_EQ(scorer.calls, 4);
  scorer.calls = 0;
  memory_ = scorer.memorize(std::vector<float>(1), 0, 1).value();
  const auto few = score(2000);
  ASSERT_TRUE(few);
  EXPECT_TRUE(std::equal(few->values.begin(), few->values.end(), residuals->values.begin()));
}

TEST_F(ScoringLoopTest, GoesOnOnTheCpuWhenTheDeviceIsLost) {
  PersistenceScorer& scorer = install();
  scorer.fail_next = {{ErrorKind::kDeviceLost, "cuda:0 has fallen off the bus"}};
  EXPECT_TRUE(score(2));
  EXPECT_THAT(degraded_, ::testing::ElementsAre("cuda:0 has fallen off the bus"));
  EXPECT_EQ(scorer.info().device, "cpu");
}

TEST_F(ScoringLoopTest, HandsAnErrorToWhoeverAsked) {
  PersistenceScorer& scorer = install();
  scorer.fail_next = {{ErrorKind::kIncompatible, "3 channels; expected 1"}};
  const auto residuals = score(2);
  ASSERT_FALSE(residuals);
  EXPECT_EQ(residuals.error().message, "3 channels; expected 1");
  EXPECT_TRUE(score(2)) << "the scorer is still usable";
}

TEST_F(ScoringLoopTest, RefusesAGroupWithoutAModel) { EXPECT_FALSE(score(1)); }

TEST_F(ScoringLoopTest, ScoresWhatIsQueuedBeforeItStops) {
  install();
  std::atomic<int> done{0};
  for (int i = 0; i < 100; ++i) {
    loop_.submit(request(group_, 2, memory_),
                 [&](pipeline::ScoreRequest, const Result<Residuals>& r) { done += r ? 1 : 0; });
  }
  loop_.stop();
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace anomalyd::runtime
