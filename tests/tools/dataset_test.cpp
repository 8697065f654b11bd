#include "tools/dataset.hpp"

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

std::string manifest_entry(const std::string& entity, const std::string& time, int rows) {
  return R"({"file": "g/)" + entity + R"(.csv.gz", "group": "g", "entity": ")" + entity +
         R"(", "rows": )" + std::to_string(rows) +
         R"(, "train_end": 1, "period_s": 60, "time": ")" + time + "\"}";
}

Result<LabelledSeries> read_only_series(const TemporaryFolder& folder) {
  const auto dataset = Dataset::open(folder.path());
  if (!dataset) return Failure{dataset.error()};
  return dataset->read(dataset->entries().front());
}

TEST(Dataset, ReadsRowsTimesAndLabelsApart) {
  TemporaryFolder folder;
  folder.write("manifest.json", "[" + manifest_entry("a", "real", 2) + "]");
  write_gzip(folder.path() / "g/a.csv.gz",
             "t,cpu,mem,label\n1700000000,1,2.5,0\n1700000060,,4,1\n");

  const auto dataset = Dataset::open(folder.path());
  ASSERT_TRUE(dataset) << dataset.error().message;
  const auto& entry = dataset->entries().front();
  EXPECT_EQ(entry.id(), "g/a");
  EXPECT_EQ(entry.train_end, 1U);
  EXPECT_EQ(entry.period, seconds{60});

  const auto series = dataset->read(entry);
  ASSERT_TRUE(series) << series.error().message;
  EXPECT_THAT(series->channels, ElementsAre(Channel{"cpu", ""}, Channel{"mem", ""}));
  EXPECT_THAT(series->t, ElementsAre(1700000000, 1700000060));
  EXPECT_EQ(series->times[1], EventTime{seconds{1700000060}});
  EXPECT_THAT(series->row(0), ElementsAre(1, 2.5));
  EXPECT_TRUE(std::isnan(series->row(1)[0]));
  EXPECT_THAT(series->labels, ElementsAre(0, 1));
}

TEST(Dataset, PlacesSeriesWithoutRealTimesAtTheOrigin) {
  TemporaryFolder folder;
  folder.write("manifest.json", "[" + manifest_entry("s", "synthetic", 2) + "," +
                                    manifest_entry("i", "index", 2) + "]");
  write_gzip(folder.path() / "g/s.csv.gz", "t,x,label\n0,1,0\n60,1,0\n");
  write_gzip(folder.path() / "g/i.csv.gz", "t,x,label\n0,1,0\n1,1,0\n");
  const auto dataset = Dataset::open(folder.path());
  ASSERT_TRUE(dataset);
  for (const auto& entry : dataset->entries()) {
    EXPECT_THAT(dataset->read(entry)->times,
                ElementsAre(Dataset::kOrigin, Dataset::kOrigin + seconds{60}))
        << entry.entity;
  }
}

TEST(Dataset, KeepsOnlyWhatIsNamed) {
  TemporaryFolder folder;
  folder.write("manifest.json",
               "[" + manifest_entry("a", "real", 1) + "," + manifest_entry("b", "real", 1) + "]");
  auto dataset = Dataset::open(folder.path());
  ASSERT_TRUE(dataset->keep_only("g/b,b"));
  ASSERT_EQ(dataset->entries().size(), 1U);
  EXPECT_EQ(dataset->entries()[0].entity, "b");
  const auto unknown = dataset->keep_only("b,nobody");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("'nobody'"));
}

TEST(Dataset, NamesFileAndLineOfABadCell) {
  TemporaryFolder folder;
  folder.write("manifest.json", "[" + manifest_entry("a", "real", 2) + "]");
  write_gzip(folder.path() / "g/a.csv.gz", "t,cpu,label\n1,1,0\n2,high,0\n");
  const auto series = read_only_series(folder);
  ASSERT_FALSE(series);
  EXPECT_THAT(series.error().message, HasSubstr("g/a.csv.gz:3: cpu is 'high'; expected a number"));
}

TEST(Dataset, RejectsAFileThatIsShorterThanItsManifestSays) {
  TemporaryFolder folder;
  folder.write("manifest.json", "[" + manifest_entry("a", "real", 5) + "]");
  write_gzip(folder.path() / "g/a.csv.gz", "t,cpu,label\n1,1,0\n");
  const auto series = read_only_series(folder);
  ASSERT_FALSE(series);
  EXPECT_THAT(series.error().message, HasSubstr("1 rows; expected 5"));
}

TEST(Dataset, RejectsFoldersWithoutOrWithADamagedManifest) {
  TemporaryFolder folder;
  EXPECT_THAT(Dataset::open(folder.path()).error().message,
              HasSubstr("manifest.json: no such file"));
  folder.write("manifest.json", R"([{"file": "a.csv.gz"}])");
  EXPECT_THAT(Dataset::open(folder.path()).error().message, HasSubstr("entry 0"));
}

}  // namespace
}  // namespace anomalyd::tools
