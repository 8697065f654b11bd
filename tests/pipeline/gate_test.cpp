#include "daemon/pipeline/gate.hpp"

#include <gmock/gmock.h>

#include "tests/support/histories.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::ManualClock;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::PersistenceScorer;
using anomalyd::testing::TemporaryFolder;
using anomalyd::testing::wandering;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// Does to the residuals of a model what a test wants.
class ChangedScorer final : public Scorer {
 public:
  using Change = std::function<void(Residuals&)>;
  ChangedScorer(std::vector<Channel> channels, Change change)
      : inside_{std::move(channels)}, change_{std::move(change)} {}
  const ModelInfo& info() const override { return inside_.info(); }
  Result<Residuals> score(const Batch& batch) override {
    auto residuals = inside_.score(batch);
    if (residuals) change_(*residuals);
    return residuals;
  }
  Result<Memory> memorize(std::span<const float> rows, std::uint32_t slot,
                          std::size_t learned) override {
    return inside_.memorize(rows, slot, learned);
  }
  Status move_to(std::string_view device) override { return inside_.move_to(device); }

 private:
  PersistenceScorer inside_;
  Change change_;
};

class Gate : public ::testing::Test {
 protected:
  Gate() {
    options_.training.rows = 1000;
    options_.training.detect_counters = false;
    learned_ = learn(rows(0, 1000), channels_, factory_, options_, [](const auto&) {}, {}).value();
    champion_ = {learned_.scorer.get(), learned_.group};
    block_ = rows(1000, 1600);
  }
  static std::vector<History> rows(std::size_t from, std::size_t to, std::size_t series = 3) {
    std::vector<History> all;
    for (std::size_t s = 0; s < series; ++s) {
      all.push_back(wandering("s" + std::to_string(s), from, to, 3, static_cast<unsigned>(s)));
    }
    return all;
  }
  /// A challenger that thinks otherwise of residuals, calibrated to what it thinks.
  GateReport examine_changed(const ChangedScorer::Change& change) {
    ChangedScorer scorer{channels_, change};
    const Candidate challenger{
        &scorer, calibrate(scorer, rows(0, 1000), options_, learned_.group.get(), {}).value()};
    examining_ = true;
    return examine(challenger, &champion_, {channels_, block_}, context());
  }
  GateReport examine_same() {
    PersistenceScorer scorer{channels_};
    return examine({&scorer, learned_.group}, &champion_, {channels_, block_}, context());
  }
  GateContext context() { return {options_, gate_, clock_, stop_.get_token()}; }

  std::vector<Channel> channels_{{"x", ""}, {"y", ""}, {"z", ""}};
  PipelineOptions options_;
  GateOptions gate_;
  ManualClock clock_;
  std::stop_source stop_;
  bool examining_ = false;
  PersistenceFactory factory_;
  Learned learned_;
  Candidate champion_;
  std::vector<History> block_;
};

TEST_F(Gate, LetsTheChampionItselfPass) {
  const GateReport report = examine_same();
  EXPECT_EQ(report.outcome, GateOutcome::kPassed) << gate_table(report);
  EXPECT_EQ(report.failed(), nullptr);
  EXPECT_EQ(report.reason(), GateReason::kNone);
  EXPECT_DOUBLE_EQ(*report.checks[4].challenger, 1) << "the loss is its own";
  EXPECT_EQ(report.series, 3U);
  EXPECT_EQ(report.rows, 1800U) << "the rows go on where training ended: all are judged";
  ASSERT_EQ(report.recall.size(), kFaultTypes.size());
  for (const FaultRecall& recall : report.recall) EXPECT_EQ(recall.challenger, recall.champion);
}

TEST_F(Gate, RepeatsItself) {
  const GateReport one = examine_same(), two = examine_same();
  for (std::size_t i = 0; i < one.recall.size(); ++i) {
    EXPECT_EQ(one.recall[i].challenger, two.recall[i].challenger);
    EXPECT_EQ(one.recall[i].faults, two.recall[i].faults);
  }
  EXPECT_EQ(one.checks[4].sentence, two.checks[4].sentence);
}

TEST_F(Gate, SkipsRowsThatACandidateHasSeen) {
  block_ = rows(700, 1600);
  EXPECT_EQ(examine_same().rows, 1800U);
  block_ = rows(1100, 1600);  // what was between them is gone, and the windows fill anew
  EXPECT_EQ(examine_same().rows, 3 * (500 - 3U));
}

