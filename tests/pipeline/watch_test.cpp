// What a pipeline notices about whether its models still fit.

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <random>

#include "daemon/pipeline/retrain_policy.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/pipeline_driver.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::PipelineDriver;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kLearned = 600;
constexpr int kHour = 3600;

EventTime at(int second) { return EventTime{seconds{1'700'000'000 + second}}; }

PipelineOptions options_for_test() {
  PipelineOptions options;
  options.training.rows = kLearned;
  options.budget = AlertBudget::parse("1 per series per day").value();
  options.retraining.drift.cycle = hours{2};
  options.retraining.drift.hold = minutes{20};
  options.retraining.schedule = Schedule{};
  return options;
}

class WatchTest : public ::testing::Test {
 protected:
  explicit WatchTest(PipelineOptions options = options_for_test()) : options_{std::move(options)} {}

  void SetUp() override {
    run(0, kLearned);
    ASSERT_TRUE(driver_.train(factory_));
    factory_.version = "second";
  }
  /// Rows of three series every two seconds. `deviation` is that of the noise at a time.
  void run(int from, int to) {
    for (int t = from; t < to; ++t) {
      for (const char* series : {"a", "b", "c"}) {
        const double noise = deviation(t) * normal_(random_);
        driver_.push(series, at(2 * t), {50 + noise, 20 + 0.5 * normal_(random_)});
      }
    }
    driver_.run();
  }
  /// Rows to learn the next version from.
  std::vector<History> histories(int from, int to) {
    std::vector<History> all(3);
    const char* names[] = {"a", "b", "c"};
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].series = names[i];
      for (int t = from; t < to; ++t) {
        const double values[] = {50 + 1.5 * normal_(random_), 20 + 0.5 * normal_(random_)};
        all[i].append({.time = at(2 * t), .offset = t, .values = values});
      }
    }
    return all;
  }
  GroupFacts facts() { return driver_.pipeline().group_facts().at("cpu,mem"); }
  std::optional<RetrainPolicy::Due> due() {
    return RetrainPolicy{options_.retraining}.due(at(0) + hours{999}, "cpu,mem", facts(), {});
  }

  std::function<double(int)> deviation = [](int) { return 1.0; };
  PipelineOptions options_;
  PipelineDriver driver_{options_, {{"cpu", "%"}, {"mem", "MB"}}};
  PersistenceFactory factory_;

 private:
  std::mt19937 random_{7};
  std::normal_distribution<double> normal_{0, 1};
};

TEST_F(WatchTest, CountsNormalRowsAndFindsNothingWhenAllIsWell) {
  run(kLearned, 6 * kHour);
  const GroupFacts found = facts();
  EXPECT_EQ(found.series, 3u);
  EXPECT_GT(found.normal_rows, 3u * (6 * kHour - kLearned) * 99 / 100);
  EXPECT_LE(found.normal_rows, 3u * (6 * kHour - kLearned));
  EXPECT_EQ(found.watermark, at(2 * (6 * kHour - 1)));
  EXPECT_EQ(found.pressed, 0u);
  EXPECT_THAT(found.new_channels, IsEmpty());
  const auto finding = found.drift.look(found.watermark, options_.retraining.drift);
  EXPECT_TRUE(finding.ready);
  EXPECT_LT(finding.effect, finding.floor);
  EXPECT_EQ(due(), std::nullopt);
}

TEST_F(WatchTest, FindsANewNormalLevelOfTheResiduals) {
  run(kLearned, 3 * kHour);
  EXPECT_EQ(due(), std::nullopt);
  deviation = [](int) { return 1.5; };
  run(3 * kHour, 5 * kHour);
  const auto found = due();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->trigger, Trigger::kDrift) << found->why;
}

TEST_F(WatchTest, KeepsWhatItHasSeenOverARestartAndForgetsItWithTheModel) {
  run(kLearned, 3 * kHour);
  deviation = [](int) { return 1.5; };
  run(3 * kHour, 5 * kHour);
  const auto before = facts();
  ASSERT_TRUE(due());
  ASSERT_TRUE(driver_.restart());
  const auto after = facts();
  EXPECT_EQ(after.normal_rows, before.normal_rows);
  EXPECT_EQ(after.drift.look(after.watermark, options_.retraining.drift).text(),
            before.drift.look(before.watermark, options_.retraining.drift).text());
  ASSERT_NE(driver_.pipeline().drift("cpu,mem"), nullptr);
  EXPECT_EQ(driver_.pipeline().drift("other"), nullptr);
  EXPECT_EQ(due()->why,
            RetrainPolicy{options_.retraining}.due(at(0) + hours{999}, "cpu,mem", before, {})->why);

  const auto snapshot = driver_.save();
  std::vector<History> rows = histories(5 * kHour, 5 * kHour + 1000);
  driver_.swap(driver_.learn(factory_, rows));
  EXPECT_EQ(facts().normal_rows, 0u);
  EXPECT_FALSE(facts().drift.look(facts().watermark, options_.retraining.drift).ready);
  EXPECT_EQ(due(), std::nullopt);
  ASSERT_TRUE(driver_.restart_from(snapshot)) << "of the version before";
  EXPECT_EQ(facts().normal_rows, 0u);
  EXPECT_EQ(due(), std::nullopt);
}

/// A fixed threshold gets used to nothing.
class FixedWatchTest : public WatchTest {
 protected:
  static PipelineOptions fixed(double threshold) {
    PipelineOptions options = options_for_test();
    options.detector.threshold.kind = Threshold::Kind::kFixed;
    options.detector.threshold.fixed = threshold;
    return options;
  }
  FixedWatchTest() : WatchTest{fixed(1.2)} {}
};

