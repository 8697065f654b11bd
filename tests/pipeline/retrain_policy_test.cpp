#include "daemon/pipeline/retrain_policy.hpp"

#include <gmock/gmock.h>

#include <random>

namespace anomalyd::pipeline {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kGroup = "cpu,mem";
const EventTime kMonday{std::chrono::sys_days{std::chrono::year{2026} / 11 / 16}};

RetrainingOptions quiet() {
  RetrainingOptions options;
  options.schedule = Schedule{};
  options.jitter = seconds{0};
  return options;
}

/// Facts of a fleet of forty series, of which so many hold back alerts for long.
GroupFacts pressed(std::size_t series) {
  GroupFacts facts;
  facts.series = 40;
  facts.pressed = facts.pressed_long = series;
  return facts;
}

/// Scores that double after two days, as of so many hours later.
GroupFacts drifted(int hours_later) {
  GroupFacts facts;
  facts.series = 1;
  std::mt19937 random{3};
  std::lognormal_distribution<double> score{-1, 0.3};
  for (int i = 0; i < 60 * (48 + hours_later); ++i) {
    facts.watermark = kMonday + minutes{i};
    facts.drift.add(score(random) * (i >= 60 * 48 ? 2 : 1), facts.watermark, {});
  }
  return facts;
}

class RetrainPolicyTest : public ::testing::Test {
 protected:
  std::optional<RetrainPolicy::Due> due(EventTime now, const GroupFacts& facts = {}) const {
    return RetrainPolicy{options_}.due(now, kGroup, facts, past_);
  }
  std::string why(EventTime now, const GroupFacts& facts = {}) const {
    const auto found = due(now, facts);
    return found ? found->why : "nothing";
  }

  RetrainingOptions options_ = quiet();
  RetrainPolicy::Past past_{.last = kMonday};
};

TEST_F(RetrainPolicyTest, TrainsAtAnIntervalWithAJitterOfTheGroup) {
  options_.schedule = Schedule::every(hours{24});
  EXPECT_FALSE(due(kMonday + hours{24} - seconds{1}));
  EXPECT_EQ(why(kMonday + hours{24}),
            "schedule: 24h was due at 2026-11-17T00:00:00.000Z, 0 s of it jitter");
  options_.jitter = minutes{30};
  const auto jitter = jitter_of(kGroup, minutes{30});
  EXPECT_FALSE(due(kMonday + hours{24} + jitter - seconds{1}));
  EXPECT_TRUE(due(kMonday + hours{24} + jitter));
}

TEST_F(RetrainPolicyTest, TrainsOnceForAllTimesOfTheCalendarThatItMissed) {
  options_.schedule = *Schedule::parse("0 3 * * *");
  EXPECT_FALSE(due(kMonday + hours{2}));
  EXPECT_TRUE(due(kMonday + hours{3}));
  const EventTime back = kMonday + days{4} + hours{12};
  ASSERT_TRUE(due(back));
  past_ = RetrainPolicy::after(past_, {.end = back});
  EXPECT_FALSE(due(back + hours{14}));
  EXPECT_TRUE(due(back + hours{15}));
}

TEST_F(RetrainPolicyTest, KeepsTheCoolDownBeforeTheSchedule) {
  options_.schedule = *Schedule::parse("*/5 * * * *");
  options_.cool_down = hours{1};
  EXPECT_FALSE(due(kMonday + minutes{59}));
  EXPECT_TRUE(due(kMonday + hours{1}));
  past_.fruitless = 10;
  EXPECT_TRUE(due(kMonday + hours{1})) << "a schedule is kept, whatever comes of it";
}

TEST_F(RetrainPolicyTest, CountsNormalRowsSinceTheLastTraining) {
  options_.new_rows = 1000;
  GroupFacts facts;
  facts.normal_rows = 999;
  EXPECT_FALSE(due(kMonday + days{1}, facts));
  facts.normal_rows = 1000;
  EXPECT_EQ(why(kMonday + days{1}, facts),
            "new_rows: 1000 normal rows since the last training (floor 1000)");
  past_ = RetrainPolicy::after(past_, {.end = kMonday, .promoted = false, .normal_rows = 1000});
  EXPECT_FALSE(due(kMonday + days{1}, facts)) << "the model is the same, its rows go on";
  facts.normal_rows = 2000;
  EXPECT_TRUE(due(kMonday + days{1}, facts));
  facts.normal_rows = 500;
  EXPECT_FALSE(due(kMonday + days{1}, facts)) << "a partition has gone to another daemon";
  past_ = RetrainPolicy::after(past_, {.end = kMonday, .promoted = true, .normal_rows = 2000});
  facts.normal_rows = 1000;
  EXPECT_TRUE(due(kMonday + days{1}, facts)) << "the new model counts anew";
}

TEST_F(RetrainPolicyTest, TrainsForDriftThatHasHeldAndSaysHowLarge) {
  EXPECT_FALSE(due(kMonday + days{9}, drifted(0)));
  EXPECT_FALSE(due(kMonday + days{9}, drifted(1)));
  const auto found = due(kMonday + days{9}, drifted(3));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->trigger, Trigger::kDrift);
  EXPECT_THAT(found->why, StartsWith("drift: KS 0."));
  EXPECT_THAT(found->why, HasSubstr("held 1 h 59 min"));
  options_.drift.enabled = false;
  EXPECT_FALSE(due(kMonday + days{9}, drifted(3)));
}

