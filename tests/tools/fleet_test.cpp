#include "tools/fleet.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>
#include <span>
#include <vector>

namespace anomalyd::tools {
namespace {

using std::chrono::hours;
using ::testing::Each;
using ::testing::Field;
using ::testing::Ge;
using ::testing::SizeIs;

Fleet::Options small_fleet() {
  return {.machines = 4, .span = hours{24 * 4}, .clean = hours{24 * 2}, .seed = 3};
}

std::vector<Fleet::Row> all_rows(Fleet fleet) {
  std::vector<Fleet::Row> rows;
  while (const auto row = fleet.next()) rows.push_back(*row);
  return rows;
}

/// Compares bit by bit, so that NaN equals itself.
bool same(const Fleet::Row& a, const Fleet::Row& b) {
  return a.machine == b.machine && a.time == b.time &&
         // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): bits are what is compared
         std::memcmp(a.values.data(), b.values.data(), sizeof a.values) == 0;
}

TEST(Fleet, RepeatsItselfForTheSameSeedOnly) {
  const auto first = all_rows(Fleet{small_fleet()});
  const auto again = all_rows(Fleet{small_fleet()});
  EXPECT_TRUE(std::ranges::equal(first, again, same));
  auto options = small_fleet();
  options.seed = 4;
  EXPECT_FALSE(std::ranges::equal(first, all_rows(Fleet{options}), same));
}

TEST(Fleet, StreamsAllMachinesInTimeOrder) {
  const auto rows = all_rows(Fleet{small_fleet()});
  EXPECT_TRUE(std::ranges::is_sorted(rows, {}, [](const auto& row) {
    return std::pair{row.time, row.machine};
  }));
  EXPECT_NEAR(static_cast<double>(rows.size()), 4 * 4 * 1440, 40) << "few rows are lost";
}

TEST(Fleet, InjectsEveryKindOfFaultAfterTheCleanTime) {
  const Fleet fleet{small_fleet()};
  EXPECT_THAT(fleet.faults(), SizeIs(14));
  EXPECT_THAT(fleet.faults(),
              Each(Field(&Fault::start, Ge(small_fleet().start + small_fleet().clean))));
  std::set<std::string> kinds;
  for (const Fault& fault : fleet.faults()) kinds.insert(fault.kind);
  EXPECT_THAT(kinds, SizeIs(7));
}

TEST(Fleet, FaultsOfOneMachineNeverOverlap) {
  auto options = small_fleet();
  options.faults = 40;
  const Fleet fleet{options};
  for (const Fault& a : fleet.faults()) {
    for (const Fault& b : fleet.faults()) {
      if (&a == &b || a.series != b.series) continue;
      EXPECT_TRUE(a.end < b.start || b.end < a.start);
    }
  }
}

TEST(Fleet, ChangesOnlyTheFaultyChannelOfTheFaultyMachine) {
  auto options = small_fleet();
  options.missing = options.lost_rows = 0;
  options.faults = 0;
  const Fleet::Options clean = options;
  const double day = 1440 * 4;
  const auto rows = all_rows(Fleet{clean});
  EXPECT_EQ(static_cast<double>(rows.size()), 4 * day);

  options.faults = 2;  // a spike and a level shift
  Fleet fleet{options};
  for (const Fault& fault : fleet.faults()) EXPECT_THAT(fault.channels, SizeIs(1));
  const auto is_faulty = [&](const Fleet::Row& row) {
    return std::ranges::any_of(fleet.faults(), [&](const Fault& fault) {
      return fault.series == fleet.name(row.machine) && row.time >= fault.start &&
             row.time <= fault.end;
    });
  };
  const auto faulty = all_rows(Fleet{options});
  const auto num_faulty = std::ranges::count_if(faulty, is_faulty);
  EXPECT_EQ(num_faulty, 3 + 60);
}

TEST(Fleet, SensorsFollowTheLoadTogether) {
  auto options = small_fleet();
  options.machines = 1;
  options.faults = 0;
  options.missing = 0;
  double sum_x = 0, sum_y = 0, sum_xx = 0, sum_yy = 0, sum_xy = 0, n = 0;
  for (const auto& row : all_rows(Fleet{options})) {
    const double x = row.values[0];  // requests
    const double y = row.values[1];  // cpu
    sum_x += x, sum_y += y, sum_xx += x * x, sum_yy += y * y, sum_xy += x * y, ++n;
  }
  const double correlation = (n * sum_xy - sum_x * sum_y) /
                             std::sqrt((n * sum_xx - sum_x * sum_x) * (n * sum_yy - sum_y * sum_y));
  EXPECT_GT(correlation, 0.97);
}

TEST(Fleet, AnswersToTheLoadInWaysOfItsMachinesOnly) {
  auto options = small_fleet();
  options.missing = options.lost_rows = 0;
  options.faults = 0;
  const auto alike = all_rows(Fleet{options});
  options.diversity = 0.2;
  const auto diverse = all_rows(Fleet{options});
  ASSERT_EQ(alike.size(), diverse.size());
  const auto gain = [&](std::size_t i, std::size_t channel) {
    return diverse[i].values[channel] / alike[i].values[channel];
  };
  EXPECT_NEAR(gain(0, 0), gain(400, 0), 1e-3) << "of one machine always the same";
  EXPECT_GT(std::abs(gain(0, 0) - gain(1, 0)), 0.01) << "of another machine another one";
}

/// What the change has added to each channel of each row of a fleet without faults.
std::vector<std::array<double, Fleet::kNumChannels>> changes_of(Fleet::Options options) {
  options.missing = options.lost_rows = 0;
  options.faults = 0;
  const auto changed = all_rows(Fleet{options});
  options.change.reset();
  const auto before = all_rows(Fleet{options});
  std::vector<std::array<double, Fleet::kNumChannels>> changes(changed.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    for (std::size_t c = 0; c < Fleet::kNumChannels; ++c) {
      changes[i][c] = changed[i].values[c] - before[i].values[c];
    }
  }
  return changes;
}

TEST(Fleet, ChangesForGoodFromOneRowToTheNext) {
  constexpr std::size_t kCpu = 1, kLatency = 4;
  constexpr std::size_t kBegin = 4UL * 1440 * 3;  // in rows of four machines
  auto options = small_fleet();
  options.change = hours{24 * 3};
  const auto changes = changes_of(options);
  const std::array<double, Fleet::kNumChannels> none{};
  EXPECT_THAT(std::span{changes}.first(kBegin), Each(none));
  for (const auto& change : std::span{changes}.subspan(kBegin)) {
    ASSERT_NEAR(change[kCpu], 12, 1e-9);
    ASSERT_NEAR(change[kLatency], -8, 1e-9);
    ASSERT_EQ(change[0], 0) << "requests stay as they are";
  }
}

TEST(Fleet, ChangesSlowlyIfAsked) {
  constexpr std::size_t kCpu = 1;
  auto options = small_fleet();
  options.change = hours{24 * 2};
  options.change_takes = hours{24};
  const auto changes = changes_of(options);
  const auto cpu_at = [&](std::size_t hour) { return changes[hour * 60 * 4][kCpu]; };
  EXPECT_EQ(cpu_at(48), 0);
  EXPECT_NEAR(cpu_at(54), 3, 0.001);
  EXPECT_NEAR(cpu_at(60), 6, 0.001);
  EXPECT_NEAR(cpu_at(72), 12, 0.001);
  EXPECT_NEAR(cpu_at(95), 12, 0.001);
}

TEST(Fleet, HasTheSameFaultsWithAndWithoutAChange) {
  auto options = small_fleet();
  const Fleet as_ever{options};
  options.change = hours{24 * 3};
  EXPECT_EQ(Fleet{options}.faults(), as_ever.faults()) << "it is none itself";
}

TEST(Fleet, KeepsAStuckSensorWhereItIsWhileTheOthersChange) {
  auto options = small_fleet();
  options.missing = options.lost_rows = 0;
  options.change = options.clean;
  options.change_takes = options.span - options.clean;
  Fleet fleet{options};
  const auto stuck = std::ranges::find(fleet.faults(), "stuck", &Fault::kind);
  ASSERT_NE(stuck, fleet.faults().end());
  const auto channel = static_cast<std::size_t>(
      std::ranges::find(Fleet::channels(), stuck->channels.front(), &Channel::name) -
      Fleet::channels().begin());
  std::set<double> values;
  for (const auto& row : all_rows(Fleet{options})) {
    const bool faulty = fleet.name(row.machine) == stuck->series && stuck->start <= row.time &&
                        row.time <= stuck->end;
    if (faulty) values.insert(row.values[channel]);
  }
  EXPECT_THAT(values, SizeIs(1));
}

TEST(Fleet, LosesAboutAsManyCellsAsAsked) {
  auto options = small_fleet();
  options.missing = 0.01;
  const auto rows = all_rows(Fleet{options});
  double missing = 0;
  for (const auto& row : rows) {
    missing += static_cast<double>(
        std::ranges::count_if(row.values, [](double v) { return std::isnan(v); }));
  }
  const double share = missing / static_cast<double>(rows.size() * Fleet::kNumChannels);
  EXPECT_NEAR(share, 0.01, 0.002);
}

}  // namespace
}  // namespace anomalyd::tools
