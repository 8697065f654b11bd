#include "daemon/pipeline/score_drift.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <random>

namespace anomalyd::pipeline {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr EventTime kStart{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + hours{7}};

EventTime after(microseconds time) { return kStart + time; }
double in_days(microseconds time) {
  return std::chrono::duration<double, days::period>(time).count();
}

/// Thinned log scores of a fleet. What is common to its series, and so no help to the test, is a
/// daily wave and a wandering level with a memory of three hours.
struct Fleet {
  int series = 1;
  seconds step{50};  ///< Between two rows of a series that are looked at.
  double wave = 0;   ///< Amplitude, in deviations of a row.
  double wandering = 0;
  unsigned seed = 1;
  /// What is added to the mean at a time since the start, in deviations of a row.
  std::function<double(microseconds)> shift = [](microseconds) { return 0.0; };
};

class Stream {
 public:
  explicit Stream(Fleet fleet) : fleet_{std::move(fleet)}, random_{fleet_.seed} {}

  /// Runs until `end`, and looks every twenty minutes; the first time that it is found to have
  /// drifted.
  std::optional<microseconds> run(microseconds end) {
    std::optional<microseconds> first;
    for (; time_ < end; time_ += fleet_.step) {
      const double memory = std::exp(-in_days(fleet_.step) * 8);
      level_ =
          memory * level_ + fleet_.wandering * std::sqrt(1 - memory * memory) * normal_(random_);
      const double wave = fleet_.wave * std::sin(2 * std::numbers::pi * in_days(time_));
      const double mean = wave + level_ + fleet_.shift(time_);
      for (int i = 0; i < fleet_.series; ++i) {
        drift.add(0.3 * std::exp(0.5 * (mean + normal_(random_))), after(time_), options);
      }
      if (time_ < next_look_) continue;
      next_look_ = time_ + minutes{20};
      if (!first && look().drifted) first = time_;
    }
    return first;
  }
  [[nodiscard]] ScoreDrift::Finding look() const { return drift.look(after(time_), options); }

  ScoreDrift drift;
  DriftOptions options;

 private:
  Fleet fleet_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  microseconds time_{0};
  microseconds next_look_{0};
  double level_ = 0;
};

double hours_until_found(Fleet fleet, microseconds begin, microseconds end) {
  const auto found = Stream{std::move(fleet)}.run(end);
  if (!found) return -1;
  return std::chrono::duration<double, hours::period>(*found - begin).count();
}

std::function<double(microseconds)> level_shift(microseconds begin, double deviations) {
  return [=](microseconds time) { return time < begin ? 0 : deviations; };
}

int runs_of_thirty_days_that_found_something(Fleet fleet, unsigned runs) {
  int found = 0;
  for (fleet.seed = 1; fleet.seed <= runs; ++fleet.seed) {
    found += Stream{fleet}.run(days{30}) ? 1 : 0;
  }
  return found;
}

TEST(ScoreDrift, FindsNothingInThirtyDaysOfAStationaryStream) {
  const auto found = runs_of_thirty_days_that_found_something;
  EXPECT_EQ(found({}, 10), 0) << "one series by the second";
  EXPECT_EQ(found({.step = minutes{50}}, 20), 0) << "one series by the minute";
  EXPECT_EQ(found({.series = 40, .step = minutes{50}}, 10), 0) << "a fleet by the minute";
}

// A level that wanders by a quarter of a deviation is found now and then: a false trigger in some
// hundred days of a group. One that wanders by 0.4 deviations is a drift that comes and goes.
TEST(ScoreDrift, TakesTheHoursOfADayForOrdinaryAndMostOfAWanderingLevel) {
  const auto found = runs_of_thirty_days_that_found_something;
  EXPECT_EQ(found({.wave = 0.5}, 10), 0);
  EXPECT_EQ(found({.series = 20, .step = minutes{10}, .wave = 1}, 5), 0);
  EXPECT_LE(found({.wave = 0.5, .wandering = 0.25}, 10), 1) << "in 300 days";
  EXPECT_LE(found({.series = 20, .step = minutes{10}, .wave = 0.5, .wandering = 0.25}, 5), 1);
}

TEST(ScoreDrift, FindsALevelShiftWithinHours) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const auto shift = [](double by) { return level_shift(days{5}, by); };
    const double large = hours_until_found({.seed = seed, .shift = shift(2)}, days{5}, days{7});
    EXPECT_GT(large, 1) << "it has to hold for an hour";
    EXPECT_LT(large, 3);
    const double fleet = hours_until_found(
        {.series = 40, .step = minutes{50}, .wave = 0.5, .seed = seed, .shift = shift(2)}, days{5},
        days{7});
    EXPECT_GT(fleet, 1);
    EXPECT_LT(fleet, 9) << "its reference has a daily wave";
    const double small = hours_until_found({.seed = seed, .shift = shift(0.8)}, days{5}, days{9});
    EXPECT_GT(small, 1);
    EXPECT_LT(small, 26) << "within a cycle and the hold";
    const double slow = hours_until_found(
        {.step = minutes{50}, .seed = seed, .shift = level_shift(days{9}, 2)}, days{9}, days{12});
    EXPECT_GT(slow, -1) << "one series by the minute has 29 independent rows a day";
  }
}

