#include "daemon/pipeline/replay.hpp"

#include <gmock/gmock.h>

#include "tests/support/histories.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/pipeline_driver.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::minute;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::PersistenceScorer;
using anomalyd::testing::PipelineDriver;
using anomalyd::testing::wandering;

constexpr std::size_t kLearned = 600;

class Replay : public ::testing::Test {
 protected:
  Replay() {
    options_.training.rows = kLearned;
    options_.training.detect_counters = false;
    options_.budget = AlertBudget::parse("1 per series per 500 rows").value();
    const std::vector<History> rows{wandering("a", 0, kLearned, 2, 1),
                                    wandering("b", 0, kLearned, 2, 2)};
    auto learned = learn(rows, channels_, factory_, options_, [](const auto&) {}, {});
    scorer_ = std::move(learned->scorer);
    group_ = learned->group;
    for (const unsigned seed : {1U, 2U}) {
      History later = wandering(seed == 1 ? "a" : "b", kLearned, 1200, 2, seed);
      for (const std::size_t t : {100U, 101U, 300U}) later.rows[t * 2] += 30;
      later.rows[200 * 2] = NAN;
      later_.push_back(std::move(later));
    }
  }

  /// Verdicts of both series, with so many windows in a call.
  std::vector<Verdict> replayed(std::size_t windows_per_call) {
    std::vector<ReplayTrack> states;
    for (const History& rows : later_) {
      states.push_back(*replay_track(*group_, rows.series, options_));
    }
    std::vector<Passage> passages;
    for (std::size_t i = 0; i < 2; ++i) {
      passages.push_back({&states[i], &later_[i], 0, later_[i].size()});
    }
    std::vector<std::vector<Verdict>> by_series(2);
    opened_ = 0;
    const Status status =
        replay(*scorer_, passages, options_, {.windows_per_call = windows_per_call},
               [&](const ReplayedRow& row) {
                 if (row.verdict != nullptr) by_series[row.passage].push_back(*row.verdict);
                 opened_ += row.opened ? 1 : 0;
               });
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
    by_series[0].insert(by_series[0].end(), by_series[1].begin(), by_series[1].end());
    return by_series[0];
  }

  std::vector<Channel> channels_{{"x", ""}, {"y", ""}};
  PipelineOptions options_;
  PersistenceFactory factory_;
  std::unique_ptr<Scorer> scorer_;
  std::shared_ptr<const LearnedGroup> group_;
  std::vector<History> later_;
  std::size_t opened_ = 0;
};

TEST_F(Replay, JudgesRowsAsThePartitionPipelineDoes) {
  PipelineDriver driver{options_, channels_};
  driver.install(std::make_unique<PersistenceScorer>(channels_), group_);
  for (const History& rows : later_) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      driver.push(rows.series, minute(kLearned + i), {rows.rows[i * 2], rows.rows[i * 2 + 1]});
    }
  }
  driver.finish();
  const std::vector<Verdict> verdicts = replayed(2048);
  ASSERT_EQ(verdicts.size(), driver.verdicts.size());
  std::size_t alerts = 0;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const Verdict& live = driver.verdicts[i].verdict;
    ASSERT_EQ(verdicts[i].score, live.score) << i;
    ASSERT_EQ(verdicts[i].p_value, live.p_value) << i;
    ASSERT_EQ(verdicts[i].alert, live.alert) << i;
    alerts += live.alert ? 1 : 0;
  }
  EXPECT_GT(alerts, 0U);
  EXPECT_EQ(opened_, driver.pipeline().counters().incidents_opened);
}

TEST_F(Replay, IsTheSameHoweverManyWindowsACallHas) {
  const std::vector<Verdict> all = replayed(2048), few = replayed(7);
  ASSERT_EQ(all.size(), few.size());
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i].score, few[i].score) << i;
}

TEST_F(Replay, HalvesACallThatTheDeviceHasNoMemoryFor) {
  const std::vector<Verdict> all = replayed(2048);
  static_cast<PersistenceScorer&>(*scorer_).max_windows = 100;
  const std::vector<Verdict> parts = replayed(2048);
  ASSERT_EQ(all.size(), parts.size());
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i].score, parts[i].score) << i;
}

TEST_F(Replay, ChangesNothingButItsOwnTrack) {
  const auto before = group_->calibration();
  (void)replayed(100);
  EXPECT_EQ(group_->calibration(), before);
}

TEST_F(Replay, EndsWhereItIsTold) {
  ReplayTrack state = *replay_track(*group_, "a", options_);
  const Passage passage{&state, &later_[0], 0, later_[0].size()};
  int calls = 0;
  const ReplayOptions how{10, [&]() -> Status {
                            if (++calls <= 3) return {};
                            return fail(ErrorKind::kCancelled, "enough");
                          }};
  std::size_t rows = 0;
  const Status status =
      replay(*scorer_, {&passage, 1}, options_, how, [&](const ReplayedRow&) { ++rows; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "enough");
  EXPECT_EQ(rows, 30U);
  EXPECT_FALSE(replay_track(*group_, "unknown", options_));
}

}  // namespace
}  // namespace anomalyd::pipeline
