#include "daemon/pipeline/incident_policy.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <vector>

#include "daemon/pipeline/alert_message.hpp"

namespace anomalyd::pipeline {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const EventTime kBegin{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20}};

Verdict quiet() { return {.score = 0.5, .p_value = 0.4, .threshold = 1.8, .magnitude = 0.5}; }
Verdict speaking(double score = 2.0) {
  return {.score = score,
          .p_value = 1e-4,
          .threshold = 1.8,
          .magnitude = 1.2,
          .condition = true,
          .lasting = true,
          .alert = true};
}
Verdict holding(double score = 2.0) {
  Verdict verdict = speaking(score);
  verdict.alert = false;
  return verdict;
}
Verdict fading() {
  Verdict verdict = holding();
  verdict.condition = false;
  return verdict;
}

std::vector<Alert::Feature> evidence() {
  return {{.name = "mem", .unit = "GB", .observed = 3.1, .expected = 2.9, .share = 0.25},
          {.name = "cpu", .unit = "%", .observed = 97.34, .expected = 41.2, .share = 0.7},
          {.name = "fan", .unit = "", .observed = 2, .expected = 2, .share = 0.05}};
}

// Feeds one verdict per minute, as a pipeline does, and keeps the messages.
class Feed {
 public:
  explicit Feed(IncidentPolicy::Options options = {}) : options_{options} {}

  Feed& rows(const Verdict& verdict, int count = 1) {
    for (; count > 0; --count) {
      const IncidentPolicy::Row row{time(), offset_, verdict};
      if (policy.concerns(verdict)) keep(policy.observe("pump", row, evidence, options_));
      ++offset_;
    }
    return *this;
  }
  Feed& unjudged(int count) {
    for (; count > 0; --count) {
      keep(policy.skip("pump", time(), offset_, options_));
      ++offset_;
    }
    return *this;
  }
  EventTime time() const { return kBegin + offset_ * 1min; }
  std::vector<AlertState> states() const {
    std::vector<AlertState> result;
    for (const Alert& alert : alerts) result.push_back(alert.state);
    return result;
  }

  IncidentPolicy policy;
  std::vector<Alert> alerts;

 private:
  void keep(std::optional<Alert> alert) {
    if (alert) alerts.push_back(std::move(*alert));
  }

  IncidentPolicy::Options options_;
  Offset offset_ = 0;
};

constexpr auto kOpen = AlertState::kOpen;
constexpr auto kUpdate = AlertState::kUpdate;
constexpr auto kResolve = AlertState::kResolve;

TEST(IncidentPolicy, OpensWithTheAlertAndResolvesAfterTheQuietRows) {
  Feed feed{{.resolve_rows = 10}};
  feed.rows(quiet(), 5).rows(speaking()).rows(holding(), 4).rows(quiet(), 10);
  ASSERT_THAT(feed.states(), ElementsAre(kOpen, kResolve));
  const Alert& open = feed.alerts[0];
  EXPECT_EQ(open.start, kBegin + 5min);
  EXPECT_EQ(open.time, kBegin + 5min);
  EXPECT_EQ(open.end, std::nullopt);
  EXPECT_EQ(open.first_offset, 5);
  const Alert& resolve = feed.alerts[1];
  EXPECT_EQ(resolve.id, open.id);
  EXPECT_EQ(resolve.start, open.start);
  EXPECT_EQ(resolve.end, kBegin + 9min) << "the last row that was not quiet";
  EXPECT_EQ(resolve.time, kBegin + 19min);
  EXPECT_EQ(resolve.last_offset, 19);
}

TEST(IncidentPolicy, IsNotConcernedWithTheRowsOfAHealthySeries) {
  Feed feed;
  EXPECT_FALSE(feed.policy.concerns(quiet()));
  EXPECT_TRUE(feed.policy.concerns(speaking()));
  feed.rows(speaking());
  EXPECT_TRUE(feed.policy.concerns(quiet())) << "it is open now";
  feed.rows(quiet(), 100);
  EXPECT_FALSE(feed.policy.concerns(quiet()));
}