TEST_F(RetrainPolicyTest, TrainsWhenEnoughSeriesHoldBackAlertsForLong) {
  EXPECT_FALSE(due(kMonday + days{1}, pressed(3)));
  EXPECT_EQ(why(kMonday + days{1}, pressed(4)),
            "governor: 4 of 40 series (10 %, floor 10 %) have been at the clamp of their "
            "governor for 1 h or longer");
  GroupFacts not_long = pressed(40);
  not_long.pressed_long = 0;
  EXPECT_FALSE(due(kMonday + days{1}, not_long));
  options_.governor.share = 0;
  EXPECT_FALSE(due(kMonday + days{1}, pressed(0))) << "none is not enough, whatever the floor";
  options_.governor.enabled = false;
  EXPECT_FALSE(due(kMonday + days{1}, pressed(40)));
}

TEST_F(RetrainPolicyTest, TrainsForOtherChannelsAndNamesThem) {
  GroupFacts facts;
  facts.series = 40;
  facts.with_new_channels = 5;
  facts.new_channels = {"gpu", "fan"};
  facts.lacking_channels = 2;
  EXPECT_EQ(why(kMonday + days{1}, facts),
            "schema: of 40 series (floor 10 %), 5 carry channels that the model does not know "
            "(fan, gpu) and 2 lack channels that it knows");
  facts.with_new_channels = 3;
  EXPECT_FALSE(due(kMonday + days{1}, facts));
  facts.lacking_channels = 4;
  EXPECT_TRUE(due(kMonday + days{1}, facts));
  options_.schema.enabled = false;
  EXPECT_FALSE(due(kMonday + days{1}, facts));
}

TEST_F(RetrainPolicyTest, ObeysARequestAtOnceButNotTwiceInAMinute) {
  const RetrainPolicy policy{options_};
  const auto asked = policy.due(kMonday + minutes{2}, kGroup, {}, past_,
                                RetrainPolicy::Request{Trigger::kCommand, "ann"});
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->trigger, Trigger::kCommand);
  EXPECT_EQ(asked->why, "command: asked for by ann");
  const RetrainPolicy::Request record{Trigger::kControlTopic, ""};
  EXPECT_FALSE(policy.due(kMonday + seconds{59}, kGroup, {}, past_, record));
  EXPECT_EQ(policy.due(kMonday + minutes{1}, kGroup, {}, past_, record)->why,
            "control_topic: asked for");
}

