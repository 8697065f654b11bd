#include "daemon/pipeline/injection.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "tests/support/histories.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::history_of;
using anomalyd::testing::wandering;

constexpr std::size_t kRows = 200;

class Injection : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<double> column(const History& rows, std::size_t channel,
                                           std::size_t first, std::size_t count) const {
    std::vector<double> values;
    for (std::size_t i = first; i < first + count; ++i) {
      values.push_back(rows.rows[i * rows.width + channel]);
    }
    return values;
  }
  [[nodiscard]] History with(const InjectedFault& fault) const {
    History faulty = rows_;
    inject(faulty, fault, scaler_);
    return faulty;
  }
  /// What the fault has changed: [count] of one channel.
  [[nodiscard]] std::vector<double> change(const InjectedFault& fault) const {
    const History faulty = with(fault);
    std::vector<double> before = column(rows_, fault.channel, fault.first, fault.count);
    const std::vector<double> after = column(faulty, fault.channel, fault.first, fault.count);
    for (std::size_t i = 0; i < before.size(); ++i) before[i] = after[i] - before[i];
    return before;
  }
  [[nodiscard]] double scale(std::size_t channel) const {
    return scaler_.restore(channel, 1) - scaler_.restore(channel, 0);
  }

  History rows_ = wandering("a", 0, kRows, 3, 1);
  Scaler scaler_ = Scaler::fit(rows_.rows, rows_.times, rows_.width, Scaler::Counters::kDetect);
};

TEST_F(Injection, ChangesNothingButItsRowsAndChannels) {
  for (const FaultType type : kFaultTypes) {
    const InjectedFault fault{type, 50, 20, 1, 2, 3, 100, 7};
    const History faulty = with(fault);
    std::set<std::size_t> changed;
    for (std::size_t i = 0; i < faulty.rows.size(); ++i) {
      if (faulty.rows[i] == rows_.rows[i]) continue;
      changed.insert(i % 3);
      EXPECT_GE(i / 3, 50U) << to_string(type);
      EXPECT_LT(i / 3, 70U) << to_string(type);
    }
    const bool swaps = type == FaultType::kSwappedChannels;
    EXPECT_EQ(changed, swaps ? (std::set<std::size_t>{1, 2}) : (std::set<std::size_t>{1}))
        << to_string(type);
  }
}

TEST_F(Injection, OfALevelAddsItsSizeInScalesOfTheChannel) {
  EXPECT_THAT(change({FaultType::kLevel, 50, 4, 1, 0, -2}),
              ::testing::Each(::testing::DoubleNear(-2 * scale(1), 1e-9)));
}

TEST_F(Injection, OfADriftGrowsToItsSize) {
  const auto added = change({FaultType::kDrift, 50, 10, 0, 0, 5});
  EXPECT_NEAR(added.front(), 0.5 * scale(0), 1e-9);
  EXPECT_NEAR(added.back(), 5 * scale(0), 1e-9);
  EXPECT_TRUE(std::ranges::is_sorted(added));
}

TEST_F(Injection, OfAStuckChannelKeepsTheLastValue) {
  const History faulty = with({FaultType::kStuck, 50, 10, 2});
  EXPECT_THAT(column(faulty, 2, 50, 10), ::testing::Each(column(rows_, 2, 49, 1)[0]));
}

TEST_F(Injection, OfNoiseHasItsDeviationAndRepeats) {
  const InjectedFault fault{FaultType::kNoise, 2, 190, 0, 0, 2, 0, 5};
  const auto added = change(fault);
  double squares = 0;
  for (const double value : added) squares += value * value;
  EXPECT_NEAR(std::sqrt(squares / 190) / scale(0), 2, 0.3);
  EXPECT_EQ(with(fault).rows, with(fault).rows);
}

TEST_F(Injection, OfSwappedChannelsGivesEachTheCourseOfTheOther) {
  const History faulty = with({FaultType::kSwappedChannels, 50, 5, 0, 2});
  for (std::size_t i = 50; i < 55; ++i) {
    const double z0 = (faulty.rows[i * 3] - scaler_.restore(0, 0)) / scale(0);
    const double z2 = (rows_.rows[i * 3 + 2] - scaler_.restore(2, 0)) / scale(2);
    EXPECT_NEAR(z0, z2, 1e-9);
  }
}

TEST_F(Injection, OfABrokenCouplingTakesTheChannelsOwnRowsOfAnotherTime) {
  const History faulty = with({FaultType::kBrokenCoupling, 50, 10, 1, 0, 0, 120});
  EXPECT_EQ(column(faulty, 1, 50, 10), column(rows_, 1, 120, 10));
}

