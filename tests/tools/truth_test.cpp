#include "tools/truth.hpp"

#include <gmock/gmock.h>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(Truth, IsReadAsItWasWritten) {
  TemporaryFolder folder;
  const Truth truth{.num_series = 12,
                    .start = EventTime{seconds{1600000000}},
                    .series_weeks = 3.5,
                    .faults = {{"spike",
                                "machine-01",
                                {"cpu"},
                                EventTime{seconds{1700000000}},
                                EventTime{seconds{1700000120}}},
                               {"labelled", "smd/\"x\"", {}, EventTime{}, EventTime{seconds{2}}}}};
  ASSERT_TRUE(write_truth(folder.path() / "truth.json", truth));
  const auto read = read_truth(folder.path() / "truth.json");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->num_series, truth.num_series);
  EXPECT_EQ(read->start, truth.start);
  EXPECT_EQ(read->series_weeks, truth.series_weeks);
  EXPECT_EQ(read->faults, truth.faults);
}

TEST(Labels, MayHaveAnyNameOrBeATruth) {
  TemporaryFolder folder;
  const auto csv = folder.write(
      "modes.csv", "series,start,end,label\na,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,fast\n");
  EXPECT_FALSE(read_labels(csv));
  const auto modes = read_labels(csv, LabelNames::kAny);
  ASSERT_TRUE(modes);
  EXPECT_EQ(modes->front().name, "fast");

  const Fault fault{"leak", "a", {}, modes->front().start, modes->front().end};
  const auto json = folder.path() / "truth.json";
  ASSERT_TRUE(write_truth(json, {1, fault.start, 1, {fault}}));
  const auto faults = read_labels(json, LabelNames::kAny);
  ASSERT_TRUE(faults);
  EXPECT_EQ(faults->front().name, "leak");
  EXPECT_EQ(faults->front().end, fault.end);
}

TEST(Truth, NamesTheFileAndWhatIsWrongInIt) {
  TemporaryFolder folder;
  const auto path = folder.write("t.json", R"({"num_series": 1, "start": "soon"})");
  EXPECT_THAT(read_truth(path).error().message, HasSubstr("t.json: 'soon' is not a time"));
  EXPECT_THAT(read_truth(folder.path() / "none").error().message, HasSubstr("no such file"));
}

}  // namespace
}  // namespace anomalyd::tools
