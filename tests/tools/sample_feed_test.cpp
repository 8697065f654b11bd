#include "tools/sample_feed.hpp"

#include <gmock/gmock.h>

#include "tests/support/temporary_folder.hpp"
#include "tools/history_collector.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// Pumps a feed dry into a collector; returns the first failure.
Status drain(SampleFeed& feed, HistoryCollector& collector) {
  bool more = true;
  while (more) {
    const auto pumped = feed.pump([&](const SampleBlock& block) -> Status {
      collector.take(block);
      return {};
    });
    if (!pumped) return Failure{pumped.error()};
    more = *pumped;
  }
  return {};
}

std::string json_lines(const std::string& series, int rows, const std::string& channel) {
  std::string text;
  for (int i = 0; i < rows; ++i) {
    text += R"({"series":")" + series + R"(","ts":)" + std::to_string(1'700'000'000 + 60 * i) +
            ",\"" + channel + "\":" + std::to_string(i) + "}\n";
  }
  return text;
}

TEST(FileFeed, DecodesEveryLineAndCountsTheRejectedOnes) {
  TemporaryFolder folder;
  const auto file = folder.write("a.ndjson", json_lines("s", 5, "x") + "not json\n");
  auto feed = file_feed({}, {file});
  ASSERT_TRUE(feed) << feed.error().message;
  HistoryCollector collector{{}, 100};
  ASSERT_TRUE(drain(**feed, collector));
  EXPECT_EQ((*feed)->done(), 6U);
  EXPECT_EQ((*feed)->num_rejected(), 1U);
  const auto groups = collector.groups(1);
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_THAT(groups.at("x").histories.front().rows, ElementsAre(0, 1, 2, 3, 4));
}

TEST(FileFeed, PassesOnTheFailureOfATaker) {
  TemporaryFolder folder;
  auto feed = file_feed({}, {folder.write("a.ndjson", json_lines("s", 5, "x"))});
  const auto pumped = (*feed)->pump(
      [](const SampleBlock&) -> Status { return fail(ErrorKind::kInvalid, "enough"); });
  ASSERT_FALSE(pumped);
  EXPECT_EQ(pumped.error().message, "enough");
}

TEST(TopicFeed, RejectsATimeItCannotRead) {
  config::Options options;
  options.input.topics = {"t"};
  const auto feed = topic_feed(options, {.from = "yesterday", .until = ""});
  ASSERT_FALSE(feed);
  EXPECT_THAT(feed.error().message, HasSubstr("--from: 'yesterday' is not a time"));
}

TEST(RowFeed, GivesWholeBlocksUntilTheEnd) {
  auto feed = row_feed(fleet_rows({.machines = 3, .span = std::chrono::hours{24}, .lost_rows = 0}));
  HistoryCollector collector{{}, 10'000};
  ASSERT_TRUE(drain(*feed, collector));
  EXPECT_EQ(feed->done(), 3U * 1440);
  EXPECT_EQ(feed->total(), 3U * 1440);
  EXPECT_EQ(collector.num_series(), 3U);
}

TEST(HistoryCollector, KeepsTheNewestRowsOfEachSeries) {
  TemporaryFolder folder;
  auto feed = file_feed({}, {folder.write("a.ndjson", json_lines("s", 50, "x"))});
  HistoryCollector collector{{}, 3};
  ASSERT_TRUE(drain(**feed, collector));
  EXPECT_THAT(collector.groups(1).at("x").histories.front().rows, ElementsAre(47, 48, 49));
}

TEST(HistoryCollector, GroupsSeriesByTheirChannelsAndLeavesShortOnesOut) {
  TemporaryFolder folder;
  auto feed = file_feed(
      {}, {folder.write("a.ndjson", json_lines("a", 9, "x") + json_lines("b", 9, "y") +
                                        json_lines("c", 9, "x") + json_lines("short", 2, "x"))});
  HistoryCollector collector{{}, 100};
  ASSERT_TRUE(drain(**feed, collector));
  const auto groups = collector.groups(5);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(groups.at("x").histories, SizeIs(2));
  EXPECT_THAT(groups.at("y").channels, ElementsAre(Channel{"y", ""}));
}

}  // namespace
}  // namespace anomalyd::tools
