#include "daemon/pipeline/normal_rows.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

namespace anomalyd::pipeline {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr std::uint32_t kRestart = History::kRestart;

EventTime at(std::int64_t second) { return EventTime{std::chrono::seconds{second}}; }

/// Rows of the seconds [begin, end), of two channels, all normal and without gaps.
JudgedRows chunk(std::int64_t begin, std::int64_t end, RowMark mark = RowMark::kNormal) {
  JudgedRows rows;
  rows.channels = {{"load", "%"}, {"heat", "C"}};
  rows.history.series = "m0";
  rows.history.width = 2;
  for (std::int64_t t = begin; t < end; ++t) {
    rows.history.times.push_back(t * 1'000'000);
    rows.history.offsets.push_back(1000 + t);
    rows.history.gaps.push_back(0);
    rows.history.rows.insert(rows.history.rows.end(), {static_cast<double>(t), -1.0});
    rows.marks.push_back(mark);
  }
  return rows;
}

/// Options without padding or gaps: what is left out is a restart.
NormalRowsOptions plain() { return {.padding = 0, .max_gap = 0}; }

NormalRows sorted_out(std::vector<JudgedRows> chunks, NormalRowsOptions options = plain(),
                      std::vector<Label> labels = {}, std::vector<RowInterval> excluded = {}) {
  NormalRows result = normal_rows(chunks, labels, excluded, options);
  std::size_t left_out = 0;
  for (const std::size_t n : result.left_out) left_out += n;
  EXPECT_EQ(result.history.size() + left_out, result.seen) << "every row is accounted for";
  EXPECT_EQ(result.history.rows.size(), result.history.size() * result.history.width);
  EXPECT_THAT(result.history.offsets, SizeIs(result.history.size()));
  EXPECT_THAT(result.history.gaps, SizeIs(result.history.size()));
  return result;
}

std::vector<std::int64_t> seconds_of(const History& history) {
  std::vector<std::int64_t> all;
  for (const std::int64_t time : history.times) all.push_back(time / 1'000'000);
  return all;
}

std::vector<std::int64_t> seconds_from(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> all;
  for (std::int64_t t = begin; t < end; ++t) all.push_back(t);
  return all;
}

TEST(NormalRows, TakesNormalRowsAsTheyAre) {
  const JudgedRows rows = chunk(100, 120);
  const NormalRows result = sorted_out({rows});
  EXPECT_EQ(result.history.series, "m0");
  EXPECT_EQ(result.history.times, rows.history.times);
  EXPECT_EQ(result.history.offsets, rows.history.offsets);
  EXPECT_EQ(result.history.rows, rows.history.rows);
  EXPECT_EQ(result.history.gaps.front(), kRestart) << "nothing is known of what was before";
  EXPECT_EQ(result.history.gaps[1], 0U);
  EXPECT_THAT(result.left_out, Each(0U));
}

TEST(NormalRows, KnowTheTimeBetweenThemWithoutAWindowerToo) {
  EXPECT_EQ(sorted_out({chunk(0, 400)}).history.windower.period(), std::chrono::seconds{1});
}

TEST(NormalRows, AreNoneWithoutChunks) {
  EXPECT_EQ(sorted_out({}).history.size(), 0U);
  EXPECT_EQ(sorted_out({chunk(0, 0)}).history.size(), 0U);
}

TEST(NormalRows, LeavesOutEveryMarkButNormalAndCountsIt) {
  JudgedRows rows = chunk(0, 8);
  rows.marks[1] = RowMark::kUnready;
  rows.marks[3] = RowMark::kDataFault;
  rows.marks[4] = RowMark::kDataFault;
  rows.marks[5] = RowMark::kSuspicious;
  rows.marks[7] = RowMark::kIncident;
  const NormalRows result = sorted_out({rows});
  EXPECT_THAT(seconds_of(result.history), ElementsAre(0, 2, 6));
  EXPECT_THAT(result.history.gaps, Each(kRestart));
  EXPECT_EQ(result.count(LeftOut::kUnready), 1U);
  EXPECT_EQ(result.count(LeftOut::kDataFault), 2U);
  EXPECT_EQ(result.count(LeftOut::kSuspicious), 1U);
  EXPECT_EQ(result.count(LeftOut::kIncident), 1U);
}

TEST(NormalRows, MakesAGapOfFewRowsAndARestartOfMany) {
  JudgedRows rows = chunk(0, 20);
  for (const std::size_t i : {3U, 4U}) rows.marks[i] = RowMark::kSuspicious;
  for (const std::size_t i : {8U, 9U, 10U}) rows.marks[i] = RowMark::kSuspicious;
  rows.marks[15] = RowMark::kSuspicious;
  rows.history.gaps[16] = 1;  // with the row left out before it: two
  rows.marks[18] = RowMark::kSuspicious;
  rows.history.gaps[19] = 2;  // three: too many
  const History history = sorted_out({rows}, {.padding = 0, .max_gap = 2}).history;
  EXPECT_THAT(seconds_of(history), ElementsAre(0, 1, 2, 5, 6, 7, 11, 12, 13, 14, 16, 17, 19));
  EXPECT_THAT(history.gaps,
              ElementsAre(kRestart, 0, 0, 2, 0, 0, kRestart, 0, 0, 0, 2, 0, kRestart));
}

TEST(NormalRows, KeepsARestartOfTheRowsLeftOut) {
  JudgedRows rows = chunk(0, 6);
  rows.history.gaps[2] = kRestart;
  rows.marks[2] = RowMark::kSuspicious;
  const History history = sorted_out({rows}, {.padding = 0, .max_gap = 16}).history;
  EXPECT_THAT(history.gaps, ElementsAre(kRestart, 0, kRestart, 0, 0));
}

TEST(NormalRows, LeavesOutRowsNearAnIncident) {
  JudgedRows rows = chunk(0, 30);
  rows.marks[10] = rows.marks[11] = RowMark::kIncident;
  const NormalRows result = sorted_out({rows}, {.padding = 4, .max_gap = 2});
  EXPECT_EQ(result.count(LeftOut::kIncident), 2U);
  EXPECT_EQ(result.count(LeftOut::kNearIncident), 8U);
  std::vector<std::int64_t> expected = seconds_from(0, 6);
  for (std::int64_t t = 16; t < 30; ++t) expected.push_back(t);
  EXPECT_EQ(seconds_of(result.history), expected);
  EXPECT_EQ(result.history.gaps[6], kRestart) << "no window spans the incident";
}

TEST(NormalRows, CountsMissingRowsAsNearAndEndsAtARestart) {
  JudgedRows rows = chunk(0, 12);
  rows.marks[4] = RowMark::kIncident;
  rows.history.gaps[3] = kRestart;
  rows.history.gaps[6] = 2;
  const NormalRows result = sorted_out({rows}, {.padding = 4, .max_gap = 0});
  EXPECT_THAT(seconds_of(result.history), ElementsAre(0, 1, 2, 7, 8, 9, 10, 11));
}

TEST(NormalRows, LeavesOutRowsNearAnIncidentByTimeAcrossARestart) {
  JudgedRows rows = chunk(0, 10);
  rows.marks[4] = RowMark::kIncident;
  rows.history.gaps[4] = rows.history.gaps[5] = kRestart;
  NormalRowsOptions options = plain();
  options.padding_time = std::chrono::seconds{2};
  EXPECT_THAT(seconds_of(sorted_out({rows}, options).history), ElementsAre(0, 1, 7, 8, 9));
}

TEST(NormalRows, KeepsTheMarkOfARowNearAnIncident) {
  JudgedRows rows = chunk(0, 10);
  rows.marks[4] = RowMark::kIncident;
  rows.marks[5] = RowMark::kSuspicious;
  const NormalRows result = sorted_out({rows}, {.padding = 2, .max_gap = 0});
  EXPECT_EQ(result.count(LeftOut::kSuspicious), 1U);
  EXPECT_EQ(result.count(LeftOut::kNearIncident), 3U);
}

TEST(NormalRows, LetsABenignIncidentInWithWhatIsNearIt) {
  JudgedRows rows = chunk(0, 30);
  for (const std::size_t i : {10U, 11U}) rows.marks[i] = RowMark::kIncident;
  rows.marks[9] = RowMark::kSuspicious;
  const std::vector<Label> labels{{"m0", at(9), at(11), "benign: backup"}};
  const NormalRows result = sorted_out({rows}, {.padding = 4, .max_gap = 2}, labels);
  EXPECT_EQ(result.history.size(), 30U);
  EXPECT_THAT(result.left_out, Each(0U));
}

TEST(NormalRows, LeavesBenignRowsOutWhereTheDataWereFaulty) {
  JudgedRows rows = chunk(0, 4);
  rows.marks[1] = RowMark::kDataFault;
  const NormalRows result =
      sorted_out({rows}, plain(), {{"", at(0), at(3), "benign: maintenance"}});
  EXPECT_EQ(result.count(LeftOut::kDataFault), 1U);
}

TEST(NormalRows, LeavesOutWhatAPersonCallsAFaultAndWhatIsNearIt) {
  const NormalRows result = sorted_out({chunk(0, 20)}, {.padding = 2, .max_gap = 0},
                                       {{"m0", at(5), at(7), "fault: pump"}});
  EXPECT_EQ(result.count(LeftOut::kFault), 3U);
  EXPECT_EQ(result.count(LeftOut::kNearIncident), 4U);
}

TEST(NormalRows, LetsNamedFaultsInWhereTheyAreLearnedButNothingNearAnother) {
  JudgedRows rows = chunk(0, 30);
  for (std::size_t i = 5; i < 9; ++i) rows.marks[i] = RowMark::kIncident;
  rows.marks[20] = RowMark::kIncident;
  rows.marks[6] = RowMark::kDataFault;
  const NormalRows result = sorted_out({rows}, {.padding = 2, .max_gap = 0, .with_faults = true},
                                       {{"m0", at(5), at(8), "fault: pump"}});
  EXPECT_EQ(result.count(LeftOut::kFault), 0U);
  EXPECT_EQ(result.count(LeftOut::kIncident), 1U);
  EXPECT_EQ(result.count(LeftOut::kDataFault), 1U);
  EXPECT_EQ(result.count(LeftOut::kNearIncident), 4U);
}

TEST(NormalRows, BelievesTheLastOfSeveralLabels) {
  const Label fault{"", at(5), at(7), "fault: pump"};
  const Label benign{"", at(6), at(9), "benign: test run"};
  EXPECT_THAT(seconds_of(sorted_out({chunk(4, 11)}, plain(), {fault, benign}).history),
              ElementsAre(4, 6, 7, 8, 9, 10));
  EXPECT_THAT(seconds_of(sorted_out({chunk(4, 11)}, plain(), {benign, fault}).history),
              ElementsAre(4, 8, 9, 10));
}

TEST(NormalRows, IgnoresLabelsOfOtherSeries) {
  const NormalRows result = sorted_out(
      {chunk(0, 9)}, plain(), {{"m1", at(0), at(9), "fault: pump"}}, {{"m1", at(0), at(9)}});
  EXPECT_EQ(result.history.size(), 9U);
}

TEST(NormalRows, LeavesOutExcludedRowsEvenIfBenign) {
  const NormalRows result =
      sorted_out({chunk(0, 9)}, plain(), {{"", at(0), at(9), "benign: x"}}, {{"", at(2), at(4)}});
  EXPECT_EQ(result.count(LeftOut::kExcluded), 3U);
  EXPECT_THAT(seconds_of(result.history), ElementsAre(0, 1, 5, 6, 7, 8));
}

TEST(NormalRows, JoinsChunksThatFollowOnEachOtherInAnyOrder) {
  const History history = sorted_out({chunk(20, 30), chunk(0, 10), chunk(10, 20)}).history;
  EXPECT_EQ(seconds_of(history), seconds_from(0, 30));
  EXPECT_EQ(history.gaps.front(), kRestart);
  EXPECT_THAT(std::vector(history.gaps.begin() + 1, history.gaps.end()), Each(0U));
}

TEST(NormalRows, TakesOverlappingRowsOnce) {
  const NormalRows result = sorted_out({chunk(0, 20), chunk(10, 30), chunk(0, 20)});
  EXPECT_EQ(seconds_of(result.history), seconds_from(0, 30));
  EXPECT_EQ(result.seen, 30U);
  EXPECT_THAT(std::vector(result.history.gaps.begin() + 1, result.history.gaps.end()), Each(0U));
}

TEST(NormalRows, IgnoresTheRestartOfRowsThatWereReadAgain) {
  JudgedRows again = chunk(10, 30);
  again.history.gaps.front() = kRestart;
  const History history = sorted_out({chunk(0, 20), again}).history;
  EXPECT_THAT(std::vector(history.gaps.begin() + 1, history.gaps.end()), Each(0U));
}

TEST(NormalRows, BelievesTheGravestOfTwoMarksButAnUnreadyOneLeast) {
  JudgedRows first = chunk(0, 3), second = chunk(0, 3);
  first.marks = {RowMark::kUnready, RowMark::kNormal, RowMark::kUnready};
  second.marks = {RowMark::kNormal, RowMark::kIncident, RowMark::kUnready};
  const NormalRows result = sorted_out({first, second});
  EXPECT_THAT(seconds_of(result.history), ElementsAre(0));
  EXPECT_EQ(result.count(LeftOut::kIncident), 1U);
  EXPECT_EQ(result.count(LeftOut::kUnready), 1U);
}

TEST(NormalRows, RestartsBetweenChunksFarApart) {
  const History history = sorted_out({chunk(0, 10), chunk(14, 20), chunk(21, 25)}).history;
  EXPECT_EQ(history.gaps[10], kRestart) << "four rows are missing that no gap tells of";
  EXPECT_EQ(history.gaps[16], 0U) << "a step of two is within what is usual";
}

TEST(NormalRows, BelievesAGapBetweenChunks) {
  JudgedRows later = chunk(14, 20);
  later.history.gaps.front() = 4;
  NormalRowsOptions options = plain();
  options.max_gap = 16;
  EXPECT_EQ(sorted_out({chunk(0, 10), later}, options).history.gaps[10], 4U);
}

TEST(NormalRows, TakesTheNewestHalfWholeAndTheRestFromAllOlderTimes) {
  NormalRowsOptions options = plain();
  options.rows = 400;
  options.stretch = 50;
  const NormalRows result = sorted_out({chunk(0, 10'000)}, options);
  const std::vector<std::int64_t> seconds = seconds_of(result.history);
  ASSERT_THAT(seconds, SizeIs(400));
  EXPECT_EQ(std::vector(seconds.begin() + 200, seconds.end()), seconds_from(9800, 10'000));
  EXPECT_EQ(std::vector(seconds.begin(), seconds.begin() + 50), seconds_from(0, 50));
  EXPECT_NEAR(static_cast<double>(seconds[50]), 9800 / 3.0, 50);
  EXPECT_EQ(std::ranges::count(result.history.gaps, kRestart), 4)
      << "stretches, the last of which touches the newest half";
  EXPECT_EQ(result.count(LeftOut::kNotNeeded), 9600U);
}

TEST(NormalRows, KeepsToAnyNumberOfRows) {
  for (const std::size_t wanted : {0U, 1U, 2U, 3U, 7U, 99U, 100U, 101U, 255U, 999U, 1000U, 1001U}) {
    NormalRowsOptions options = plain();
    options.rows = wanted;
    options.stretch = 30;
    EXPECT_EQ(sorted_out({chunk(0, 1000)}, options).history.size(), std::min(wanted, 1000UL));
  }
}

TEST(NormalRows, HoldsOutTheNewestShare) {
  const History history = sorted_out({chunk(0, 100)}).history;
  const auto [older, newest] = hold_out_newest(history, 0.2);
  EXPECT_EQ(seconds_of(older), seconds_from(0, 80));
  EXPECT_EQ(seconds_of(newest), seconds_from(80, 100));
  EXPECT_EQ(newest.gaps.front(), kRestart);
  EXPECT_EQ(newest.series, "m0");
  EXPECT_EQ(newest.rows[0], 80.0);
  EXPECT_EQ(older.rows.size(), 160U);
}

TEST(NormalRows, HoldsOutNothingOrAll) {
  const History history = sorted_out({chunk(0, 10)}).history;
  EXPECT_EQ(hold_out_newest(history, 0).first.size(), 10U);
  EXPECT_EQ(hold_out_newest(history, 0).second.size(), 0U);
  EXPECT_EQ(hold_out_newest(history, 1).first.size(), 0U);
  EXPECT_EQ(hold_out_newest(history, 1).second.size(), 10U);
  EXPECT_EQ(hold_out_newest({}, 0.5).second.size(), 0U);
}

TEST(NormalRows, TakeWhatHasBeenSuspiciousForLongForAnotherNormal) {
  JudgedRows rows = chunk(0, 100);
  for (std::size_t i = 10; i < 19; ++i) rows.marks[i] = RowMark::kSuspicious;
  for (std::size_t i = 30; i < 80; ++i) rows.marks[i] = RowMark::kSuspicious;
  rows.marks[30] = rows.marks[50] = RowMark::kIncident;
  NormalRowsOptions options = plain();
  options.settled = std::chrono::seconds{40};
  const NormalRows result = sorted_out({rows}, options);
  EXPECT_EQ(result.count(LeftOut::kSuspicious), 9U) << "the short stretch";
  EXPECT_EQ(result.count(LeftOut::kIncident), 2U) << "not what was an incident";
  EXPECT_THAT(result.history.times, SizeIs(100U - 11U));
}

}  // namespace
}  // namespace anomalyd::pipeline
