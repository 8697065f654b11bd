#include "connectors/file/file_source.hpp"

#include <gmock/gmock.h>

#include <sstream>

#include "connectors/file/stream_alert_sink.hpp"
#include "tests/support/gzip_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::connectors {
namespace {

using anomalyd::testing::TemporaryFolder;
using anomalyd::testing::write_gzip;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

class FileSourceTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

struct Reading final : SourceHandler {
  void on_records(std::span<const Record> records) override {
    for (const Record& record : records) {
      lines.emplace_back(record.offset, std::string{record.value});
      keys.emplace_back(record.key);
    }
  }
  std::vector<Position> on_assigned(const std::vector<PartitionId>& ids) override {
    assigned = ids;
    return starts;
  }
  void on_revoked(const std::vector<PartitionId>& ids, bool) override { revoked = ids; }
  void on_end(const PartitionId& id, Offset offset) override { ends.push_back({id, offset}); }

  std::vector<Position> starts;
  std::vector<PartitionId> assigned, revoked;
  std::vector<std::pair<Offset, std::string>> lines;
  std::vector<std::string> keys;
  std::vector<Position> ends;
};

Status read_all(FileSource& source, Reading& reading) {
  Status status;
  while (!source.finished()) {
    if (auto ok = source.poll(std::chrono::milliseconds{0}, reading); !ok) status = ok;
  }
  return status;
}

TEST_F(FileSourceTest, GivesEachLineOfEachFileWithItsNumber) {
  const auto a = folder_.write("a.ndjson", "one\ntwo\n");
  const auto b = folder_.write("b.v2.ndjson", "three");
  auto source = FileSource::open({.paths = {a, b}, .max_records = 1}).value();
  Reading reading;
  ASSERT_TRUE(read_all(*source, reading).has_value());
  EXPECT_THAT(reading.lines, ElementsAre(Pair(0, "one"), Pair(1, "two"), Pair(0, "three")));
  EXPECT_THAT(reading.keys, ElementsAre("a", "a", "b"));
  ASSERT_THAT(reading.ends, SizeIs(2));
  EXPECT_EQ(reading.ends[0].partition, (PartitionId{a.string(), 0}));
  EXPECT_EQ(reading.ends[0].offset, 2);
}

TEST_F(FileSourceTest, BeginsWhereTheHandlerWantsTo) {
  const auto a = folder_.write("a.ndjson", "one\ntwo\nthree\n");
  auto source = FileSource::open({.paths = {a}}).value();
  Reading reading;
  reading.starts = {{{a.string(), 0}, 2}};
  ASSERT_TRUE(read_all(*source, reading).has_value());
  EXPECT_THAT(reading.lines, ElementsAre(Pair(2, "three")));
}

TEST_F(FileSourceTest, PutsTheHeaderOfACsvFileInFrontOfEachLine) {
  const auto a = write_gzip(folder_.path() / "a.csv.gz", "t,v\n1,2\n3,4\n");
  auto source = FileSource::open({.paths = {a}}).value();
  Reading reading;
  reading.starts = {{{a.string(), 0}, 2}};
  ASSERT_TRUE(read_all(*source, reading).has_value());
  EXPECT_THAT(reading.lines, ElementsAre(Pair(2, "t,v\n3,4")));
}

TEST_F(FileSourceTest, ReadsGzipAndLinesLongerThanItsBuffer) {
  const std::string lengthy(300'000, 'x');
  const auto a = write_gzip(folder_.path() / "a", lengthy + "\n\nend");
  auto source = FileSource::open({.paths = {a}}).value();
  Reading reading;
  ASSERT_TRUE(read_all(*source, reading).has_value());
  EXPECT_THAT(reading.lines, ElementsAre(Pair(0, lengthy), Pair(1, ""), Pair(2, "end")));
}

TEST_F(FileSourceTest, SaysThatAFileCannotBeOpened) {
  const auto missing = FileSource::open({.paths = {folder_.path() / "none.csv"}});
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr("none.csv: cannot be opened"));
  const auto is_folder = FileSource::open({.paths = {folder_.path()}});
  ASSERT_FALSE(is_folder.has_value());
  EXPECT_THAT(is_folder.error().message, HasSubstr("found a folder; expected a file"));
}

TEST_F(FileSourceTest, SaysThatAGzipIsDamagedAndGoesOnWithTheNextFile) {
  const auto a = write_gzip(folder_.path() / "a.gz", std::string(100'000, 'x') + "\nlast");
  std::filesystem::resize_file(a, std::filesystem::file_size(a) - 12);
  const auto b = folder_.write("b", "good");
  auto source = FileSource::open({.paths = {a, b}}).value();
  Reading reading;
  const auto status = read_all(*source, reading);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("expected text or whole gzip"));
  EXPECT_EQ(reading.lines.back().second, "good");
  EXPECT_THAT(reading.ends, SizeIs(2));
}

TEST_F(FileSourceTest, ReadsWhatIsNotPaused) {
  const auto a = folder_.write("a", "one");
  const auto b = folder_.write("b", "two");
  auto source = FileSource::open({.paths = {a, b}}).value();
  Reading reading;
  const PartitionId first{a.string(), 0};
  source->pause({&first, 1});
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(source->poll(std::chrono::milliseconds{0}, reading).has_value());
  EXPECT_THAT(reading.lines, ElementsAre(Pair(0, "two")));
  source->resume({&first, 1});
  ASSERT_TRUE(read_all(*source, reading).has_value());
  EXPECT_THAT(reading.lines, ElementsAre(Pair(0, "two"), Pair(0, "one")));
  source->close(reading);
  EXPECT_EQ(reading.revoked, reading.assigned);
}

TEST(StreamAlertSink, WritesALineForEachAlert) {
  std::ostringstream out;
  StreamAlertSink sink{out};
  int done = 0;
  for (const char* id : {"a", "b"}) {
    Alert alert;
    alert.id = id;
    sink.send(alert, [&](const Status& status) { done += status.has_value() ? 1 : 0; });
  }
  EXPECT_EQ(done, 2);
  std::istringstream lines{out.str()};
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(parse_alert(line).value().id, "a");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(parse_alert(line).value().id, "b");
}

TEST(StreamAlertSink, SaysThatTheStreamTakesNoMore) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  StreamAlertSink sink{out};
  Status seen;
  sink.send({}, [&](Status status) { seen = std::move(status); });
  ASSERT_FALSE(seen.has_value());
  EXPECT_EQ(seen.error().kind, ErrorKind::kExhausted);
}

}  // namespace
}  // namespace anomalyd::connectors