TEST_F(FixedWatchTest, TakesRowsOfIncidentsForNoDrift) {
  run(kLearned, 3 * kHour);
  const std::uint64_t normal_rows = facts().normal_rows;
  deviation = [](int) { return 12.0; };
  run(3 * kHour, 3 * kHour + 100);
  EXPECT_EQ(driver_.pipeline().counters().incidents_opened, 3u);
  EXPECT_LT(facts().normal_rows, normal_rows + 3 * 20);
  run(3 * kHour + 100, 7 * kHour);
  EXPECT_LT(facts().normal_rows, normal_rows + 3 * 1000) << "of 3 * 14400";
  const auto found = due();
  EXPECT_TRUE(!found || found->trigger != Trigger::kDrift) << found->why;
  const auto finding = facts().drift.look(facts().watermark, options_.retraining.drift);
  EXPECT_TRUE(finding.ready);
  EXPECT_FALSE(finding.drifted) << finding.text();
  // And behind it: what is left in the running means is not yet normal.
  deviation = [](int) { return 1.0; };
  run(7 * kHour, 9 * kHour);
  const auto behind = facts().drift.look(facts().watermark, options_.retraining.drift);
  EXPECT_LT(behind.effect, behind.floor) << behind.text();
}

TEST_F(FixedWatchTest, TellsOfGovernorsAtTheirClampsAndForHowLong) {
  deviation = [](int t) { return t % 97 == 0 ? 50.0 : 1.0; };
  run(kLearned, kLearned + 600);
  EXPECT_EQ(facts().pressed, 0u) << "six alerts each: less than it takes to get there";
  run(kLearned + 600, 5 * kHour);
  GroupFacts found = facts();
  EXPECT_EQ(found.pressed, 3u);
  EXPECT_EQ(found.pressed_long, 3u);
  EXPECT_EQ(found.pressed_unfit, 3u);
  ASSERT_TRUE(due());
  EXPECT_EQ(due()->trigger, Trigger::kGovernor);
  EXPECT_NE(RetrainPolicy{options_.retraining}.unfit(found), std::nullopt);
  ASSERT_TRUE(driver_.restart());
  EXPECT_EQ(facts().pressed_unfit, 3u);

  deviation = [](int) { return 1.0; };
  run(5 * kHour, 8 * kHour);
  found = facts();
  EXPECT_EQ(found.pressed, 0u) << "the budget is as spent, but nothing asks for more of it";
  EXPECT_EQ(due(), std::nullopt);
}

TEST_F(WatchTest, TellsOfChannelsThatTheModelDoesNotKnow) {
  run(kLearned, kLearned + 100);
  const auto push = [&](int from, int to, int every) {
    PipelineDriver& driver = driver_;
    const auto schema =
        std::make_shared<const Schema>(Schema{{{"cpu", "%"}, {"mem", "MB"}, {"gpu", "%"}}});
    SampleBlock block{PartitionId{"test", 0}, schema};
    for (int t = from; t < to; ++t) {
      const double row[] = {50 + std::sin(t), 20 + std::cos(t), t % every == 0 ? 1.0 : NAN};
      block.append("a", at(2 * t), t, row);
    }
    driver.pipeline().ingest(block);
    driver.run();
  };
  push(kLearned + 100, kLearned + 1100, 30);
  EXPECT_EQ(facts().with_new_channels, 0u) << "one row in thirty is no new channel";
  push(kLearned + 1100, kLearned + 1300, 1);
  EXPECT_EQ(facts().with_new_channels, 1u);
  EXPECT_THAT(facts().new_channels, ElementsAre("gpu"));
  EXPECT_EQ(due()->trigger, Trigger::kSchema);
  ASSERT_TRUE(driver_.restart());
  EXPECT_EQ(facts().with_new_channels, 1u);
  EXPECT_THAT(facts().new_channels, ElementsAre("gpu"));
}

TEST_F(WatchTest, TellsOfChannelsThatAreGone) {
  for (int t = kLearned; t < kLearned + 300; ++t) {
    driver_.push("a", at(2 * t), {50 + std::sin(t), NAN});
  }
  driver_.run();
  EXPECT_EQ(facts().lacking_channels, 1u);
  EXPECT_EQ(due()->trigger, Trigger::kSchema);
}

TEST(GroupFacts, AddUpOverPartitions) {
  GroupFacts one, other;
  one.series = 3;
  one.pressed = one.pressed_long = 2;
  one.normal_rows = 10;
  one.new_channels = {"gpu"};
  one.watermark = at(5);
  other.series = 2;
  other.lacking_channels = other.with_new_channels = other.pressed_unfit = 1;
  other.new_channels = {"fan"};
  other.watermark = at(3);
  one += other;
  EXPECT_EQ(one.series, 5u);
  EXPECT_EQ(one.pressed, 2u);
  EXPECT_EQ(one.pressed_long, 2u);
  EXPECT_EQ(one.pressed_unfit, 1u);
  EXPECT_EQ(one.lacking_channels, 1u);
  EXPECT_EQ(one.with_new_channels, 1u);
  EXPECT_EQ(one.normal_rows, 10u);
  EXPECT_EQ(one.watermark, at(5));
  EXPECT_THAT(one.new_channels, ElementsAre("fan", "gpu"));
}

}  // namespace
}  // namespace anomalyd::pipeline
