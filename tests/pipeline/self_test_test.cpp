#include "daemon/pipeline/self_test.hpp"

#include <gmock/gmock.h>

#include "tests/support/histories.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/pipeline_driver.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::ManualClock;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::PersistenceScorer;
using anomalyd::testing::PipelineDriver;
using anomalyd::testing::wandering;
using std::chrono::hours;
using ::testing::IsEmpty;
using ::testing::Not;
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

TEST_F(TryFault, TellsNothingOfRowsThatAreNotJudged) {
  later_.gaps[60] = History::kRestart;
  std::size_t tried = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto trial = attempt(FaultType::kSpike, seed);
    if (!trial) continue;
    ++tried;
    EXPECT_FALSE(trial->fault.end() > 60 && trial->fault.first < 60 + scorer_->info().context);
  }
  EXPECT_GT(tried, 20U);
}

/// A partition with two series, of which samples are taken on the way.
class LiveSamples : public ::testing::Test {
 protected:
  static constexpr int kLearned = 600;
  static PipelineOptions options() {
    PipelineOptions options;
    options.training.rows = kLearned;
    options.training.record = true;
    options.budget = AlertBudget::parse("1 per series per 1000 rows").value();
    return options;
  }
  static EventTime at(int t) { return EventTime{std::chrono::seconds{1'700'000'000 + t}}; }

  /// Rows of two series; b has faults, and both miss rows now and then.
  void run(PipelineDriver& driver, int from, int to) {
    for (int t = from; t < to; ++t) {
      for (const std::string name : {"a", "b"}) {
        std::mt19937_64 random{static_cast<std::uint64_t>(t) * 2 + (name == "a" ? 0 : 1)};
        std::normal_distribution<double> noise;
        const double fault = name == "b" && t > kLearned && t % 311 < 3 ? 40 : 0;
        const std::vector<double> row{50 + fault + noise(random), 20 + 0.5 * noise(random)};
        if (t <= kLearned || t % 97 != 0) driver.push(name, at(t), row);
      }
    }
    driver.run();
  }
  std::vector<LiveSample> take() { return driver_.pipeline().take_samples(); }

  PipelineDriver driver_{options(), {{"x", ""}, {"y", ""}}};
  PersistenceFactory factory_;
};

TEST_F(LiveSamples, LeaveAlertsStateAndRecordAsTheyAre) {
  PipelineDriver undisturbed{options(), {{"x", ""}, {"y", ""}}};
  for (PipelineDriver* driver : {&driver_, &undisturbed}) {
    run(*driver, 0, kLearned);
    ASSERT_TRUE(driver->train(factory_));
  }
  PersistenceScorer apart{driver_.group()->info.channels};
  std::size_t trials = 0, found = 0;
  for (int t = kLearned; t < 4000; t += 50) {
    driver_.pipeline().begin_sample();
    for (PipelineDriver* driver : {&driver_, &undisturbed}) run(*driver, t, t + 50);
    for (const LiveSample& sample : take()) {
      const auto of_sample = try_faults(apart, sample, options());
      ASSERT_TRUE(of_sample);
      trials += of_sample->size();
      for (const SelfTestTrial& trial : *of_sample) found += trial.found ? 1 : 0;
    }
  }
  EXPECT_GT(trials, 50U);
  EXPECT_GT(found, 5U);
  EXPECT_EQ(driver_.save(), undisturbed.save());
  ASSERT_THAT(driver_.alerts, Not(IsEmpty()));
  ASSERT_EQ(driver_.alerts.size(), undisturbed.alerts.size());
  for (std::size_t i = 0; i < driver_.alerts.size(); ++i) {
    EXPECT_EQ(driver_.alerts[i].id, undisturbed.alerts[i].id);
    EXPECT_EQ(driver_.alerts[i].summary, undisturbed.alerts[i].summary);
    EXPECT_EQ(driver_.alerts[i].score, undisturbed.alerts[i].score);
  }
  const auto record = driver_.pipeline().take_record();
  const auto expected = undisturbed.pipeline().take_record();
  ASSERT_EQ(record.size(), expected.size());
  for (std::size_t i = 0; i < record.size(); ++i) {
    EXPECT_EQ(record[i].history.rows, expected[i].history.rows);
    EXPECT_EQ(record[i].marks, expected[i].marks);
  }
}

TEST_F(LiveSamples, AreJudgedAsTheSeriesWas) {
  run(driver_, 0, kLearned);
  ASSERT_TRUE(driver_.train(factory_));
  run(driver_, kLearned, 700);
  driver_.pipeline().begin_sample();
  driver_.pipeline().begin_sample();
  run(driver_, 700, 900);
  const auto samples = take();
  ASSERT_THAT(samples, SizeIs(2)) << "one of each series";
  for (const LiveSample& sample : samples) {
    ASSERT_EQ(sample.rows.size(), LiveSample::kRows);
    std::map<std::int64_t, double> scores;
    for (const auto& judged : driver_.verdicts) {
      if (judged.series != sample.rows.series) continue;
      scores[judged.time.time_since_epoch().count()] = judged.verdict.score;
    }
    ReplayTrack state = sample.before;
    const Passage passage{&state, &sample.rows, 0, sample.rows.size()};
    std::size_t rows = 0;
    ASSERT_TRUE(replay(*driver_.scorer(), {&passage, 1}, options(), {}, [&](const auto& row) {
      ASSERT_NE(row.verdict, nullptr);
      EXPECT_EQ(row.verdict->score, scores.at(sample.rows.times[row.row]));
      ++rows;
    }));
    EXPECT_EQ(rows, LiveSample::kRows);
  }
}

TEST_F(LiveSamples, AreOfSeriesThatAreReadyAndWell) {
  driver_.pipeline().begin_sample();
  run(driver_, 0, kLearned);
  ASSERT_TRUE(driver_.train(factory_));
  run(driver_, kLearned, 624);  // b is in trouble
  driver_.pipeline().begin_sample();
  driver_.pipeline().begin_sample();
  run(driver_, 624, 800);
  auto samples = take();
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(samples.front().rows.series, "a");
}

TEST_F(LiveSamples, OfSilentSeriesMakeRoomForOthers) {
  std::vector<std::string> fleet;
  for (int i = 0; i < 20; ++i) fleet.push_back("m" + std::to_string(i));
  const auto run_fleet = [&](std::size_t first, int from, int to) {
    std::mt19937 random{static_cast<unsigned>(from)};
    std::normal_distribution<double> noise;
    for (int t = from; t < to; ++t) {
      for (std::size_t i = first; i < fleet.size(); ++i) {
        driver_.push(fleet[i], at(t), {50 + noise(random), 20 + 0.5 * noise(random)});
      }
    }
    driver_.run();
  };
  run_fleet(0, 0, kLearned);
  ASSERT_TRUE(driver_.train(factory_));
  for (int i = 0; i < 30; ++i) driver_.pipeline().begin_sample();
  run_fleet(16, kLearned, 3000);
  EXPECT_THAT(take(), IsEmpty()) << "the first 16 are sampled, and say nothing";
  driver_.pipeline().begin_sample();
  run_fleet(16, 3000, 3200);
  EXPECT_THAT(take(), SizeIs(1));
}

TEST_F(LiveSamples, EndWithTheModelThatTheyAreOf) {
  run(driver_, 0, kLearned);
  ASSERT_TRUE(driver_.train(factory_));
  driver_.pipeline().begin_sample();
  run(driver_, kLearned, 700);
  factory_.version = "second";
  std::vector<History> rows;
  for (JudgedRows& chunk : driver_.pipeline().take_record()) {
    if (chunk.history.size() > 500) rows.push_back(std::move(chunk.history));
  }
  driver_.swap(driver_.learn(factory_, rows));
  run(driver_, 700, 900);
  EXPECT_THAT(take(), IsEmpty());
  driver_.pipeline().begin_sample();
  run(driver_, 900, 1100);
  const auto samples = take();
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(samples.front().group->info.version, "second");
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

}  // namespace
}  // namespace anomalyd::pipeline