TEST(ScoreDrift, FindsASlowDrift) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const auto found = Stream({.wave = 0.5,
                               .wandering = 0.1,
                               .seed = seed,
                               .shift = [](microseconds time) { return 0.1 * in_days(time); }})
                           .run(days{30});
    ASSERT_TRUE(found);
    EXPECT_GT(in_days(*found), 3);
    EXPECT_LT(in_days(*found), 11) << "at a deviation of a row";
  }
}

TEST(ScoreDrift, TakesScoresThatFallForNoDrift) {
  EXPECT_FALSE(Stream({.shift = level_shift(days{2}, -3)}).run(days{6}));
  EXPECT_TRUE(Stream({.shift = level_shift(days{2}, 3)}).run(days{6}));
}

TEST(ScoreDrift, LetsAnExcursionPassThatIsShorterThanTheHold) {
  const auto excursion = [](microseconds time) {
    return time >= days{3} && time < days{3} + minutes{55} ? 3.0 : 0.0;
  };
  EXPECT_FALSE(Stream({.shift = excursion}).run(days{6}));
}

TEST(ScoreDrift, IsNotReadyBeforeAWholeCycleAndEnoughRows) {
  Stream stream{{.shift = level_shift(hours{12}, 4)}};
  EXPECT_FALSE(stream.run(hours{23}));
  EXPECT_FALSE(stream.look().ready);
  (void)stream.run(hours{25});
  EXPECT_TRUE(stream.look().ready);

  Stream sparse{{.step = hours{1}}};
  (void)sparse.run(days{3});
  EXPECT_FALSE(sparse.look().ready) << "72 rows";
  (void)sparse.run(days{10});
  EXPECT_TRUE(sparse.look().ready) << "a week is all that it waits for";
}

TEST(ScoreDrift, IsQuietWhenNothingComes) {
  Stream stream{{.shift = level_shift(days{2}, 3)}};
  ASSERT_TRUE(stream.run(days{3}));
  EXPECT_TRUE(stream.look().drifted);
  EXPECT_FALSE(stream.drift.look(after(days{10}), {}).drifted);
  EXPECT_FALSE(ScoreDrift{}.look(kStart, {}).ready);
}

TEST(ScoreDrift, ComputesDistanceAndPValue) {
  ScoreDrift drift;
  const auto add = [&](hours hour, int low, int high) {
    for (int i = 0; i < low; ++i) drift.add(0.3, after(hour), {});
    for (int i = 0; i < high; ++i) drift.add(0.6, after(hour), {});
  };
  for (int h = 0; h < 24; ++h) add(hours{h}, 5, 5);
  for (int h = 24; h < 48; ++h) add(hours{h}, 3, 7);
  const auto finding = drift.look(after(hours{47}), {.effect = 0.15});
  EXPECT_EQ(finding.reference_rows, 240u);
  EXPECT_EQ(finding.recent_rows, 240u);
  EXPECT_NEAR(finding.effect, 0.2, 1e-12);
  EXPECT_NEAR(finding.p_value, 5.39e-5, 5e-7) << "exp(-2 x^2), x = (10.954 + 0.12 + 0.010) 0.2";
  EXPECT_THAT(finding.text(), HasSubstr("KS 0.20 (floor 0.15), p 5e-05, held 0 s; 240 rows of the "
                                        "last 1 d against 240"));
}

