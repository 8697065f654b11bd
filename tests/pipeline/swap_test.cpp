// One version of a model after the other: challengers, swaps and the record of rows.

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
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kLearned = 600;

EventTime at(int second) { return EventTime{seconds{1'700'000'000 + second}}; }

PipelineOptions options_for_test() {
  PipelineOptions options;
  options.training.rows = kLearned;
  options.training.record = true;
  options.budget = AlertBudget::parse("1 per series per 1000 rows").value();
  return options;
}

class SwapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run(0, kLearned);
    ASSERT_TRUE(driver_.train(factory_));
    first_ = driver_.group();
    factory_.version = "second";
  }
  /// Rows of series a and b; `faults` are times of series b.
  void run(int from, int to) {
    for (int t = from; t < to; ++t) {
      driver_.push("a", at(t), {50 + noise_(random_), 20 + 0.5 * noise_(random_)});
      const double fault = faults_.contains(t) ? 40 : 0;
      driver_.push("b", at(t), {level_ + fault + noise_(random_), 20 + 0.5 * noise_(random_)});
    }
    driver_.run();
    for (JudgedRows& chunk : driver_.pipeline().take_record()) record_.push_back(std::move(chunk));
  }
  /// What has been recorded of a series, end to end.
  JudgedRows recorded(const std::string& series) const {
    JudgedRows all;
    for (const JudgedRows& chunk : record_) {
      if (chunk.history.series != series) continue;
      std::vector<double> values;
      const std::vector<std::size_t> columns{0, 1};
      for (std::size_t i = 0; i < chunk.history.size(); ++i) {
        all.history.append(chunk.history.row(i, columns, values));
      }
      all.marks.insert(all.marks.end(), chunk.marks.begin(), chunk.marks.end());
      all.history.windower = chunk.history.windower;
    }
    all.history.series = series;
    return all;
  }
  std::shared_ptr<const LearnedGroup> learn_again() {
    return driver_.learn(factory_, {recorded("a").history, recorded("b").history});
  }

  std::set<int> faults_;
  double level_ = 50;
  PipelineDriver driver_{options_for_test(), {{"cpu", "%"}, {"mem", "MB"}}};
  PersistenceFactory factory_;
  std::shared_ptr<const LearnedGroup> first_;
  std::vector<JudgedRows> record_;

 private:
  std::mt19937 random_{7};
  std::normal_distribution<double> noise_{0, 1};
};

TEST_F(SwapTest, RecordsEveryRowOnceWithWhatWasThoughtOfIt) {
  for (int t = 800; t < 804; ++t) faults_.insert(t);
  run(kLearned, 1500);
  const JudgedRows b = recorded("b");
  ASSERT_GE(b.history.size(), 1500u - 256u);
  for (std::size_t i = 0; i < b.history.size(); ++i) {
    ASSERT_EQ(b.history.times[i], at(static_cast<int>(i)).time_since_epoch().count());
  }
  EXPECT_EQ(b.marks[700], RowMark::kNormal);
  EXPECT_EQ(b.marks[800], RowMark::kIncident);
  EXPECT_EQ(b.marks[805], RowMark::kIncident) << "not resolved yet";
  EXPECT_EQ(b.marks[900], RowMark::kNormal);
  EXPECT_NEAR(b.history.rows[2 * 800], 90, 5);
  EXPECT_THAT(recorded("a").marks, Each(RowMark::kNormal));
}

TEST_F(SwapTest, RecordsNothingUnlessAsked) {
  PipelineOptions options = options_for_test();
  options.training.record = false;
  PipelineDriver quiet{options, {{"cpu", "%"}}};
  for (int t = 0; t < 2 * kLearned; ++t) {
    quiet.push("a", at(t), {std::sin(t)});
    if (t != kLearned) continue;
    quiet.run();
    ASSERT_TRUE(quiet.train(factory_));
  }
  quiet.run();
  EXPECT_THAT(quiet.pipeline().take_record(), IsEmpty());
}

TEST_F(SwapTest, KeepsWhatIsNotRecordedYetInTheSnapshot) {
  run(kLearned, 1000);
  ASSERT_TRUE(driver_.restart());
  run(1000, 1500);
  const JudgedRows a = recorded("a");
  for (std::size_t i = 0; i < a.history.size(); ++i) {
    ASSERT_EQ(a.history.times[i], at(static_cast<int>(i)).time_since_epoch().count());
  }
}

TEST_F(SwapTest, LetsAChallengerJudgeEveryRowAndPublishesNothingOfIt) {
  run(kLearned, 1500);
  const auto second = learn_again();
  const auto before = driver_.verdicts.size();
  driver_.pipeline().challenge(second);
  for (int t = 1600; t < 1604; ++t) faults_.insert(t);
  run(1500, 1800);
  EXPECT_EQ(driver_.verdicts.size(), before + 2 * 300) << "those of the champion alone";
  const auto report = driver_.pipeline().shadow_report("cpu,mem");
  EXPECT_EQ(report.rows, 2u * 300u) << "its windows are full from the first row on";
  ASSERT_GE(report.incidents.size(), 2u);
  int of_challenger = 0;
  for (const auto& incident : report.incidents) {
    if (incident.series == "b" && incident.start == at(1600)) {
      of_challenger += incident.of_challenger ? 1 : -1;
    }
  }
  EXPECT_EQ(of_challenger, 0) << "both have found the fault";
  for (const Alert& alert : driver_.alerts) EXPECT_EQ(alert.model_version, "test");
  driver_.pipeline().dismiss("cpu,mem");
  run(1800, 1810);
  EXPECT_EQ(driver_.pipeline().shadow_report("cpu,mem").rows, 2u * 300u);
}

TEST_F(SwapTest, GoesOnWithTheNextRowAndKeepsOpenIncidentsUnderTheirId) {
  run(kLearned, 1500);
  const auto second = learn_again();
  driver_.pipeline().challenge(second);
  for (int t = 1600; t < 1612; ++t) faults_.insert(t);
  run(1500, 1605);
  ASSERT_FALSE(driver_.alerts.empty());
  const std::string id = driver_.alerts.back().id;
  EXPECT_EQ(driver_.alerts.back().state, AlertState::kOpen);
  const auto judged = driver_.verdicts.size();
  driver_.swap(second);
  run(1605, 1700);
  EXPECT_EQ(driver_.verdicts.size(), judged + 2 * 95) << "no row without a verdict";
  std::vector<const Alert*> of_fault;
  for (const Alert& alert : driver_.alerts) {
    if (alert.series == "b" && alert.start == at(1600)) of_fault.push_back(&alert);
  }
  ASSERT_GE(of_fault.size(), 2u);
  for (const Alert* alert : of_fault) EXPECT_EQ(alert->id, id);
  EXPECT_EQ(of_fault.front()->model_version, "test");
  EXPECT_EQ(of_fault.back()->state, AlertState::kResolve);
  EXPECT_EQ(of_fault.back()->model_version, "second");
}

TEST_F(SwapTest, TakesTheTailThatTheChallengerHasLearnedInTheShadow) {
  run(kLearned, 1500);
  const auto second = learn_again();
  driver_.pipeline().challenge(second);
  run(1500, 1700);
  driver_.swap(second);
  const auto known = driver_.pipeline().known_series("cpu,mem");
  ASSERT_THAT(known, SizeIs(2));
  EXPECT_GT(known.at("b").track.num_rows(), second->find("b")->track.num_rows());
}

TEST_F(SwapTest, RestoresAnOlderVersionAsItWasWhenItWasReplaced) {
  run(kLearned, 1500);
  const auto second = learn_again();
  auto as_it_was = std::make_shared<LearnedGroup>(*first_);
  as_it_was->series = driver_.pipeline().known_series("cpu,mem");
  const auto bytes = as_it_was->calibration();
  driver_.swap(second);
  run(1500, 1600);
  const auto restored = LearnedGroup::from_calibration(first_->info, bytes);
  ASSERT_TRUE(restored) << restored.error().message;
  driver_.install(std::make_unique<anomalyd::testing::PersistenceScorer>(first_->info.channels),
                  *restored);
  const auto judged = driver_.verdicts.size();
  for (int t = 1650; t < 1654; ++t) faults_.insert(t);
  run(1600, 1700);
  EXPECT_EQ(driver_.verdicts.size(), judged + 2 * 100);
  const Alert& newest = driver_.alerts.back();
  EXPECT_EQ(newest.model_version, "test");
  EXPECT_EQ(newest.start, at(1650));
}

TEST_F(SwapTest, GoesOnFromASnapshotOfAnotherVersion) {
  run(kLearned, 1500);
  const auto second = learn_again();
  for (int t = 1595; t < 1610; ++t) faults_.insert(t);
  run(1500, 1600);
  ASSERT_FALSE(driver_.alerts.empty());
  const std::string id = driver_.alerts.back().id;
  const auto snapshot = driver_.save();
  driver_.swap(second);
  ASSERT_TRUE(driver_.restart_from(snapshot));
  const auto judged = driver_.verdicts.size();
  run(1600, 1700);
  EXPECT_EQ(driver_.verdicts.size(), judged + 2 * 100);
  EXPECT_EQ(driver_.alerts.back().id, id);
  EXPECT_EQ(driver_.alerts.back().state, AlertState::kResolve);
  EXPECT_EQ(driver_.alerts.back().model_version, "second");
}

TEST_F(SwapTest, RaisesNoBurstOfAlerts) {
  run(kLearned, 2000);
  std::size_t version = 0;
  for (int begin = 2000; begin < 8000; begin += 300) {
    factory_.version = "v" + std::to_string(++version);
    const auto next = learn_again();
    driver_.alerts.clear();
    if (version % 2 == 0) driver_.pipeline().challenge(next);
    run(begin, begin + 100);
    driver_.swap(next);
    driver_.alerts.clear();
    run(begin + 100, begin + 300);
    EXPECT_LE(driver_.alerts.size(), 4u) << "after swap " << version;
  }
}

}  // namespace
}  // namespace anomalyd::pipeline