TEST_F(RetrainPolicyTest, TellsAllReasonsAndCallsItByTheWeightiest) {
  options_.schedule = Schedule::every(hours{1});
  GroupFacts facts = drifted(3);
  facts.series = 40;
  facts.pressed_long = 40;
  const auto found = due(kMonday + days{1}, facts);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->trigger, Trigger::kGovernor);
  EXPECT_THAT(found->why, StartsWith("governor: 40 of 40"));
  EXPECT_THAT(found->why, HasSubstr("; also drift: KS"));
  EXPECT_THAT(found->why, HasSubstr("; also schedule: 1h"));
}

TEST_F(RetrainPolicyTest, WaitsLongerEachTimeThatNothingCameOfIt) {
  options_.cool_down = hours{1};
  for (const int expected : {1, 2, 4, 8, 16, 16}) {
    EXPECT_FALSE(due(past_.last + hours{expected} - seconds{1}, pressed(40)));
    EXPECT_TRUE(due(past_.last + hours{expected}, pressed(40)));
    past_ = RetrainPolicy::after(past_, {.end = past_.last + hours{expected}});
  }
  past_ = RetrainPolicy::after(past_, {.end = past_.last, .promoted = true});
  EXPECT_TRUE(due(past_.last + hours{1}, pressed(40)));
}

TEST_F(RetrainPolicyTest, DoesNothingWhenSwitchedOff) {
  options_.schedule = Schedule::every(hours{1});
  options_.enabled = false;
  EXPECT_FALSE(due(kMonday + days{1}, pressed(40)));
  EXPECT_FALSE(RetrainPolicy{options_}.due(kMonday + days{1}, kGroup, {}, past_,
                                           RetrainPolicy::Request{Trigger::kCommand, "ann"}));
}

TEST_F(RetrainPolicyTest, StartsColdEveryTenthTimeAndAfterAWarmOneLost) {
  const RetrainPolicy policy{options_};
  RetrainPolicy::Past past;
  std::string starts;
  for (int i = 0; i < 21; ++i) {
    const TrainingStart start = policy.start(past);
    starts += start == TrainingStart::kWarm ? 'w' : 'c';
    past = RetrainPolicy::after(past, {.end = kMonday, .start = start, .promoted = true});
  }
  EXPECT_EQ(starts, "wwwwwwwwwcwwwwwwwwwcw");
  EXPECT_EQ(past.trainings, 21u);

  past = RetrainPolicy::after(past, {.start = TrainingStart::kWarm, .promoted = false});
  EXPECT_EQ(policy.start(past), TrainingStart::kCold) << "warm has lost";
  past = RetrainPolicy::after(past, {.start = TrainingStart::kCold, .promoted = false});
  EXPECT_EQ(policy.start(past), TrainingStart::kWarm) << "so has cold: it is not the start";
  options_.cold_every = 1;
  EXPECT_EQ(RetrainPolicy{options_}.start({}), TrainingStart::kCold);
}

TEST_F(RetrainPolicyTest, SaysWhenAChampionIsUnfit) {
  const RetrainPolicy policy{options_};
  GroupFacts facts = pressed(40);
  EXPECT_FALSE(policy.unfit(facts)) << "not for long enough";
  facts.pressed_unfit = 35;
  EXPECT_FALSE(policy.unfit(facts));
  facts.pressed_unfit = 36;
  EXPECT_EQ(policy.unfit(facts),
            "36 of 40 series (90 %, floor 90 %) have been far above their budget for 6 h or "
            "longer");
  EXPECT_FALSE(policy.unfit({}));
}

TEST(Trigger, HasNamesForTheAuditTrail) {
  std::string names;
  for (std::size_t i = 0; i < kNumTriggers; ++i) {
    names += std::string{to_string(static_cast<Trigger>(i))} + " ";
  }
  EXPECT_EQ(names, "schedule new_rows drift governor schema command control_topic ");
}

}  // namespace
}  // namespace anomalyd::pipeline
