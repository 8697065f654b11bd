#include "daemon/pipeline/data_faults.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace anomalyd::pipeline {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

EventTime at(int second) { return EventTime{seconds{second}}; }

class DataFaultsTest : public ::testing::Test {
 protected:
  DataFaultsTest() {
    std::vector<double> lively;
    for (int i = 0; i < 200; ++i) lively.push_back(i % 2);
    faults_ = DataFaults{lively, 1, options_};
  }
  void row(double value, bool restart = false) {
    const double values[] = {value};
    const Channel channels[] = {{"flow", "l/s"}};
    const Windower::Row row{at(now_), 0, values, 0, restart, at(last_)};
    faults_.on_row(row, values, channels, options_, events_);
    last_ = now_++;
  }
  auto is(AlertType type, AlertState state) {
    return AllOf(Field(&DataFaults::Event::type, type), Field(&DataFaults::Event::state, state));
  }

  DataFaults::Options options_{.stuck_rows = 10, .absent_rows = 5, .skewed_samples = 3};
  DataFaults faults_;
  DataFaults::Events events_;
  int now_ = 1000;
  int last_ = 999;
};

TEST_F(DataFaultsTest, TellsOfAStuckSensorOnceAndOfItsEnd) {
  for (int i = 0; i < 30; ++i) row(4.2);
  EXPECT_THAT(events_, ElementsAre(is(AlertType::kStuckSensor, AlertState::kOpen)));
  row(4.3);
  ASSERT_THAT(events_, ElementsAre(is(AlertType::kStuckSensor, AlertState::kOpen),
                                   is(AlertType::kStuckSensor, AlertState::kResolve)));
  EXPECT_EQ(events_[0].start, events_[1].start) << "one incident";
}

TEST_F(DataFaultsTest, LeavesAChannelAloneThatRestsByNature) {
  faults_ = DataFaults{std::vector<double>(200, 1.0), 1, options_};
  for (int i = 0; i < 500; ++i) row(1.0);
  EXPECT_THAT(events_, IsEmpty());
}

TEST_F(DataFaultsTest, TellsOfAChannelThatIsGoneAndBack) {
  row(1);
  for (int i = 0; i < 8; ++i) row(NAN);
  row(2);
  EXPECT_THAT(events_, ElementsAre(is(AlertType::kChangedChannels, AlertState::kOpen),
                                   is(AlertType::kChangedChannels, AlertState::kResolve)));
}

TEST_F(DataFaultsTest, TellsOfAGapThatRestartsTheWindow) {
  row(1);
  now_ += 3600;
  row(2, true);
  ASSERT_THAT(events_, ElementsAre(is(AlertType::kGap, AlertState::kOpen),
                                   is(AlertType::kGap, AlertState::kResolve)));
  EXPECT_THAT(events_[0].detail, ::testing::HasSubstr("3601 s"));
}

TEST_F(DataFaultsTest, TellsOfAClockThatWasSetBack) {
  for (int i = 0; i < 5; ++i) faults_.on_late(at(900), at(1000), options_, events_);
  EXPECT_THAT(events_, ElementsAre(is(AlertType::kClockSkew, AlertState::kOpen)));
  row(1);
  EXPECT_EQ(events_.back().state, AlertState::kResolve);
}

TEST_F(DataFaultsTest, TellsOfSilenceAgainstTheWatermarkAndOfItsEnd) {
  Windower windower;
  Windower::Options window{.period = seconds{1}};
  const double value[] = {1.0};
  for (int i = 0; i < 3; ++i)
    (void)windower.add({"s", at(i), i, value}, window, [](const auto&) {});
  faults_.on_watermark(at(600), windower, options_, events_);
  EXPECT_THAT(events_, IsEmpty());
  faults_.on_watermark(at(1200), windower, options_, events_);
  faults_.on_watermark(at(1300), windower, options_, events_);
  EXPECT_THAT(events_, ElementsAre(is(AlertType::kSilentSeries, AlertState::kOpen)));
  row(1, true);
  EXPECT_THAT(events_, ElementsAre(is(AlertType::kSilentSeries, AlertState::kOpen),
                                   is(AlertType::kSilentSeries, AlertState::kResolve)));
}

TEST_F(DataFaultsTest, SaysNothingWhenSwitchedOff) {
  options_.enabled = false;
  for (int i = 0; i < 50; ++i) row(4.2);
  EXPECT_THAT(events_, IsEmpty());
}

}  // namespace
}  // namespace anomalyd::pipeline
