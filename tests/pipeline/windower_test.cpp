#include "daemon/pipeline/windower.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

namespace anomalyd::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Outcome = Windower::Outcome;

EventTime at(double second) {
  return EventTime{std::chrono::microseconds{static_cast<std::int64_t>(second * 1e6)}};
}

/// Feeds samples of one series and keeps what is released.
class WindowerTest : public ::testing::Test {
 protected:
  struct Kept {
    double second;
    std::vector<double> values;
    std::uint32_t missing_before;
    bool restart;
  };
  Outcome add(double second, std::vector<double> values = {1.0}) {
    return windower_.add({"s", at(second), offset_++, values}, options_, keep_);
  }
  void add_regular_rows(int n) {
    for (int i = 0; i < n; ++i) add(i);
  }
  std::vector<double> seconds_released() const {
    std::vector<double> all;
    for (const Kept& row : released_) all.push_back(row.second);
    return all;
  }

  Windower::Options options_;
  Windower windower_;
  std::vector<Kept> released_;
  Offset offset_ = 0;
  Windower::RowFn keep_ = [this](const Windower::Row& row) {
    released_.push_back({static_cast<double>(row.time.time_since_epoch().count()) / 1e6,
                         {row.values.begin(), row.values.end()},
                         row.missing_before,
                         row.restart});
  };
};

TEST_F(WindowerTest, ReleasesRowsInOrderAtOnce) {
  add(1);
  add(2);
  EXPECT_THAT(seconds_released(), ElementsAre(1, 2));
}

TEST_F(WindowerTest, DropsAndNamesDuplicatesAndLateSamples) {
  EXPECT_EQ(add(5), Outcome::kKept);
  EXPECT_EQ(add(5), Outcome::kDuplicate);
  EXPECT_EQ(add(4), Outcome::kLate);
  EXPECT_THAT(seconds_released(), ElementsAre(5));
}

TEST_F(WindowerTest, PutsALateRowInPlaceWithinTheGrace) {
  options_.grace = seconds{2};
  add(1);
  add(3);
  add(2);
  add(4);
  add(5);
  EXPECT_THAT(seconds_released(), ElementsAre(1, 2, 3));
  windower_.flush(options_, keep_);
  EXPECT_THAT(seconds_released(), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(add(2.5), Outcome::kLate) << "its place has been released";
}

TEST_F(WindowerTest, InfersThePeriodAsTheMedianStep) {
  for (int i = 0; i < 40; ++i) add(10 * i + (i % 7 == 0 ? 1.5 : 0));
  EXPECT_EQ(windower_.period(), seconds{10});
}

TEST_F(WindowerTest, TakesADeclaredPeriodAsItIs) {
  options_.period = milliseconds{2000};
  add(0);
  add(6);
  ASSERT_THAT(released_, SizeIs(2));
  EXPECT_EQ(released_[1].missing_before, 2u);
}

TEST_F(WindowerTest, AnnouncesAShortGapAsMissingRows) {
  add_regular_rows(40);
  add(43);
  EXPECT_EQ(released_.back().missing_before, 3u);
  EXPECT_FALSE(released_.back().restart);
}

TEST_F(WindowerTest, RestartsAfterAGapBeyondTheLimit) {
  options_.max_gap = 4;
  add_regular_rows(40);
  add(44);
  EXPECT_EQ(released_.back().missing_before, 4u);
  add(50);
  EXPECT_TRUE(released_.back().restart);
  EXPECT_EQ(released_.back().missing_before, 0u);
}

TEST_F(WindowerTest, ToleratesJitterOfLessThanHalfAPeriod) {
  add_regular_rows(40);
  add(40.4);
  add(41.3);
  EXPECT_EQ(released_[40].missing_before, 0u);
  EXPECT_EQ(released_[41].missing_before, 0u);
}

TEST_F(WindowerTest, TakesTheRowsOfAnIrregularSeriesOneAfterTheOther) {
  double second = 0;
  for (int i = 0; i < 60; ++i) add(second += i % 4 == 0 ? 7 : 1);
  EXPECT_EQ(windower_.period(), seconds{1});
  add(second += 500);
  EXPECT_FALSE(released_.back().restart);
  EXPECT_EQ(released_.back().missing_before, 0u);
}

TEST_F(WindowerTest, JoinsPartsOfOneTimeIntoARow) {
  options_.shape = Windower::RowShape::kPartial;
  add(1, {7, NAN});
  EXPECT_THAT(released_, IsEmpty());
  add(1, {NAN, 8});
  add(2, {9, NAN});
  ASSERT_THAT(released_, SizeIs(1));
  EXPECT_THAT(released_[0].values, ElementsAre(7, 8));
}

TEST_F(WindowerTest, ReleasesAPartialRowAsSoonAsItHasItsUsualCells) {
  options_.shape = Windower::RowShape::kPartial;
  add(1, {1, NAN});
  add(1, {NAN, 2});
  add(2, {3, NAN});
  add(2, {NAN, 4});
  EXPECT_THAT(seconds_released(), ElementsAre(1, 2)) << "the second row need not wait for a third";
}

TEST_F(WindowerTest, CountsARepeatedPartAsDuplicate) {
  options_.shape = Windower::RowShape::kPartial;
  add(1, {1, NAN});
  EXPECT_EQ(add(1, {5, NAN}), Outcome::kDuplicate);
  add(2, {3, NAN});
  EXPECT_EQ(released_.front().values[0], 1);
}

TEST_F(WindowerTest, GoesOnExactlyAfterARestart) {
  options_.grace = seconds{3};
  add_regular_rows(40);
  StateWriter out;
  windower_.save(out);
  Windower copy;
  StateReader in{out.bytes()};
  ASSERT_TRUE(copy.load(in));
  EXPECT_TRUE(in.at_end());

  const auto before = released_.size();
  windower_.flush(options_, keep_);
  const std::vector<Kept> expected(released_.begin() + static_cast<std::ptrdiff_t>(before),
                                   released_.end());
  released_.clear();
  copy.flush(options_, keep_);
  ASSERT_EQ(released_.size(), expected.size());
  EXPECT_EQ(released_.back().second, expected.back().second);
  EXPECT_EQ(copy.period(), windower_.period());
}

}  // namespace
}  // namespace anomalyd::pipeline
