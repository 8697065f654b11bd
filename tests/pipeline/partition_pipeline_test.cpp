#include "daemon/pipeline/partition_pipeline.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>
#include <set>

#include "tests/support/persistence_model.hpp"
#include "tests/support/pipeline_driver.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::PipelineDriver;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Not;

EventTime at(int second) { return EventTime{seconds{1'700'000'000 + second}}; }

PipelineOptions options_for_test() {
  PipelineOptions options;
  options.training.rows = 600;
  options.training.provisional_rows = 128;
  options.budget = AlertBudget::parse("1 per series per 1000 rows").value();
  return options;
}

/// A fleet whose channels wander quietly; faults are put in by the test.
class Fleet {
 public:
  explicit Fleet(PipelineDriver& driver) : driver_{driver} {}
  void run(const std::vector<std::string>& names, int from, int to) {
    for (int t = from; t < to; ++t) {
      for (const std::string& name : names) {
        std::vector<double> row{50 + noise_(random_), 20 + 0.5 * noise_(random_)};
        if (faults.contains({name, t})) row[0] += 40;
        if (holes.contains({name, t})) row = {NAN, NAN};
        driver_.push(name, at(t), row);
      }
    }
    driver_.run();
  }
  std::set<std::pair<std::string, int>> faults;
  std::set<std::pair<std::string, int>> holes;

 private:
  PipelineDriver& driver_;
  std::mt19937 random_{7};
  std::normal_distribution<double> noise_{0, 1};
};

class PartitionPipelineTest : public ::testing::Test {
 protected:
  PipelineDriver driver_{options_for_test(), {{"cpu", "%"}, {"mem", "MB"}}};
  Fleet fleet_{driver_};
  PersistenceFactory factory_;
};

TEST_F(PartitionPipelineTest, CollectsRowsUntilThereAreEnoughToLearn) {
  fleet_.run({"a", "b"}, 0, 300);
  EXPECT_EQ(driver_.pipeline().readiness().warming, 2u);
  EXPECT_NEAR(driver_.pipeline().readiness().warming_share, 0.5, 0.01);
  EXPECT_EQ(driver_.pipeline().candidates().at("cpu,mem").waiting, 0u);
  fleet_.run({"a", "b"}, 300, 600);
  EXPECT_EQ(driver_.pipeline().candidates().at("cpu,mem").waiting, 2u);
  EXPECT_EQ(driver_.pipeline().readiness().waiting, 2u);
}

TEST_F(PartitionPipelineTest, IsLearnedWithoutSlowerSeriesAfterHalfAsManyRowsAgain) {
  const auto may_be_learned = [&] {
    return driver_.pipeline().candidates().at("cpu,mem").may_be_learned(options_for_test().training,
                                                                        Input::kGoesOn);
  };
  fleet_.run({"a", "slow"}, 0, 100);
  fleet_.run({"a"}, 100, 899);
  EXPECT_FALSE(may_be_learned());
  fleet_.run({"a"}, 899, 900);
  EXPECT_TRUE(may_be_learned());
}

TEST(Candidates, CountTheSlowerSeriesOfOtherPartitions) {
  const TrainingOptions options{.rows = 100};
  PartitionPipeline::Candidates group{{{"cpu", "%"}}, 1, 0, 120};
  EXPECT_TRUE(group.may_be_learned(options, Input::kGoesOn));
  group += {{}, 0, 1, 0};
  EXPECT_FALSE(group.may_be_learned(options, Input::kGoesOn));
  EXPECT_TRUE(group.may_be_learned(options, Input::kHasEnded));
  group += {{}, 1, 0, options.enough_rows()};
  EXPECT_TRUE(group.may_be_learned(options, Input::kGoesOn));
  const PartitionPipeline::Candidates none{{}, 0, 1, 0};
  EXPECT_FALSE(none.may_be_learned(options, Input::kHasEnded));
}

TEST(Labels, OfFaultsKeepTheirRowsFromCalibratingModelsOfAnyKind) {
  const auto calibration = [](const std::string& name) {
    PipelineOptions options = options_for_test();
    options.training.labels = {{"a", at(580), at(590), name}};
    PipelineDriver driver{options, {{"cpu", "%"}, {"mem", "MB"}}};
    Fleet fleet{driver};
    fleet.run({"a"}, 0, 600);
    PersistenceFactory factory;
    EXPECT_TRUE(driver.train(factory));
    return driver.group()->calibration();
  };
  EXPECT_NE(calibration("fault: pump"), calibration("benign: backup"));
}

TEST_F(PartitionPipelineTest, JudgesEveryRowThatCameWhileTheModelWasTrained) {
  fleet_.run({"a"}, 0, 700);
  EXPECT_THAT(driver_.verdicts, IsEmpty());
  ASSERT_TRUE(driver_.train(factory_));
  ASSERT_EQ(driver_.verdicts.size(), 100u);
  EXPECT_EQ(driver_.verdicts.front().time, at(600));
  EXPECT_EQ(driver_.verdicts.back().time, at(699));
}

TEST_F(PartitionPipelineTest, OpensAndResolvesAnIncidentAndExplainsIt) {
  fleet_.run({"a", "b"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  for (int t = 800; t < 804; ++t) fleet_.faults.insert({"b", t});
  fleet_.run({"a", "b"}, 600, 1000);

  ASSERT_THAT(driver_.alerts, Not(IsEmpty()));
  const Alert& open = driver_.alerts.front();
  EXPECT_EQ(open.state, AlertState::kOpen);
  EXPECT_EQ(open.series, "b");
  EXPECT_EQ(open.start, at(800));
  EXPECT_EQ(open.features.front().name, "cpu");
  EXPECT_EQ(open.features.front().unit, "%");
  EXPECT_NEAR(open.features.front().observed, 90, 5);
  EXPECT_NEAR(open.features.front().expected, 50, 5);
  EXPECT_EQ(open.model_kind, "persistence");
  EXPECT_EQ(open.input.topic, "test");
  EXPECT_THAT(driver_.alerts, Contains(AllOf(Field(&Alert::id, open.id),
                                             Field(&Alert::state, AlertState::kResolve))));
}

TEST_F(PartitionPipelineTest, SharesOfAllChannelsAddUpToOne) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.faults.insert({"a", 700});
  fleet_.run({"a"}, 600, 720);
  ASSERT_THAT(driver_.alerts, Not(IsEmpty()));
  double sum = 0;
  for (const auto& feature : driver_.alerts.front().features) sum += feature.share;
  EXPECT_NEAR(sum, 1.0, 1e-9);
}

TEST_F(PartitionPipelineTest, GivesTheSameVerdictsWhateverTheBlockSize) {
  std::vector<std::vector<double>> scores;
  for (const std::size_t block_size : {1U, 37U, 5000U}) {
    PipelineDriver driver{options_for_test(), {{"cpu", "%"}, {"mem", "MB"}}};
    driver.block_size = block_size;
    Fleet fleet{driver};
    fleet.holes = {{"a", 650}, {"b", 651}};
    fleet.run({"a", "b"}, 0, 600);
    ASSERT_TRUE(driver.train(factory_));
    fleet.run({"a", "b"}, 600, 700);
    fleet.run({"a", "b"}, 703, 750);  // a gap to bridge
    fleet.run({"a", "b"}, 752, 900);
    std::stable_sort(driver.verdicts.begin(), driver.verdicts.end(),
                     [](const auto& x, const auto& y) { return x.series < y.series; });
    scores.emplace_back();
    for (const auto& judged : driver.verdicts) scores.back().push_back(judged.verdict.score);
  }
  EXPECT_EQ(scores[0], scores[1]);
  EXPECT_EQ(scores[0], scores[2]);
}

TEST_F(PartitionPipelineTest, GoesOnExactlyAfterARestart) {
  PipelineDriver other{options_for_test(), {{"cpu", "%"}, {"mem", "MB"}}};
  Fleet twin{other};
  for (Fleet* fleet : {&fleet_, &twin}) {
    for (int t = 800; t < 830; ++t) fleet->faults.insert({"a", t});
    fleet->run({"a", "b"}, 0, 600);
  }
  ASSERT_TRUE(driver_.train(factory_));
  ASSERT_TRUE(other.train(factory_));
  fleet_.run({"a", "b"}, 600, 810);  // in the middle of the incident
  twin.run({"a", "b"}, 600, 810);
  ASSERT_TRUE(driver_.restart());
  fleet_.run({"a", "b"}, 810, 1000);
  twin.run({"a", "b"}, 810, 1000);

  ASSERT_EQ(driver_.verdicts.size(), other.verdicts.size());
  for (std::size_t i = 0; i < other.verdicts.size(); ++i) {
    ASSERT_EQ(driver_.verdicts[i].verdict.score, other.verdicts[i].verdict.score) << i;
    ASSERT_EQ(driver_.verdicts[i].verdict.p_value, other.verdicts[i].verdict.p_value) << i;
  }
  ASSERT_EQ(driver_.alerts.size(), other.alerts.size());
  for (std::size_t i = 0; i < other.alerts.size(); ++i) {
    EXPECT_EQ(driver_.alerts[i].id, other.alerts[i].id);
  }
}

TEST_F(PartitionPipelineTest, KeepsWhatItHasCollectedAcrossARestart) {
  fleet_.run({"a"}, 0, 400);
  ASSERT_TRUE(driver_.restart());
  fleet_.run({"a"}, 400, 600);
  EXPECT_TRUE(driver_.train(factory_));
}

TEST_F(PartitionPipelineTest, ComesBackFromASnapshotOfAWindowThatFillsAnew) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.run({"a"}, 600, 653);
  fleet_.run({"a"}, 800, 803);  // behind a gap that is too long to bridge
  const auto restored = driver_.restart();
  ASSERT_TRUE(restored) << restored.error().message;
  fleet_.run({"a"}, 803, 900);
  EXPECT_EQ(driver_.verdicts.back().time, at(899));
}

TEST_F(PartitionPipelineTest, GoesOnFromASnapshotThatIsOlderThanTheModel) {
  Fleet again{driver_};
  for (const auto& fault : {std::pair<std::string, int>{"a", 650}, {"a", 700}}) {
    fleet_.faults.insert(fault);
    again.faults.insert(fault);
  }
  fleet_.run({"a"}, 0, 300);
  const auto snapshot = driver_.save();
  fleet_.run({"a"}, 300, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.run({"a"}, 600, 900);
  const auto verdicts = std::exchange(driver_.verdicts, {});
  const auto alerts = std::exchange(driver_.alerts, {});
  ASSERT_THAT(alerts, Not(IsEmpty()));

  ASSERT_TRUE(driver_.restart_from(snapshot));
  again.run({"a"}, 0, 900);
  EXPECT_EQ(driver_.pipeline().counters().learned, 600u);
  EXPECT_EQ(driver_.pipeline().counters().late, 0u);
  ASSERT_EQ(driver_.verdicts.size(), verdicts.size());
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    ASSERT_EQ(driver_.verdicts[i].verdict.p_value, verdicts[i].verdict.p_value) << i;
  }
  ASSERT_EQ(driver_.alerts.size(), alerts.size());
  for (std::size_t i = 0; i < alerts.size(); ++i) EXPECT_EQ(driver_.alerts[i].id, alerts[i].id);
}

TEST_F(PartitionPipelineTest, RefusesADamagedSnapshot) {
  fleet_.run({"a"}, 0, 100);
  StateWriter out;
  driver_.pipeline().save(out);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, out.bytes().size() / 2, out.bytes().size() - 1}) {
    PartitionPipeline pipeline{{"test", 0}, options_for_test()};
    StateReader in{std::span{out.bytes()}.first(size)};
    const Status loaded = pipeline.load(in);
    ASSERT_FALSE(loaded) << size;
    EXPECT_EQ(loaded.error().kind, ErrorKind::kIncompatible);
  }
}

TEST_F(PartitionPipelineTest, StartsANewSeriesOfAKnownGroupProvisionally) {
  fleet_.run({"a", "b"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.run({"a", "b", "late"}, 600, 728);
  EXPECT_EQ(driver_.pipeline().readiness().provisional, 1u);
  fleet_.faults.insert({"late", 760});
  fleet_.run({"late"}, 728, 780);
  ASSERT_THAT(driver_.alerts, Contains(Field(&Alert::series, "late")));
  EXPECT_THAT(driver_.alerts,
              Contains(AllOf(Field(&Alert::series, "late"), Field(&Alert::provisional, true))));
}

TEST_F(PartitionPipelineTest, DoesNotJudgeRowsWithNothingInThem) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.holes = {{"a", 610}, {"a", 611}};
  fleet_.run({"a"}, 600, 620);
  EXPECT_EQ(driver_.verdicts.size(), 18u);
  EXPECT_EQ(driver_.pipeline().counters().rows_missing, 2u);
  EXPECT_THAT(driver_.alerts, IsEmpty()) << "a hole is no anomaly";
}

TEST_F(PartitionPipelineTest, ScoresTheRowItselfBehindAGapThatIsBridged) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.faults.insert({"a", 705});
  fleet_.run({"a"}, 600, 700);
  fleet_.run({"a"}, 705, 720);
  ASSERT_THAT(driver_.alerts, Not(IsEmpty()));
  EXPECT_EQ(driver_.alerts.front().start, at(705));
  EXPECT_NEAR(driver_.alerts.front().features.front().observed, 90, 5);
  EXPECT_NEAR(driver_.alerts.front().features.front().expected, 50, 5);
}

TEST_F(PartitionPipelineTest, FillsItsWindowAgainAfterALongGap) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  fleet_.run({"a"}, 5000, 5010);
  EXPECT_EQ(driver_.pipeline().counters().rows_filling, 3u) << "context of 4 rows";
  EXPECT_EQ(driver_.verdicts.size(), 7u);
  EXPECT_THAT(driver_.alerts, Contains(Field(&Alert::type, AlertType::kGap)));
}