TEST(IncidentPolicy, NeedsAnAlertToOpenNotOnlyItsCondition) {
  Feed feed;
  feed.rows(holding(), 20);
  EXPECT_THAT(feed.alerts, SizeIs(0));
}

TEST(IncidentPolicy, StaysOpenWhileRowsAreNearlyRareAndLarge) {
  Feed feed{{.resolve_rows = 5}};
  feed.rows(speaking()).rows(fading(), 30).rows(quiet(), 4).rows(fading()).rows(quiet(), 4);
  EXPECT_THAT(feed.states(), ElementsAre(kOpen));
  feed.rows(quiet());
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve));
}

TEST(IncidentPolicy, WaitsForSoManyConfirmingRows) {
  Feed feed{{.confirm = 3, .confirm_rows = 5}};
  feed.rows(speaking()).rows(quiet()).rows(holding()).rows(quiet(), 9);
  EXPECT_THAT(feed.alerts, SizeIs(0)) << "2 of 5";
  feed.rows(speaking()).rows(quiet()).rows(holding()).rows(quiet()).rows(holding());
  ASSERT_THAT(feed.states(), ElementsAre(kOpen));
  EXPECT_EQ(feed.alerts[0].start, kBegin + 12min) << "with the first of them";
  EXPECT_EQ(feed.alerts[0].time, kBegin + 16min);
}

TEST(IncidentPolicy, OpensTheSameIncidentAgainWithinTheMergeGap) {
  Feed feed{{.resolve_rows = 5, .merge_rows = 20}};
  feed.rows(speaking()).rows(quiet(), 5).rows(quiet(), 19).rows(speaking());
  ASSERT_THAT(feed.states(), ElementsAre(kOpen, kResolve, kOpen));
  EXPECT_EQ(feed.alerts[2].id, feed.alerts[0].id);
  EXPECT_EQ(feed.alerts[2].start, feed.alerts[0].start);
}

TEST(IncidentPolicy, OpensAnotherIncidentAfterTheMergeGap) {
  Feed feed{{.resolve_rows = 5, .merge_rows = 20}};
  feed.rows(speaking()).rows(quiet(), 5).rows(quiet(), 20).rows(speaking());
  ASSERT_THAT(feed.states(), ElementsAre(kOpen, kResolve, kOpen));
  EXPECT_NE(feed.alerts[2].id, feed.alerts[0].id);
  EXPECT_EQ(feed.alerts[2].start, kBegin + 26min);
}

TEST(IncidentPolicy, DoesNotConfirmAnIncidentByRowsOfTheLastOne) {
  Feed feed{{.confirm = 2, .confirm_rows = 64, .resolve_rows = 3, .merge_rows = 0}};
  feed.rows(speaking(), 2).rows(quiet(), 4).rows(speaking());
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve));
  feed.rows(speaking());
  ASSERT_THAT(feed.states(), ElementsAre(kOpen, kResolve, kOpen));
  EXPECT_EQ(feed.alerts[2].start, kBegin + 6min);
}

TEST(IncidentPolicy, KeepsSilentDuringTheCoolDown) {
  Feed feed{{.resolve_rows = 5, .merge_rows = 0, .cool_down_rows = 30}};
  feed.rows(speaking()).rows(quiet(), 5).rows(speaking(), 30);
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve));
  feed.rows(speaking());
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve, kOpen));
}

TEST(IncidentPolicy, TellsOfALongIncidentAgainAndAgain) {
  Feed feed{{.update_rows = 30}};
  feed.rows(speaking()).rows(holding(), 65);
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kUpdate, kUpdate));
  EXPECT_EQ(feed.alerts[1].time, kBegin + 30min);
}

TEST(IncidentPolicy, TellsAtOnceWhenTheSeverityReachesAnotherName) {
  Feed feed;
  Verdict worse = speaking(5.0);
  worse.p_value = 1e-9;
  worse.magnitude = 4;
  feed.rows(speaking()).rows(holding()).rows(worse).rows(holding());
  ASSERT_THAT(feed.states(), ElementsAre(kOpen, kUpdate));
  EXPECT_GE(feed.alerts[1].severity, 75);
  EXPECT_EQ(feed.alerts[1].score, 5.0);
  EXPECT_EQ(feed.alerts[1].p_value, 1e-9);
}

