#include "daemon/pipeline/governor.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::pipeline {
namespace {

TEST(Governor, StartsAtItsAlphaAndNeverExceedsIt) {
  Governor governor{1e-3, {}};
  for (int i = 0; i < 10'000; ++i) governor.on_quiet_row();
  EXPECT_EQ(governor.alpha(), 1e-3);
}

TEST(Governor, LowersAlphaOncePerOnsetNotPerRow) {
  Governor governor{1e-3, {.budget = 1e-3, .gain = 0.5}};
  governor.on_alert_row();
  const double after_onset = governor.alpha();
  EXPECT_NEAR(std::log(1e-3 / after_onset), 0.5, 0.01);
  governor.on_alert_row();
  EXPECT_GE(governor.alpha(), after_onset) << "the same alert goes on";
}

TEST(Governor, TakesAnAlertAfterMoreThanTheGapForANewOnset) {
  Governor governor{1e-3, {.onset_gap = 5}};
  governor.on_alert_row();
  for (int i = 0; i < 5; ++i) governor.on_quiet_row();
  const double before = governor.alpha();
  governor.on_alert_row();
  EXPECT_GE(governor.alpha(), before) << "5 quiet rows do not end it";
  for (int i = 0; i < 6; ++i) governor.on_quiet_row();
  governor.on_alert_row();
  EXPECT_LT(governor.alpha(), 0.7 * before);
}

TEST(Governor, NeverAllowsMoreOnsetsThanTheBoundSays) {
  const Governor::Options options{.budget = 1e-3, .gain = 0.5, .range = 9};
  Governor governor{1e-3, options};
  int onsets = 0;
  const int rows = 20'000;
  for (int i = 0; i < rows; ++i) {
    const bool tempting = i % 10 == 0;  // p = 1e-6 again and again
    if (tempting && 1e-6 < governor.alpha()) {
      governor.on_alert_row();
      ++onsets;
    } else {
      governor.on_quiet_row();
    }
  }
  EXPECT_LE(onsets, options.budget * rows + options.range / options.gain);
  EXPECT_GT(onsets, 5);
}

TEST(Governor, IsAtItsClampWhenTheBudgetIsSpentManyTimesOver) {
  Governor governor{1e-3, {.budget = 1e-3, .gain = 0.5, .range = 9}};
  const auto onset = [&] {
    governor.on_alert_row();
    for (int i = 0; i < 6; ++i) governor.on_quiet_row();
  };
  for (int i = 0; i < 17; ++i) onset();
  EXPECT_FALSE(governor.at_clamp());
  for (int i = 0; i < 3; ++i) onset();
  EXPECT_TRUE(governor.at_clamp());
  for (int i = 0; i < 980; ++i) governor.on_quiet_row();
  EXPECT_TRUE(governor.at_clamp()) << "one alert's worth of budget has not been earned yet";
  for (int i = 0; i < 40; ++i) governor.on_quiet_row();
  EXPECT_FALSE(governor.at_clamp());

  Governor off{1e-3, {.budget = 0}};
  for (int i = 0; i < 100; ++i) off.on_alert_row();
  EXPECT_FALSE(off.at_clamp());
}

TEST(Governor, WithoutABudgetLeavesAlphaAlone) {
  Governor governor{1e-3, {.budget = 0}};
  governor.on_alert_row();
  EXPECT_EQ(governor.alpha(), 1e-3);
}

TEST(Governor, GoesOnAfterARestartAsIfNothingHadHappened) {
  Governor whole{1e-3, {}};
  whole.on_alert_row();
  whole.on_quiet_row();
  StateWriter out;
  whole.save(out);
  Governor restarted{1e-3, {}};
  StateReader in{out.bytes()};
  ASSERT_TRUE(restarted.load(in));
  for (Governor* governor : {&whole, &restarted}) {
    for (int i = 0; i < 3; ++i) governor->on_quiet_row();
    governor->on_alert_row();
  }
  EXPECT_EQ(whole.alpha(), restarted.alpha());
}

}  // namespace
}  // namespace anomalyd::pipeline