TEST_F(Gate, UsesTheNewestRowsOfTooMany) {
  gate_.max_rows = 900;
  const GateReport report = examine_same();
  EXPECT_EQ(report.series, 3U);
  EXPECT_NEAR(static_cast<double>(report.rows), 900, 10);
}

TEST_F(Gate, StopsAtTheFirstCheckThatFails) {
  const GateReport report = examine_changed([](Residuals& residuals) {
    for (float& value : residuals.values) value *= 1.1F;
  });
  EXPECT_EQ(report.outcome, GateOutcome::kRefused);
  EXPECT_EQ(report.reason(), GateReason::kWorseLoss) << gate_table(report);
  using State = GateCheck::State;
  const std::vector<State> expected{State::kPassed,    State::kPassed, State::kPassed,
                                    State::kPassed,    State::kFailed, State::kNotReached,
                                    State::kNotReached};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(report.checks[i].state, expected[i]);
  EXPECT_THAT(gate_table(report), HasSubstr("worse_loss"));
  EXPECT_THAT(gate_table(report), HasSubstr("not reached"));
}

TEST_F(Gate, TellsAConstantErrorFromALargerOne) {
  EXPECT_EQ(examine_changed([](Residuals& residuals) {
              const std::size_t stride = residuals.members * residuals.channels;
              for (std::size_t i = 0; i < residuals.values.size(); ++i) {
                if (i % stride < residuals.channels) residuals.values[i] += 2;
              }
            }).reason(),
            GateReason::kOtherLevel);
}

TEST_F(Gate, RefusesResidualsThatAreNotFinite) {
  const GateReport report = examine_changed([&](Residuals& residuals) {
    if (examining_) residuals.values.back() = INFINITY;
  });
  EXPECT_EQ(report.reason(), GateReason::kNotFinite) << gate_table(report);
}

TEST_F(Gate, RefusesAnotherShapeOfResiduals) {
  const GateReport report = examine_changed([&](Residuals& residuals) {
    if (examining_) residuals.values.pop_back();
  });
  EXPECT_EQ(report.reason(), GateReason::kWrongShape) << gate_table(report);
}

TEST_F(Gate, RefusesAScorerThatFails) {
  PersistenceScorer scorer{channels_};
  scorer.fail_next = {{ErrorKind::kDeviceLost, "the device is gone"}};
  const GateReport report =
      examine({&scorer, learned_.group}, &champion_, {channels_, block_}, context());
  EXPECT_EQ(report.reason(), GateReason::kScoringFailed);
  EXPECT_THAT(report.failed()->sentence, HasSubstr("the device is gone"));
}

TEST_F(Gate, RefusesOneThatKnowsFewerSeries) {
  PersistenceFactory factory;
  const Learned fewer =
      learn(rows(0, 1000, 2), channels_, factory, options_, [](const auto&) {}, {}).value();
  const GateReport report =
      examine({fewer.scorer.get(), fewer.group}, &champion_, {channels_, block_}, context());
  EXPECT_EQ(report.reason(), GateReason::kLostSeries);
}

TEST_F(Gate, RefusesWhatHearsNothing) {
  // Its residuals hardly depend on the rows, but are as large as they should be.
  std::mt19937 random{1};
  std::normal_distribution<float> noise{0, 0.7F};
  gate_.loss_margin = 1;  // not what this is about
  const GateReport report = examine_changed([&](Residuals& residuals) {
    for (float& value : residuals.values) value = std::abs(0.05F * value) + std::abs(noise(random));
  });
  EXPECT_EQ(report.reason(), GateReason::kLowerRecall) << gate_table(report);
}