TEST(IncidentPolicy, ReportsTheWorstRowsAndWhatTheyWereAbout) {
  Feed feed{{.worst_steps = 2, .features = 2}};
  feed.rows(speaking(2.0)).rows(holding(5.0)).rows(holding(3.0)).rows(holding(1.9));
  feed.rows(quiet(), 10);
  const Alert& last = feed.alerts.back();
  EXPECT_EQ(last.score, 5.0);
  EXPECT_THAT(last.worst_steps,
              ElementsAre(Field(&Alert::Step::score, 5.0), Field(&Alert::Step::score, 3.0)));
  EXPECT_EQ(last.worst_steps[0].time, kBegin + 1min);
  EXPECT_EQ(last.worst_steps[0].feature, "cpu");
  EXPECT_THAT(last.features, ElementsAre(Field(&Alert::Feature::name, "cpu"),
                                         Field(&Alert::Feature::name, "mem")));
}

TEST(IncidentPolicy, AsksForEvidenceOnlyWhereAMessageWillShowIt) {
  IncidentPolicy policy;
  const IncidentPolicy::Options options{.worst_steps = 1};
  int asked = 0;
  const auto observe = [&](const Verdict& verdict) {
    (void)policy.observe(
        "pump", {kBegin, 0, verdict}, [&] { return ++asked, evidence(); }, options);
  };
  observe(speaking(3.0));
  EXPECT_EQ(asked, 1);
  observe(holding(2.9));
  observe(quiet());
  EXPECT_EQ(asked, 1) << "neither was worse";
  observe(holding(3.1));
  EXPECT_EQ(asked, 2);
}

TEST(IncidentPolicy, HoldsAnOpenIncidentOverRowsThatCannotBeJudged) {
  Feed feed{{.resolve_rows = 5, .abandon_rows = 50}};
  feed.rows(speaking()).rows(quiet(), 4).unjudged(49);
  EXPECT_THAT(feed.states(), ElementsAre(kOpen));
  feed.rows(quiet());
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve));
}

TEST(IncidentPolicy, ResolvesAnIncidentThatNobodyCanJudgeAnyMore) {
  Feed feed{{.abandon_rows = 50}};
  feed.rows(speaking()).unjudged(50);
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve));
  feed.rows(speaking()).unjudged(49);
  EXPECT_THAT(feed.states(), ElementsAre(kOpen, kResolve, kOpen)) << "counted anew";
}

TEST(IncidentPolicy, ResolvesWhatIsOpenWhenTheSeriesEnds) {
  Feed feed;
  feed.rows(speaking());
  const auto alert = feed.policy.close("pump", feed.time(), 9);
  ASSERT_TRUE(alert);
  EXPECT_EQ(alert->state, kResolve);
  EXPECT_FALSE(feed.policy.is_open());
  EXPECT_FALSE(feed.policy.close("pump", feed.time(), 9)) << "nothing left to resolve";
}

TEST(IncidentPolicy, MarksAnAlertOfTheWarmUpAsProvisional) {
  Feed feed;
  Verdict early = speaking();
  early.rule = ThresholdRule::kWarmUp;
  feed.rows(early);
  EXPECT_TRUE(feed.alerts[0].provisional);
  EXPECT_EQ(feed.alerts[0].rule, "warm_up");
  EXPECT_THAT(feed.alerts[0].summary, HasSubstr("still learning"));
}

