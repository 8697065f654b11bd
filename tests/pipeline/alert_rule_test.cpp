#include "daemon/pipeline/alert_rule.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::pipeline {
namespace {

constexpr double kAlpha = 1e-3;
constexpr Reading kRare{.p_value = 1e-6, .threshold = 1};
constexpr Reading kOrdinary{.p_value = 0.3, .threshold = 1};

// One member with scales of one, the whole alpha, and a governor that does not interfere.
AlertRule rule_of(const AlertRule::Options& options = {}, double budget = 0) {
  return {{{1, 1}}, kAlpha, budget, 2000, options};
}

// Costs that give this magnitude while the scales are at one.
std::vector<Smoothed> costs_for(double magnitude) {
  return {{std::expm1(magnitude), std::expm1(magnitude)}};
}

AlertRule::Decision observe(AlertRule& rule, const Reading& reading, double magnitude) {
  return rule.observe(reading, 0, costs_for(magnitude));
}

struct Case {
  double p_value;
  double magnitude;
  bool condition;
  bool lasting;
};
class RareAndLarge : public ::testing::TestWithParam<Case> {};

TEST_P(RareAndLarge, AreBothNeeded) {
  AlertRule rule = rule_of();
  const auto decision = observe(rule, {.p_value = GetParam().p_value}, GetParam().magnitude);
  EXPECT_EQ(decision.condition, GetParam().condition);
  EXPECT_EQ(decision.alert, GetParam().condition);
  EXPECT_EQ(decision.lasting, GetParam().lasting);
}

INSTANTIATE_TEST_SUITE_P(Rows, RareAndLarge,
                         ::testing::Values(Case{1e-6, 0.9, false, false},  // rare, not large
                                           Case{0.1, 3.0, false, false},   // large, not rare
                                           Case{0.9e-3, 1.1, true, true},  // both
                                           Case{5e-3, 1.1, false, true},   // nearly
                                           Case{5e-3, 1.6, true, true},    // larger, less rare
                                           Case{1.1e-2, 1.6, false, false}));

TEST(AlertRule, GivesAShortCalibrationALowerAlpha) {
  EXPECT_DOUBLE_EQ(AlertRule({{1, 1}}, kAlpha, 0, 500, {}).alpha(), kAlpha / 4);
  EXPECT_DOUBLE_EQ(AlertRule({{1, 1}}, kAlpha, 0, 9000, {}).alpha(), kAlpha);
}

TEST(AlertRule, LetsAnAlertSpeakForTenRowsThenMakesItEarnItAgain) {
  AlertRule rule = rule_of();
  for (int row = 0; row < 10; ++row) EXPECT_TRUE(observe(rule, kRare, 2).alert) << "row " << row;
  const auto eleventh = observe(rule, kRare, 2);
  EXPECT_FALSE(eleventh.alert);
  EXPECT_TRUE(eleventh.condition) << "the incident goes on";
  EXPECT_TRUE(observe(rule, kRare, 3).alert) << "it got worse";
}

TEST(AlertRule, SpeaksAgainWhenTheBarHasFaded) {
  // Without tracking or a second level the magnitude of the same costs stays what it is.
  AlertRule rule = rule_of({.tracking = 0, .fade_rows = 50, .accept_rows = 100'000});
  for (int row = 0; row < 10; ++row) (void)observe(rule, kRare, 2);
  int silent = 0;
  while (!observe(rule, kRare, 2).alert) ++silent;
  EXPECT_NEAR(silent, 50 * std::log(1.05), 2);
}

TEST(AlertRule, AcceptsAConditionThatLastsAsASecondLevel) {
  AlertRule rule = rule_of();
  for (int row = 0; row < 60; ++row) (void)observe(rule, kRare, 3);
  const auto after = observe(rule, kRare, 3);
  EXPECT_LT(after.magnitude, 0.75);
  EXPECT_FALSE(after.condition);
}

TEST(AlertRule, RestoresTheFirstLevelWhenItComesBack) {
  AlertRule rule = rule_of();
  for (int row = 0; row < 60; ++row) (void)observe(rule, kRare, 3);
  for (int row = 0; row < 99; ++row) (void)observe(rule, kOrdinary, 0.3);
  EXPECT_LT(observe(rule, kOrdinary, 3).magnitude, 1.5) << "one row short, and it starts over";
  for (int row = 0; row < 101; ++row) (void)observe(rule, kOrdinary, 0.3);
  EXPECT_GT(observe(rule, kRare, 3).magnitude, 2);
}

TEST(AlertRule, AcceptsABenignShiftByItsScales) {
  AlertRule rule = rule_of();
  for (int row = 0; row < 300; ++row) (void)observe(rule, kOrdinary, 1.8);
  EXPECT_LT(observe(rule, kRare, 1.8).magnitude, 1);
}

TEST(AlertRule, LetsAThresholdOfAnotherKindDecideAlone) {
  AlertRule rule = rule_of();
  const Reading fixed{.p_value = 0.9, .threshold = 4, .rule = ThresholdRule::kFixed};
  EXPECT_FALSE(rule.observe(fixed, 3.9, costs_for(9)).condition);
  EXPECT_TRUE(rule.observe(fixed, 4.1, costs_for(0.1)).alert);
}

TEST(AlertRule, CountsAlertsThatTheBudgetHoldsBack) {
  AlertRule rule = rule_of({.tracking = 0}, 1e-4);
  const Reading just_rare{.p_value = 0.9 * kAlpha};
  const auto tempt = [&] {
    (void)observe(rule, just_rare, 1.2);
    for (int row = 0; row < 10; ++row) (void)observe(rule, kOrdinary, 0.3);
  };
  tempt();
  EXPECT_EQ(rule.suppressed(), 0U) << "the first one is let through";
  for (int i = 0; i < 4; ++i) tempt();
  EXPECT_EQ(rule.suppressed(), 4U);
}

TEST(AlertRule, GoesOnAfterARestartAsIfNothingHadHappened) {
  AlertRule whole = rule_of({}, 1e-3);
  const auto row = [](AlertRule& rule, int i) {
    const bool incident = i % 150 > 60;
    return observe(rule, incident ? kRare : kOrdinary, incident ? 2 + i % 7 * 0.1 : 0.3);
  };
  for (int i = 0; i < 130; ++i) (void)row(whole, i);  // with a second level in force
  StateWriter out;
  whole.save(out);
  AlertRule restarted = rule_of({}, 1e-3);
  StateReader in{out.bytes()};
  ASSERT_TRUE(restarted.load(in));
  for (int i = 130; i < 900; ++i) {
    const auto a = row(whole, i);
    const auto b = row(restarted, i);
    ASSERT_EQ(a.magnitude, b.magnitude) << "row " << i;
    ASSERT_EQ(a.alert, b.alert) << "row " << i;
  }
  EXPECT_EQ(whole.alpha(), restarted.alpha());
}

TEST(AlertRule, RefusesEveryTruncationOfItsState) {
  AlertRule rule = rule_of();
  for (int i = 0; i < 70; ++i) (void)observe(rule, kRare, 2);
  StateWriter out;
  rule.save(out);
  for (std::size_t size = 0; size < out.bytes().size(); ++size) {
    AlertRule other = rule_of();
    StateReader in{std::span{out.bytes()}.first(size)};
    EXPECT_FALSE(other.load(in)) << size << " bytes";
  }
}

}  // namespace
}  // namespace anomalyd::pipeline
