#include "daemon/core/sample.hpp"

#include <gmock/gmock.h>

#include <set>

namespace anomalyd {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<const Schema> two_channels() {
  return std::make_shared<const Schema>(Schema{{{"cpu", "%"}, {"mem", "MB"}}});
}

TEST(SampleBlock, GivesBackEveryRowAsItWasAppended) {
  SampleBlock block{{"metrics", 3}, two_channels()};
  const std::vector<double> first{1, 2}, second{3, 4};
  block.append("host-a", EventTime{std::chrono::seconds{10}}, 100, first);
  block.append("host-b", EventTime{std::chrono::seconds{11}}, 101, second);
  block.append("host-b", EventTime{std::chrono::seconds{12}}, 102, first);

  ASSERT_EQ(block.size(), 3u);
  EXPECT_EQ(block[0].series, "host-a");
  EXPECT_EQ(block[1].series, "host-b");
  EXPECT_EQ(block[2].series, "host-b") << "a run of one series shares its name";
  EXPECT_EQ(block[2].offset, 102);
  EXPECT_THAT(block[1].values, ElementsAre(3, 4));
}

TEST(SampleBlock, CountsTheBytesItsRowsHold) {
  SampleBlock block{{"metrics", 0}, two_channels()};
  const auto empty = block.byte_size();
  const std::vector<double> row{1, 2};
  for (int i = 0; i < 1000; ++i) block.append("host", EventTime{}, i, row);
  EXPECT_GE(block.byte_size(), empty + 1000 * 2 * sizeof(double));
}

TEST(RejectReason, EveryReasonHasItsOwnName) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kNumRejectReasons; ++i)
    names.insert(to_string(static_cast<RejectReason>(i)));
  EXPECT_EQ(names.size(), kNumRejectReasons);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace anomalyd
