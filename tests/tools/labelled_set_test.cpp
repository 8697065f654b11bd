#include "tools/labelled_set.hpp"

#include <gmock/gmock.h>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kPump = "time,x\n1700000000,1\n1700000060,2\n1700000120,3\n1700000180,4\n";
constexpr const char* kIntervals =
    "series,start,end,note\npump,1700000120,2023-11-14T22:15:20Z,bearing\n";

struct Case {
  std::string rows = kPump;
  std::string intervals = kIntervals;
  TrainingPart training{};
};

Result<LabelledSet> open(const TemporaryFolder& folder, const Case& one) {
  return labelled_csv({folder.write("pump.csv", one.rows)}, {},
                      folder.write("labels.csv", one.intervals), one.training);
}

std::string refusal(const Case& one) {
  TemporaryFolder folder;
  const auto set = open(folder, one);
  return set ? "accepted" : set.error().message;
}

TEST(LabelledCsv, MarksTheRowsOfIntervals) {
  TemporaryFolder folder;
  const auto set = open(folder, {});
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->entries.size(), 1U);
  EXPECT_EQ(set->entries[0].id(), "csv/pump");
  EXPECT_EQ(set->entries[0].train_end, 2U) << "half of the rows";
  EXPECT_EQ(set->unmet, 0U);
  const auto series = set->read(set->entries[0]);
  ASSERT_TRUE(series);
  EXPECT_THAT(series->labels, ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(series->t, ElementsAre(1700000000, 1700000060, 1700000120, 1700000180));
  EXPECT_THAT(series->row(2), ElementsAre(3));
}

TEST(LabelledCsv, LearnsUntilATime) {
  TemporaryFolder folder;
  const auto set = open(folder, {.training = {.until = EventTime{seconds{1700000180}}}});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->entries[0].train_end, 3U);
  EXPECT_EQ(set->unmet, 1U) << "the fault is among the rows learned from";
}

TEST(LabelledCsv, WantsRowsToLearnFromAndToJudge) {
  EXPECT_THAT(refusal({.training = {.until = EventTime{seconds{1}}}}),
              HasSubstr("series 'pump': 0 of its 4 rows are to be learned from, which leaves 4; "
                        "expected some of both (it has 2023-11-14T22:13:20.000Z to"));
  EXPECT_THAT(refusal({.training = {.until = {}, .share = 1}}), HasSubstr("which leaves 0"));
}

TEST(LabelledCsv, KeepsSeriesOfOneFileApart) {
  TemporaryFolder folder;
  const auto rows = folder.write("all.csv",
                                 "ts,host,x\n1700000000.5,b,1\n1700000000,a,2\n"
                                 "1700000060.5,b,3\n1700000060,a,4\n");
  const auto set = labelled_csv({rows}, {.time = {}, .series = "host"},
                                folder.write("labels.csv", "series,start,end\n"), {});
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->entries.size(), 2U);
  EXPECT_THAT(set->read(set->entries[0])->values, ElementsAre(2, 4));
  EXPECT_THAT(set->read(set->entries[1])->t, ElementsAre(1700000000500000, 1700000060500000))
      << "in microseconds where seconds are too coarse";
}

TEST(LabelledCsv, WantsTheSameColumnsInEveryFile) {
  TemporaryFolder folder;
  const auto a = folder.write("a.csv", "t,host,x\n1700000000,a,1\n");
  const auto b = folder.write("b.csv", "t,host,x,y\n1700000060,a,1,2\n");
  const auto set = labelled_csv({a, b}, {.time = {}, .series = "host"},
                                folder.write("labels.csv", "series,start,end\n"), {});
  EXPECT_THAT(set.error().message, HasSubstr("series 'a': 2 columns that differ from its 1"));
}

TEST(ReadIntervals, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(refusal({.intervals = "series,start\n"}),
              HasSubstr("labels.csv:1: no column 'end'; expected series,start,end"));
  EXPECT_THAT(refusal({.intervals = "series,start,end\nfan,1,2\n"}),
              HasSubstr("labels.csv:2: no series 'fan'; expected one like 'pump'"));
  EXPECT_THAT(refusal({.intervals = "series,start,end\npump,soon,2\n"}),
              HasSubstr("labels.csv:2: start: 'soon' is not a time; expected"));
  EXPECT_THAT(refusal({.intervals = "series,start,end\npump,5,later\n"}),
              HasSubstr("labels.csv:2: end: 'later' is not a time"));
  EXPECT_THAT(refusal({.intervals = "series,start,end\npump,5,4\n"}),
              HasSubstr("labels.csv:2: end is 4; expected 5 or later, as start"));
  EXPECT_THAT(refusal({.intervals = "series,start,end\npump,5\n"}),
              HasSubstr("labels.csv:2: 2 fields; expected 3"));
  EXPECT_THAT(refusal({.intervals = ""}), HasSubstr("labels.csv:1: empty file"));
}

TEST(LabelledFolder, SaysWhatIsMissing) {
  TemporaryFolder folder;
  folder.write("manifest.json",
               R"([{"file": "g/a.csv.gz", "group": "g", "entity": "a", "rows": 2,
                    "train_end": 1, "period_s": 60, "time": "real"}])");
  const auto set = labelled_folder(*Dataset::open(folder.path()));
  ASSERT_EQ(set.entries.size(), 1U);
  EXPECT_THAT(set.read(set.entries[0]).error().message, HasSubstr("g/a.csv.gz"));
}

}  // namespace
}  // namespace anomalyd::tools