TEST_F(Gate, HasAnOutcomeWithTooFewRows) {
  block_ = rows(1000, 1050);
  GateReport report = examine_same();
  EXPECT_EQ(report.outcome, GateOutcome::kNotEnoughData);
  EXPECT_EQ(report.reason(), GateReason::kTooFewUnseenRows);
  block_.clear();
  EXPECT_EQ(examine_same().outcome, GateOutcome::kNotEnoughData);
  block_ = rows(0, 900);
  EXPECT_EQ(examine_same().outcome, GateOutcome::kNotEnoughData) << "all of them have been seen";

  EXPECT_EQ(rule(report, {hours{1}, false}, gate_), GateRuling::kWait);
  EXPECT_EQ(rule(report, {hours{25}, false}, gate_), GateRuling::kKeepChampion);
  EXPECT_EQ(rule(report, {hours{25}, true}, gate_), GateRuling::kKeepChampion);
  gate_.promote_unproven = true;
  EXPECT_EQ(rule(report, {hours{1}, true}, gate_), GateRuling::kWait);
  EXPECT_EQ(rule(report, {hours{25}, true}, gate_), GateRuling::kPromote);
  EXPECT_EQ(rule(report, {hours{25}, false}, gate_), GateRuling::kKeepChampion);
  report.outcome = GateOutcome::kRefused;
  EXPECT_EQ(rule(report, {hours{25}, true}, gate_), GateRuling::kKeepChampion);
  report.outcome = GateOutcome::kStopped;
  EXPECT_EQ(rule(report, {hours{1}, true}, gate_), GateRuling::kKeepChampion);
  report.outcome = GateOutcome::kPassed;
  EXPECT_EQ(rule(report, {hours{1}, false}, gate_), GateRuling::kPromote);
}

TEST_F(Gate, HasAnOutcomeWhenItIsTooSlow) {
  const GateReport report = examine_changed([&](Residuals&) { clock_.advance(minutes{1}); });
  EXPECT_EQ(report.outcome, GateOutcome::kRefused);
  EXPECT_EQ(report.reason(), GateReason::kTooSlow);
  EXPECT_GT(report.failed()->seconds, 120);
}

TEST_F(Gate, HasAnOutcomeWhenItIsStopped) {
  const GateReport report = examine_changed([&](Residuals&) {
    if (examining_) clock_.advance(seconds{1});
    if (clock_.monotonic().time_since_epoch() > seconds{5}) stop_.request_stop();
  });
  EXPECT_EQ(report.outcome, GateOutcome::kStopped);
}

TEST_F(Gate, JudgesWithoutAChampion) {
  PersistenceScorer scorer{channels_};
  GateReport report = examine({&scorer, learned_.group}, nullptr, {channels_, block_}, context());
  EXPECT_EQ(report.outcome, GateOutcome::kPassed) << gate_table(report);
  EXPECT_FALSE(report.checks[6].champion);
  EXPECT_GT(*report.checks[6].challenger, 0.1) << "spikes and noise, if nothing that lasts";

  std::mt19937 random{1};
  std::normal_distribution<float> noise{0, 0.5F};
  ChangedScorer deaf{channels_, [&](Residuals& residuals) {
                       for (float& value : residuals.values) value = std::abs(noise(random));
                     }};
  const Candidate blind{&deaf,
                        calibrate(deaf, rows(0, 1000), options_, learned_.group.get(), {}).value()};
  report = examine(blind, nullptr, {channels_, block_}, context());
  EXPECT_EQ(report.reason(), GateReason::kBlind) << gate_table(report);
  EXPECT_LT(*report.checks[6].challenger, 0.02) << "by chance";
}

TEST_F(Gate, ReadsTheChallengerFromItsFile) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "model";
  ASSERT_TRUE(factory_.save(*learned_.scorer, {"{}", learned_.group->calibration()}, path));
  const UnseenBlock block{channels_, block_};
  Examination read = examine({path}, factory_, &champion_, block, context());
  EXPECT_EQ(read.report.outcome, GateOutcome::kPassed) << gate_table(read.report);
  EXPECT_NE(read.scorer, nullptr);
  EXPECT_NE(read.group, nullptr);

  read = examine({folder.path() / "none"}, factory_, &champion_, block, context());
  EXPECT_EQ(read.report.reason(), GateReason::kUnreadable);
  EXPECT_EQ(read.scorer, nullptr);
  ASSERT_TRUE(factory_.save(*learned_.scorer, {"{}", std::vector<std::byte>(100)}, path));
  read = examine({path}, factory_, &champion_, block, context());
  EXPECT_EQ(read.report.reason(), GateReason::kBadCalibration);
}

TEST(GateReasons, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(GateReason::kBlind); ++i) {
    const std::string_view name = to_string(static_cast<GateReason>(i));
    EXPECT_FALSE(name.empty()) << i;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
}

}  // namespace
}  // namespace anomalyd::pipeline
