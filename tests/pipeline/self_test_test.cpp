#include "daemon/pipeline/self_test.hpp"

#include <gmock/gmock.h>

#include "tests/support/histories.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/persistence_model.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::ManualClock;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::wandering;
using std::chrono::hours;
using ::testing::SizeIs;

class TryFault : public ::testing::Test {
 protected:
  TryFault() {
    options_.training.rows = 600;
    options_.budget = AlertBudget::parse("1 per series per 500 rows").value();
    const std::vector<History> rows{wandering("a", 0, 600, 2, 1)};
    auto learned = learn(rows, {{"x", ""}, {"y", ""}}, factory_, options_, [](const auto&) {}, {});
    scorer_ = std::move(learned->scorer);
    group_ = learned->group;
    before_ = *replay_track(*group_, "a", options_);
  }
  std::optional<SelfTestTrial> attempt(FaultType type, std::uint64_t seed) {
    auto trial = try_fault(*scorer_, before_, later_, type, seed, options_);
    EXPECT_TRUE(trial) << (trial ? "" : trial.error().message);
    return trial ? *trial : std::nullopt;
  }

  PipelineOptions options_;
  PersistenceFactory factory_;
  std::unique_ptr<Scorer> scorer_;
  std::shared_ptr<const LearnedGroup> group_;
  ReplayTrack before_;
  History later_ = wandering("a", 600, 760, 2, 1);
};

TEST_F(TryFault, FindsLargeSpikesAtOnce) {
  std::size_t found = 0, tried = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto trial = attempt(FaultType::kSpike, seed);
    if (!trial) continue;
    ++tried;
    if (std::abs(trial->fault.size) < 4) continue;
    EXPECT_TRUE(trial->found) << seed;
    EXPECT_LE(trial->delay, 3U);
    ++found;
  }
  EXPECT_GT(tried, 30U);
  EXPECT_GT(found, 1U);
}

TEST_F(TryFault, MissesWhatIsTooSmallToSee) {
  std::size_t found = 0, tried = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto trial = attempt(FaultType::kSpike, seed);
    if (!trial || std::abs(trial->fault.size) > 0.7) continue;
    ++tried;
    found += trial->found ? 1 : 0;
  }
  EXPECT_GT(tried, 2U);
  EXPECT_LE(found, 1U);
}

TEST_F(TryFault, RepeatsItself) {
  for (const FaultType type : kFaultTypes) {
    const auto one = attempt(type, 5), two = attempt(type, 5);
    ASSERT_EQ(one.has_value(), two.has_value());
    if (!one) continue;
    EXPECT_EQ(one->found, two->found);
    EXPECT_EQ(one->delay, two->delay);
    EXPECT_EQ(one->fault.first, two->fault.first);
  }
}

TEST_F(TryFault, LeavesEverythingAsItWas) {
  StateWriter track_before, track_after;
  before_.track.save(track_before);
  const auto rows = later_.rows;
  (void)attempt(FaultType::kLevel, 1);
  before_.track.save(track_after);
  EXPECT_EQ(track_before.bytes(), track_after.bytes());
  EXPECT_EQ(later_.rows, rows);
}

TEST_F(TryFault, TellsNothingOfRowsThatAlertAnyway) {
  for (std::size_t i = 10; i < later_.size(); i += 15) later_.rows[i * 2] += 200;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    EXPECT_FALSE(attempt(FaultType::kNoise, seed)) << seed;
  }
}

TEST_F(TryFault, NeedsRowsEnoughForTheFault) {
  later_ = rows_of(later_, 0, 20, false);
  EXPECT_FALSE(attempt(FaultType::kSpike, 1));
  later_ = wandering("a", 600, 640, 2, 1);
  EXPECT_TRUE(attempt(FaultType::kSpike, 1));
  later_.gaps.front() = History::kRestart;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto trial = attempt(FaultType::kSpike, seed);
    if (trial) {
      EXPECT_GE(trial->fault.first, scorer_->info().context + 8);
    }
  }
}

SelfTestTrial trial_of(FaultType type, bool found, std::size_t delay = 0) {
  return {{.type = type}, found, delay};
}

TEST(SelfTestRecord, TellsRecallAndDelay) {
  SelfTestRecord record;
  ManualClock clock;
  for (int i = 0; i < 10; ++i) {
    record.add("g", "v1", trial_of(FaultType::kLevel, i < 6, 4), clock.monotonic());
  }
  record.add("g", "v1", trial_of(FaultType::kStuck, false), clock.monotonic());
  const auto figures = record.figures(clock.monotonic());
  ASSERT_THAT(figures, SizeIs(2));
  EXPECT_EQ(figures[0].type, FaultType::kLevel);
  EXPECT_DOUBLE_EQ(figures[0].trials, 10);
  EXPECT_DOUBLE_EQ(figures[0].recall, 0.6);
  EXPECT_NEAR(figures[0].low, 0.31, 0.01);
  EXPECT_NEAR(figures[0].high, 0.83, 0.01);
  EXPECT_DOUBLE_EQ(figures[0].delay_rows, 4);
  EXPECT_TRUE(std::isnan(figures[1].delay_rows));
}

TEST(SelfTestRecord, TellsOfTheLastDay) {
  SelfTestRecord record;
  ManualClock clock;
  for (int i = 0; i < 100; ++i) {
    record.add("g", "v1", trial_of(FaultType::kLevel, true), clock.monotonic());
  }
  clock.advance(hours{72});
  for (int i = 0; i < 10; ++i) {
    record.add("g", "v1", trial_of(FaultType::kLevel, false), clock.monotonic());
  }
  EXPECT_LT(record.figures(clock.monotonic())[0].recall, 0.4);
  clock.advance(hours{24 * 30});
  EXPECT_THAT(record.figures(clock.monotonic()), SizeIs(0));
  record.add("g", "v2", trial_of(FaultType::kSpike, true), clock.monotonic());
  EXPECT_THAT(record.figures(clock.monotonic()), SizeIs(1)) << "the old version is forgotten";
}

TEST(SelfTestRecord, TakesTypesInTurn) {
  SelfTestRecord record;
  ManualClock clock;
  std::map<FaultType, int> tried;
  for (int i = 0; i < 14; ++i) {
    const FaultType type = record.next_type("g", "v1", 3, clock.monotonic());
    record.add("g", "v1", trial_of(type, true), clock.monotonic());
    ++tried[type];
  }
  for (const FaultType type : kFaultTypes) EXPECT_EQ(tried[type], 2) << to_string(type);
  tried.clear();
  for (int i = 0; i < 10; ++i) {
    const FaultType type = record.next_type("g", "one", 1, clock.monotonic());
    record.add("g", "one", trial_of(type, true), clock.monotonic());
    ++tried[type];
  }
  EXPECT_THAT(tried, SizeIs(5)) << "one channel cannot be swapped";
}

}  // namespace
}  // namespace anomalyd::pipeline