TEST(IncidentPolicy, GoesOnAfterARestartAtAnyRowAsIfNothingHadHappened) {
  const auto verdict_at = [](int row) {
    if (row % 40 < 3) return speaking(2.0 + row % 40);
    return row % 40 < 9 ? fading() : quiet();
  };
  const IncidentPolicy::Options options{
      .confirm = 2, .confirm_rows = 3, .resolve_rows = 4, .merge_rows = 30, .update_rows = 2};
  Feed whole{options};
  for (int row = 0; row < 100; ++row) whole.rows(verdict_at(row));
  for (int restart_at = 0; restart_at < 100; ++restart_at) {
    Feed feed{options};
    for (int row = 0; row < 100; ++row) {
      if (row == restart_at) {
        StateWriter out;
        feed.policy.save(out);
        feed.policy = IncidentPolicy{};
        StateReader in{out.bytes()};
        ASSERT_TRUE(feed.policy.load(in));
        ASSERT_TRUE(in.at_end());
      }
      feed.rows(verdict_at(row));
    }
    ASSERT_EQ(feed.states(), whole.states()) << "restart at row " << restart_at;
    for (std::size_t i = 0; i < whole.alerts.size(); ++i) {
      EXPECT_EQ(feed.alerts[i].id, whole.alerts[i].id);
      EXPECT_EQ(feed.alerts[i].summary, whole.alerts[i].summary);
      EXPECT_EQ(feed.alerts[i].severity, whole.alerts[i].severity);
    }
  }
}

TEST(IncidentPolicy, RefusesEveryTruncationOfItsState) {
  Feed feed;
  feed.rows(speaking());
  StateWriter out;
  feed.policy.save(out);
  for (std::size_t size = 0; size < out.bytes().size(); ++size) {
    IncidentPolicy policy;
    StateReader in{std::span{out.bytes()}.first(size)};
    EXPECT_FALSE(policy.load(in)) << size << " bytes";
  }
}

TEST(AlertMessage, NamesAnIncidentBySeriesTypeAndStartAlone) {
  const std::string id = incident_id("pump", AlertType::kAnomaly, kBegin);
  EXPECT_THAT(id, SizeIs(32));
  EXPECT_EQ(id, incident_id("pump", AlertType::kAnomaly, kBegin));
  EXPECT_EQ(id, "f946352a8d6c584c9b6cf4345dc985d7") << "ids must not change between versions";
  EXPECT_NE(id, incident_id("pump2", AlertType::kAnomaly, kBegin));
  EXPECT_NE(id, incident_id("pump", AlertType::kGap, kBegin));
  EXPECT_NE(id, incident_id("pump", AlertType::kAnomaly, kBegin + 1us));
}

TEST(AlertMessage, GrowsSeverityWithRarityMagnitudeAndLength) {
  EXPECT_LT(severity_of(1e-3, 1.0, 1), severity_of(1e-6, 1.0, 1));
  EXPECT_LT(severity_of(1e-3, 1.0, 1), severity_of(1e-3, 2.0, 1));
  EXPECT_LT(severity_of(1e-3, 1.0, 1), severity_of(1e-3, 1.0, 100));
  EXPECT_GE(severity_of(1.0, 0.0, 0), 0);
  EXPECT_EQ(severity_of(0.0, 1e9, 1'000'000), 100);
  EXPECT_EQ(severity_name(severity_of(1e-3, 1.0, 1)), Severity::kMinor);
  EXPECT_EQ(severity_name(severity_of(1e-9, 3.0, 30)), Severity::kCritical);
}

TEST(AlertMessage, SaysInOneSentenceWhatWasSeenAndExpected) {
  Feed feed;
  feed.rows(speaking()).rows(holding(), 4).rows(quiet(), 10);
  EXPECT_EQ(feed.alerts[0].summary,
            "cpu 97.34 % where 41.2 % was expected (70 % of the score); "
            "mem 3.1 GB where 2.9 GB was expected (25 % of the score)");
  EXPECT_THAT(feed.alerts[1].summary, StartsWith("over after 4 min: cpu 97.34 %"));
}

TEST(AlertMessage, TellsOfADataFaultInTheSameForm) {
  const DataFaults::Event event{AlertType::kStuckSensor, AlertState::kResolve, kBegin,
                                "cpu moves again"};
  const Alert alert = data_fault_alert("pump", event, kBegin + 5min, 77);
  EXPECT_EQ(alert.id, incident_id("pump", AlertType::kStuckSensor, kBegin));
  EXPECT_EQ(alert.state, kResolve);
  EXPECT_EQ(alert.end, kBegin + 5min);
  EXPECT_EQ(alert.summary, "cpu moves again");
  EXPECT_EQ(alert.rule, "data_fault");
}

}  // namespace
}  // namespace anomalyd::pipeline