TEST(ScoreDrift, AddsUpToTheWholeWhenSplitOverPartitions) {
  ScoreDrift whole, one, other;
  std::mt19937 random{5};
  std::lognormal_distribution<double> score{-1, 0.5};
  for (int i = 0; i < 10'000; ++i) {
    const EventTime time = after(seconds{20 * i});
    const double value = score(random) * (i > 6000 ? 2 : 1);
    whole.add(value, time, {});
    (i % 3 == 0 ? one : other).add(value, time, {});
  }
  const EventTime now = after(seconds{200'000});
  const auto expected = whole.look(now, {});
  ASSERT_TRUE(expected.drifted);
  for (auto [sum, part] : {std::pair{one, other}, std::pair{other, one}}) {
    sum += part;
    EXPECT_EQ(sum.look(now, {}).text(), expected.text());
    EXPECT_EQ(sum.look(now, {}).drifted, expected.drifted);
  }
  ScoreDrift begun;
  begun.add(1, now, {});
  ScoreDrift sum = whole;
  sum += begun;
  EXPECT_EQ(sum.look(now, {}).text(), expected.text()) << "a partition that has just begun";
  begun += whole;
  EXPECT_EQ(begun.look(now, {}).text(), expected.text());
  sum += ScoreDrift{};
  EXPECT_EQ(sum.look(now, {}).text(), expected.text());
}

TEST(ScoreDrift, KeepsTheHoldOverARestart) {
  const Fleet fleet{.shift = level_shift(days{2}, 2)};
  const auto found = Stream{fleet}.run(days{3});
  ASSERT_TRUE(found);
  Stream stream{fleet};
  ASSERT_FALSE(stream.run(*found - minutes{10}));
  StateWriter out;
  stream.drift.save(out);
  stream.drift = {};
  StateReader in{out.bytes()};
  ASSERT_TRUE(stream.drift.load(in));
  EXPECT_TRUE(in.at_end());
  EXPECT_EQ(stream.run(days{3}), found);
}

TEST(ScoreDrift, RefusesADamagedState) {
  Stream stream{{}};
  (void)stream.run(days{2});
  StateWriter out;
  stream.drift.save(out);
  for (std::size_t size = 0; size < out.bytes().size(); size += 97) {
    StateReader in{std::span{out.bytes()}.first(size)};
    ScoreDrift drift;
    EXPECT_FALSE(drift.load(in));
  }
  std::vector<std::byte> bytes = out.bytes();
  bytes[0] ^= std::byte{1};  // the length of a slot: other slots, no other sums
  bytes[7] = std::byte{0xFF};
  StateReader in{bytes};
  ScoreDrift drift;
  EXPECT_FALSE(drift.load(in)) << "a negative length";
}

TEST(ScoreDrift, BeginsAnewWhenTheCycleIsAnother) {
  Stream stream{{}};
  (void)stream.run(days{2});
  ASSERT_TRUE(stream.look().ready);
  stream.options.cycle = hours{1};
  (void)stream.run(days{2} + minutes{30});
  EXPECT_FALSE(stream.look().ready);
  (void)stream.run(days{3});
  EXPECT_TRUE(stream.look().ready);
}

TEST(ScoreDrift, TakesScoresOfAnySize) {
  ScoreDrift drift;
  for (int h = 0; h < 60; ++h) {
    for (const double score : {0.0, -1.0, 1e-300, 1e300, static_cast<double>(INFINITY)}) {
      drift.add(score, after(hours{h}), {});
    }
  }
  EXPECT_FALSE(drift.look(after(hours{60}), {}).drifted);
}

TEST(InWords, TakesTheTwoLargestUnits) {
  EXPECT_EQ(in_words(seconds{0}), "0 s");
  EXPECT_EQ(in_words(seconds{45}), "45 s");
  EXPECT_EQ(in_words(seconds{61}), "1 min 1 s");
  EXPECT_EQ(in_words(hours{1}), "1 h");
  EXPECT_EQ(in_words(minutes{72}), "1 h 12 min");
  EXPECT_EQ(in_words(days{3} + hours{4} + minutes{5}), "3 d 4 h");
}

}  // namespace
}  // namespace anomalyd::pipeline