TEST_F(PartitionPipelineTest, ForgetsASeriesThatHasBeenSilentForLong) {
  fleet_.run({"a", "b"}, 0, 10);
  fleet_.run({"a"}, 8 * 86400, 8 * 86400 + 10);
  EXPECT_EQ(driver_.pipeline().num_series(), 1u);
  EXPECT_EQ(driver_.pipeline().counters().series_evicted, 1u);
}

TEST_F(PartitionPipelineTest, GoesOnBehindTheTrainingRowsOfAModelFromElsewhere) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  const auto group =
      LearnedGroup::from_calibration(driver_.group()->info, driver_.group()->calibration());
  ASSERT_TRUE(group) << group.error().message;
  PipelineDriver fresh{options_for_test(), {{"cpu", "%"}, {"mem", "MB"}}};
  fresh.install(std::make_unique<anomalyd::testing::PersistenceScorer>((*group)->info.channels),
                *group);
  Fleet stream{fresh};
  stream.run({"a"}, 600, 650);
  EXPECT_EQ(fresh.verdicts.size(), 50u) << "its window was filled from the training rows";
}

TEST_F(PartitionPipelineTest, KeepsSeriesWithOtherChannelsInAGroupOfTheirOwn) {
  std::mt19937 random{3};
  std::normal_distribution<double> noise{0, 1};
  for (int t = 0; t < 600; ++t) {
    driver_.push("both", at(t), {noise(random), noise(random)});
    driver_.push("one", at(t), {noise(random), NAN});
  }
  driver_.run();
  const auto candidates = driver_.pipeline().candidates();
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_TRUE(candidates.contains("cpu"));
  EXPECT_TRUE(candidates.contains("cpu,mem"));
}

TEST_F(PartitionPipelineTest, FollowsColumnsThatMoveWhenTheDecoderStartsAnew) {
  fleet_.run({"a"}, 0, 600);
  ASSERT_TRUE(driver_.train(factory_));
  const auto swapped = std::make_shared<const Schema>(Schema{{{"mem", "MB"}, {"cpu", "%"}}});
  SampleBlock block{{"test", 0}, swapped};
  for (int t = 600; t < 640; ++t) {
    const double row[] = {20.0, 50.0};
    block.append("a", at(t), t, row);
  }
  driver_.pipeline().ingest(block);
  driver_.run();
  EXPECT_THAT(driver_.alerts, Not(Contains(Field(&Alert::type, AlertType::kAnomaly))));
}

}  // namespace
}  // namespace anomalyd::pipeline
