#include "tools/csv_file.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/gzip_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::anomalyd::testing::write_gzip;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CsvFile, ReadsPlainAndGzipFilesAlike) {
  TemporaryFolder folder;
  for (const auto& path : {folder.write("a.csv", "t,x\n1,2\r\n\n3,\n"),
                           write_gzip(folder.path() / "a.csv.gz", "t,x\n1,2\r\n\n3,\n")}) {
    auto csv = CsvFile::open(path);
    ASSERT_TRUE(csv) << csv.error().message;
    EXPECT_THAT(csv->header(), ElementsAre("t", "x"));
    ASSERT_TRUE(csv->next().value());
    EXPECT_THAT(csv->fields(), ElementsAre("1", "2"));
    ASSERT_TRUE(csv->next().value());
    EXPECT_THAT(csv->fields(), ElementsAre("3", ""));
    EXPECT_FALSE(csv->next().value());
  }
}

TEST(CsvFile, UnderstandsQuotedFields) {
  TemporaryFolder folder;
  auto csv =
      CsvFile::open(folder.write("q.csv", "\"the time\",x,y\n\"a,b\",\"say \"\"hi\"\"\",3\n"));
  ASSERT_TRUE(csv);
  EXPECT_THAT(csv->header(), ElementsAre("the time", "x", "y"));
  ASSERT_TRUE(csv->next().value());
  EXPECT_THAT(csv->fields(), ElementsAre("a,b", "say \"hi\"", "3"));
}

TEST(CsvFile, NamesFileAndLineOfARecordWithTooFewFields) {
  TemporaryFolder folder;
  auto csv = CsvFile::open(folder.write("bad.csv", "t,x\n1,2\n3\n"));
  ASSERT_TRUE(csv->next().value());
  const auto bad = csv->next();
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("bad.csv:3: 1 fields; expected 2"));
}

TEST(CsvFile, RejectsMissingAndEmptyFiles) {
  TemporaryFolder folder;
  EXPECT_THAT(CsvFile::open(folder.path() / "none.csv").error().message, HasSubstr("none.csv"));
  EXPECT_THAT(CsvFile::open(folder.write("empty.csv", "")).error().message,
              HasSubstr("empty file"));
}

TEST(CsvFile, RejectsATruncatedGzipFile) {
  TemporaryFolder folder;
  std::string text = "t,x\n";
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + ",1\n";
  const auto path = write_gzip(folder.path() / "cut.csv.gz", text);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  auto csv = CsvFile::open(path);
  ASSERT_TRUE(csv);
  auto more = csv->next();
  while (more && *more) more = csv->next();
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().message, HasSubstr("cut.csv.gz:"));
}

TEST(CsvFile, FindsAColumnInAnyCase) {
  TemporaryFolder folder;
  const auto csv = CsvFile::open(folder.write("c.csv", "value,Timestamp\n"));
  EXPECT_EQ(csv->find_column(std::vector<std::string_view>{"t", "timestamp"}), 1U);
  EXPECT_EQ(csv->find_column(std::vector<std::string_view>{"host"}), std::nullopt);
}

TEST(ParseCell, TellsNumbersFromMissingOnesAndNonsense) {
  EXPECT_EQ(parse_cell(" 1.5e3 "), 1500);
  EXPECT_TRUE(std::isnan(parse_cell("").value()));
  EXPECT_TRUE(std::isnan(parse_cell("NaN").value()));
  EXPECT_TRUE(std::isnan(parse_cell("null").value()));
  EXPECT_EQ(parse_cell("12 apples"), std::nullopt);
}

}  // namespace
}  // namespace anomalyd::tools
