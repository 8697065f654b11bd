#include "tools/row_source.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/gzip_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::anomalyd::testing::write_gzip;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// "series@seconds" of every row, or the error that ended the stream.
std::vector<std::string> rows_of(RowSource& source) {
  std::vector<std::string> rows;
  while (true) {
    const auto row = source.next();
    if (!row) {
      rows.push_back(row.error().message);
      return rows;
    }
    if (!*row) return rows;
    const auto time = std::chrono::floor<seconds>((*row)->time).time_since_epoch().count();
    rows.push_back(std::string{(*row)->series} + "@" + std::to_string(time));
  }
}

TemporaryFolder& labelled_folder() {
  static TemporaryFolder folder;
  folder.write("manifest.json", R"([
    {"file": "a.csv.gz", "group": "g", "entity": "a", "rows": 4, "train_end": 1, "period_s": 60,
     "time": "real"},
    {"file": "b.csv.gz", "group": "h", "entity": "b", "rows": 2, "train_end": 1, "period_s": 60,
     "time": "real"}])");
  write_gzip(folder.path() / "a.csv.gz", "t,x,label\n1000,1,0\n1060,1,1\n1120,2,1\n1180,2,0\n");
  write_gzip(folder.path() / "b.csv.gz", "t,y,label\n5000,1,0\n5090,1,1\n");
  return folder;
}

TEST(DatasetRows, MergesSeriesByTheTimeSinceTheirStart) {
  const auto dataset = Dataset::open(labelled_folder().path());
  auto source = dataset_rows(*dataset, DatasetPart::kAll);
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->num_rows(), 6U);
  EXPECT_THAT((*source)->groups(), ElementsAre("g", "h"));
  EXPECT_THAT(rows_of(**source),
              ElementsAre("g/a@1000", "h/b@5000", "g/a@1060", "h/b@5090", "g/a@1120", "g/a@1180"));
}

TEST(DatasetRows, SplitsTrainingFromTestRows) {
  const auto dataset = Dataset::open(labelled_folder().path());
  auto training = dataset_rows(*dataset, DatasetPart::kTraining);
  EXPECT_THAT(rows_of(**training), ElementsAre("g/a@1000", "h/b@5000"));
  auto test = dataset_rows(*dataset, DatasetPart::kTest);
  EXPECT_EQ((*test)->num_rows(), 4U);
}

TEST(DatasetRows, TellsTheLabelledEventsOfTheTestPart) {
  const auto dataset = Dataset::open(labelled_folder().path());
  const Truth truth = (*dataset_rows(*dataset, DatasetPart::kAll))->truth();
  EXPECT_EQ(truth.num_series, 2U);
  EXPECT_EQ(truth.start, EventTime{seconds{1060}});
  EXPECT_THAT(
      truth.faults,
      ElementsAre(
          Fault{"labelled", "g/a", {}, EventTime{seconds{1060}}, EventTime{seconds{1120}}},
          Fault{"labelled", "h/b", {}, EventTime{seconds{5090}}, EventTime{seconds{5090}}}));
}

TEST(CsvRows, NamesSeriesByFileAndLeavesTextAndLabelsOut) {
  TemporaryFolder folder;
  auto source = csv_rows({folder.write("pump.csv",
                                       "time,state,x,label\n"
                                       "2026-01-01T00:00:00Z,ok,1.5,0\n"),
                          folder.write("fan.csv", "ts,x\n1700000000,\n")},
                         {});
  ASSERT_TRUE(source) << source.error().message;
  const auto first = (*source)->next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->series, "pump");
  ASSERT_EQ((*first)->channels.size(), 1U);
  EXPECT_EQ((*first)->channels[0].name, "x");
  EXPECT_EQ((*first)->values[0], 1.5);
  EXPECT_THAT(rows_of(**source), ElementsAre("fan@1700000000"));
}

TEST(CsvRows, TakesSeriesAndTimeFromTheColumnsNamed) {
  TemporaryFolder folder;
  const auto file = folder.write("all.csv", "when,host,x\n1700000000,a,1\n1700000060,b,2\n");
  auto source = csv_rows({file}, {.time = "when", .series = "host"});
  EXPECT_THAT(rows_of(**source), ElementsAre("a@1700000000", "b@1700000060"));
}

TEST(CsvRows, SaysWhereACellIsWrong) {
  TemporaryFolder folder;
  auto source = csv_rows({folder.write("x.csv", "t,x\n1700000000,1\n1700000060,high\n")}, {});
  EXPECT_THAT(rows_of(**source).back(), HasSubstr("x.csv:3: x is 'high'; expected a number"));
  EXPECT_THAT(csv_rows({folder.write("y.csv", "a,b\n1,2\n")}, {}).error().message,
              HasSubstr("no column with the time"));
  EXPECT_THAT(csv_rows({folder.path() / "z.csv"}, {}).error().message, HasSubstr("z.csv"));
}

TEST(FleetRows, ComeWithTheirTruth) {
  const Fleet::Options options{.machines = 2,
                               .span = std::chrono::hours{24 * 9},
                               .clean = std::chrono::hours{24 * 2},
                               .faults = 3};
  auto source = fleet_rows(options);
  EXPECT_EQ(source->num_rows(), 2U * 9 * 1440);
  const Truth truth = source->truth();
  EXPECT_EQ(truth.faults.size(), 3U);
  EXPECT_DOUBLE_EQ(truth.series_weeks, 2);
}

TEST(HostRows, EndWhenAskedToStop) {
  std::atomic<bool> stop{true};
  auto source = host_rows(std::chrono::hours{1}, stop);
  const auto row = source->next();
  ASSERT_TRUE(row);
  EXPECT_FALSE(*row);
}

}  // namespace
}  // namespace anomalyd::tools