TEST_F(Injection, LeavesMissingCellsMissing) {
  rows_.rows[55 * 3 + 1] = NAN;
  for (const FaultType type : kFaultTypes) {
    const History faulty = with({type, 50, 10, 1, 2, 3, 100});
    EXPECT_TRUE(std::isnan(faulty.rows[55 * 3 + 1])) << to_string(type);
    EXPECT_FALSE(std::isnan(faulty.rows[55 * 3 + 2])) << to_string(type);
  }
}

TEST(InjectionIntoCounters, ChangesTheRateAndKeepsWhatWasAdded) {
  double total = 1000;
  std::mt19937 random{3};
  const History rows = history_of("a", 0, 300, [&](std::size_t) {
    total += 60 + static_cast<double>(random() % 30);
    return std::vector<double>{total};
  });
  const Scaler scaler = Scaler::fit(rows.rows, rows.times, 1, Scaler::Counters::kDetect);
  ASSERT_TRUE(scaler.is_counter(0));
  const double per_row = 60 * (scaler.restore(0, 1) - scaler.restore(0, 0));  // a minute apart
  History faulty = rows;
  inject(faulty, {FaultType::kLevel, 100, 10, 0, 0, 2}, scaler);
  EXPECT_EQ(faulty.rows[99], rows.rows[99]);
  EXPECT_NEAR(faulty.rows[100] - rows.rows[100], 2 * per_row, 1e-6);
  EXPECT_NEAR(faulty.rows[109] - rows.rows[109], 20 * per_row, 1e-6);
  EXPECT_NEAR(faulty.rows[250] - rows.rows[250], 20 * per_row, 1e-6);
  faulty = rows;
  inject(faulty, {FaultType::kStuck, 100, 10, 0}, scaler);
  EXPECT_EQ(faulty.rows[109], rows.rows[99]);
  EXPECT_TRUE(std::ranges::is_sorted(faulty.rows));
}

TEST_F(Injection, DrawsFaultsThatFitTheRows) {
  for (const FaultType type : kFaultTypes) {
    std::set<double> sizes;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const auto fault = draw_fault(type, rows_, scaler_, 40, kRows, seed);
      ASSERT_TRUE(fault) << to_string(type);
      EXPECT_EQ(fault->type, type);
      EXPECT_EQ(fault->first, 40U);
      EXPECT_LE(fault->end(), kRows);
      EXPECT_LT(fault->channel, 3U);
      if (type == FaultType::kSwappedChannels) {
        EXPECT_NE(fault->channel, fault->other);
      }
      if (type == FaultType::kBrokenCoupling) {
        EXPECT_GE(fault->source, 1U);
        EXPECT_LE(fault->source + fault->count, kRows);
        EXPECT_TRUE(fault->source >= fault->end() || fault->source + fault->count <= fault->first);
      }
      sizes.insert(fault->size);
      History faulty = rows_;
      inject(faulty, *fault, scaler_);
      EXPECT_NE(faulty.rows, rows_.rows) << to_string(type) << ' ' << seed;
    }
    const bool has_size = type != FaultType::kStuck && !needs_two_channels(type);
    EXPECT_EQ(sizes.size(), has_size ? 50U : 1U) << to_string(type);
  }
}

TEST(DrawFault, KnowsWhereThereIsNone) {
  const History one = wandering("a", 0, 100, 1, 1);
  const Scaler scaler = Scaler::fit(one.rows, one.times, 1, Scaler::Counters::kIgnore);
  EXPECT_FALSE(draw_fault(FaultType::kSwappedChannels, one, scaler, 40, 100, 1));
  EXPECT_FALSE(draw_fault(FaultType::kBrokenCoupling, one, scaler, 40, 100, 1));
  EXPECT_TRUE(draw_fault(FaultType::kSpike, one, scaler, 40, 100, 1));
  EXPECT_FALSE(draw_fault(FaultType::kLevel, one, scaler, 95, 100, 1)) << "too few rows";
  EXPECT_FALSE(draw_fault(FaultType::kSpike, one, scaler, 0, 100, 1)) << "nothing before it";

  const History still = history_of("a", 0, 100, [](std::size_t) { return std::vector{5.0, 6.0}; });
  const Scaler of_still = Scaler::fit(still.rows, still.times, 2, Scaler::Counters::kIgnore);
  for (const FaultType type : kFaultTypes) {
    EXPECT_FALSE(draw_fault(type, still, of_still, 40, 100, 1)) << to_string(type);
  }
  History gap = one;
  gap.gaps[50] = History::kRestart;
  EXPECT_FALSE(draw_fault(FaultType::kSpike, gap, scaler, 40, 100, 1));
}

}  // namespace
}  // namespace anomalyd::pipeline
