#include "tools/contamination.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace anomalyd::tools {
namespace {

constexpr std::size_t kRows = 2000;
constexpr std::size_t kTrainEnd = 1000;

/// Three channels: a wave, a constant, and another wave with a gap.
SeriesRows waves() {
  SeriesRows rows;
  rows.channels = {{"a", ""}, {"still", ""}, {"b", ""}};
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto at = static_cast<double>(i);
    rows.times.push_back(EventTime{std::chrono::seconds{static_cast<int>(i)}});
    rows.values.push_back(std::sin(0.1 * at));
    rows.values.push_back(3);
    rows.values.push_back(i < 100 ? std::numeric_limits<double>::quiet_NaN() : std::cos(0.3 * at));
  }
  return rows;
}

std::vector<std::size_t> changed_rows(const SeriesRows& before, const SeriesRows& after) {
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const double x = before.row(i)[c];
      const double y = after.row(i)[c];
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      changed.push_back(i);
      break;
    }
  }
  return changed;
}

TEST(Contaminate, SpoilsTheShareOfTheRowsBeforeTrainEnd) {
  SeriesRows rows = waves();
  EXPECT_EQ(contaminate(rows, "g/a", kTrainEnd, {.share = 0.05}), 50U);
  const auto changed = changed_rows(waves(), rows);
  EXPECT_LT(changed.back(), kTrainEnd);
  // The first row of a burst that stands still keeps its value, and so may one in a gap.
  EXPECT_LE(changed.size(), 50U);
  EXPECT_GE(changed.size(), 25U);
}

TEST(Contaminate, LeavesChannelsThatDoNotVaryAndMissingCellsAlone) {
  SeriesRows rows = waves();
  contaminate(rows, "g/a", kTrainEnd, {.share = 0.5});
  for (std::size_t i = 0; i < kRows; ++i) {
    EXPECT_EQ(rows.row(i)[1], 3);
    EXPECT_EQ(std::isnan(rows.row(i)[2]), i < 100);
  }
}

TEST(Contaminate, RepeatsItselfForTheSameSeedAndSeries) {
  const auto spoilt = [](std::string_view id, std::uint64_t seed) {
    SeriesRows rows = waves();
    contaminate(rows, id, kTrainEnd, {.share = 0.05, .seed = seed});
    return changed_rows(waves(), rows);
  };
  EXPECT_EQ(spoilt("g/a", 1), spoilt("g/a", 1));
  EXPECT_NE(spoilt("g/a", 1), spoilt("g/b", 1));
  EXPECT_NE(spoilt("g/a", 1), spoilt("g/a", 2));
}

TEST(Contaminate, DoesNothingForAShareOfZeroOrASeriesThatNeverVaries) {
  SeriesRows rows = waves();
  EXPECT_EQ(contaminate(rows, "g/a", kTrainEnd, {}), 0U);
  EXPECT_TRUE(changed_rows(waves(), rows).empty());

  for (double& value : rows.values) value = 3;
  EXPECT_EQ(contaminate(rows, "g/a", kTrainEnd, {.share = 0.05}), 0U);
}

TEST(Contaminate, SpoilsTheSeriesOfASetAsTheyAreRead) {
  LabelledSet set;
  set.read = [](const Dataset::Entry& entry) -> Result<LabelledSeries> {
    if (entry.entity == "gone") return fail(ErrorKind::kInvalid, "gone.csv: cannot be read");
    return LabelledSeries{waves(), {}};
  };
  set = contaminated(std::move(set), {.share = 0.05});
  Dataset::Entry entry;
  entry.train_end = kTrainEnd;
  EXPECT_FALSE(changed_rows(waves(), *set.read(entry)).empty());
  entry.entity = "gone";
  EXPECT_EQ(set.read(entry).error().message, "gone.csv: cannot be read");
}

TEST(Contaminate, SpoilsWhatThereIsRoomFor) {
  SeriesRows rows = waves();
  EXPECT_EQ(contaminate(rows, "g/a", 3, {.share = 0.5}), 2U) << "shorter than a burst";
}

}  // namespace
}  // namespace anomalyd::tools
