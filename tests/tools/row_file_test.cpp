#include "tools/row_file.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/temporary_folder.hpp"
#include "tools/row_source.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::testing::HasSubstr;

constexpr EventTime kTime = std::chrono::sys_days{std::chrono::January / 1 / 2026};

TEST(RowFile, WritesCsvThatIsReadBack) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "rows.csv";
  const std::vector<Channel> channels{{"cpu", "%"}, {"load", ""}};
  auto file = RowFile::create(path);
  ASSERT_TRUE(file);
  file->write("a", kTime, channels, std::vector<double>{1.5, NAN});
  file->write("b", kTime + std::chrono::seconds{1}, channels, std::vector<double>{2.5, 3});
  ASSERT_TRUE(file->finish());

  CsvColumns columns;
  columns.series = "series";
  auto rows = csv_rows({path}, columns);
  ASSERT_TRUE(rows);
  const auto first = (*rows)->next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->series, "a");
  EXPECT_EQ((*first)->values[0], 1.5);
  EXPECT_TRUE(std::isnan((*first)->values[1]));
  const auto second = (*rows)->next();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->time, kTime + std::chrono::seconds{1});
}

TEST(RowFile, RefusesAnotherEndingAndAFolderThatIsNotThere) {
  EXPECT_THAT(RowFile::create("rows.txt").error().message, HasSubstr("expected .csv, .ndjson"));
  EXPECT_EQ(RowFile::create("/no/such/folder/rows.csv").error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace anomalyd::tools
