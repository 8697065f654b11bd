#include "daemon/runtime/reservoir.hpp"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "daemon/pipeline/normal_rows.hpp"
#include "tests/runtime/judged_chunks.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using pipeline::History;
using pipeline::JudgedRows;
using pipeline::RowMark;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::judged_chunk;
using testing::kMinute;
using testing::odd_chunk;
using testing::same_rows;
using ::testing::SizeIs;
using testing::two_channels;

constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
const std::string kGroup = "load,heat";

class ReservoirTest : public ::testing::Test {
 protected:
  fs::path path() const { return folder_.path() / "reservoir"; }
  Reservoir open(const ReservoirOptions& options = {}) const {
    return Reservoir::open(path(), options).value();
  }
  ReservoirReader reader() const { return ReservoirReader{path()}; }
  ReservoirReader::Rows read(const ReservoirReader::Selection& selection = {}) const {
    return reader().read(kGroup, selection).value();
  }
  std::size_t rows_read() const {
    std::size_t rows = 0;
    for (const auto& [series, chunks] : read().series) {
      for (const JudgedRows& chunk : chunks) rows += chunk.history.size();
    }
    return rows;
  }
  std::vector<fs::path> files(const std::string& extension = ".rows") const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::recursive_directory_iterator{path()}) {
      if (entry.path().extension() == extension) all.push_back(entry.path());
    }
    std::ranges::sort(all);
    return all;
  }
  static std::uint64_t bytes_of(const std::vector<fs::path>& files) {
    std::uint64_t bytes = 0;
    for (const fs::path& file : files) bytes += fs::file_size(file);
    return bytes;
  }
  /// Three blocks of one segment; the third one is the last thing in the only file.
  void write_three_blocks() const {
    Reservoir reservoir = open();
    for (const std::int64_t i : {0, 1, 2}) {
      const JudgedRows rows[] = {judged_chunk("m0", i * kHour, 20)};
      ASSERT_TRUE(reservoir.append(rows));
      ASSERT_TRUE(reservoir.flush());
    }
  }
  static std::string content_of(const fs::path& file) {
    std::ifstream stream{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, {}};
  }
  static void put(const fs::path& file, std::string_view content) {
    std::ofstream{file, std::ios::binary} << content;
  }
  static void flip(const fs::path& file, std::uintmax_t at) {
    std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
    stream.seekg(static_cast<std::streamoff>(at));
    const int old = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(old ^ 0x10));
  }

  testing::TemporaryFolder folder_;
};

TEST_F(ReservoirTest, GivesBackEveryBitAlsoAfterARestart) {
  const std::vector<JudgedRows> rows{odd_chunk(), judged_chunk("m0", 5, 100),
                                     judged_chunk("m1", 5, 8, RowMark::kSuspicious)};
  {
    Reservoir reservoir = open();
    ASSERT_TRUE(reservoir.append(rows));
    EXPECT_EQ(reservoir.bytes(), 0U) << "still in memory";
    ASSERT_TRUE(reservoir.flush());
    EXPECT_EQ(reservoir.counters().rows_written, 120U);
    EXPECT_EQ(reservoir.bytes(), fs::file_size(files().at(0)));
  }
  Reservoir reservoir = open();
  EXPECT_THAT(reservoir.take_troubles(), IsEmpty());
  ASSERT_TRUE(reservoir.append({&rows[1], 1}));
  ASSERT_TRUE(reservoir.flush());
  EXPECT_THAT(files(), SizeIs(1)) << "goes on in the same segment";

  const auto back = read();
  EXPECT_THAT(back.damage, IsEmpty());
  ASSERT_THAT(back.series, SizeIs(3));
  ASSERT_THAT(back.series.at("m0"), SizeIs(2));
  for (const JudgedRows& chunk : back.series.at("m0")) {
    EXPECT_TRUE(same_rows(chunk.history, rows[1].history));
    EXPECT_EQ(chunk.channels, two_channels());
  }
  EXPECT_TRUE(same_rows(back.series.at("odd").at(0).history, rows[0].history));
  EXPECT_EQ(back.series.at("odd").at(0).marks, rows[0].marks);
  EXPECT_EQ(back.series.at("m1").at(0).marks, rows[2].marks);
}

TEST_F(ReservoirTest, WritesWhatWaitsWhenItIsClosed) {
  const JudgedRows rows[] = {judged_chunk("m0", 0, 10)};
  ASSERT_TRUE(open().append(rows));
  EXPECT_EQ(rows_read(), 10U);
}

TEST_F(ReservoirTest, TakesAHistoryOfAnyLength) {
  const JudgedRows rows[] = {judged_chunk("m0", 0, 200'000)};
  ASSERT_TRUE(open().append(rows));
  const auto back = read();
  std::vector<std::int64_t> times;
  for (const JudgedRows& chunk : back.series.at("m0")) {
    times.insert(times.end(), chunk.history.times.begin(), chunk.history.times.end());
  }
  EXPECT_EQ(times, rows[0].history.times);
}

TEST_F(ReservoirTest, KeepsGroupsApart) {
  JudgedRows other = judged_chunk("m0", 0, 7);
  other.channels = {{"flow", ""}, {"heat", ""}};
  const JudgedRows rows[] = {judged_chunk("m0", 0, 10), other};
  ASSERT_TRUE(open().append(rows));
  const auto groups = reader().groups().value().groups;
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_EQ(groups[0].key, "flow,heat");
  EXPECT_EQ(groups[1].key, kGroup);
  EXPECT_EQ(groups[1].channels, two_channels());
  EXPECT_EQ(rows_read(), 10U);
}

TEST_F(ReservoirTest, IsEmptyWhereThereIsNone) {
  EXPECT_THAT(reader().groups().value().groups, IsEmpty());
  const auto rows = reader().read(kGroup, {});
  ASSERT_FALSE(rows);
  EXPECT_THAT(rows.error().message, HasSubstr("no rows of the group 'load,heat'"));
}

TEST_F(ReservoirTest, ReadsWhatIsAskedFor) {
  std::vector<JudgedRows> rows;
  for (int i = 0; i < 100; ++i) {
    rows.push_back(judged_chunk("m" + std::to_string(i), 0, 60));
    rows.push_back(judged_chunk("m" + std::to_string(i), kHour, 60));
  }
  ASSERT_TRUE(open().append(rows));
  EXPECT_THAT(read({.series = {"m3", "m5", "absent"}}).series, SizeIs(2));
  const auto late = read({.from = kHour, .until = 2 * kHour});
  EXPECT_THAT(late.series, SizeIs(100));
  EXPECT_THAT(late.series.at("m7"), SizeIs(1));
  const auto few = read({.max_series = 10}), fewer = read({.max_series = 5});
  EXPECT_THAT(few.series, SizeIs(10));
  EXPECT_THAT(fewer.series, SizeIs(5));
  for (const auto& [series, chunks] : fewer.series) {
    EXPECT_TRUE(few.series.contains(series)) << "the same series every time";
    EXPECT_THAT(chunks, SizeIs(2));
  }
}

TEST_F(ReservoirTest, JoinsWhatFollowsOnEachOtherWhenASegmentIsFull) {
  constexpr std::int64_t kRows = 8;
  Reservoir reservoir = open({.max_bytes = 1 << 20});
  JudgedRows all = judged_chunk("m0", 0, 0);
  for (std::int64_t i = 0; files().size() < 2; ++i) {
    // Every tenth one is read a second time, as after a crash.
    for (std::int64_t again = i % 10 == 9 ? 2 : 1; again > 0; --again) {
      const JudgedRows chunk = judged_chunk("m0", i * kRows * kMinute, kRows, RowMark::kSuspicious);
      all.history.append(chunk.history);
      ASSERT_TRUE(reservoir.append({&chunk, 1}));
    }
    ASSERT_TRUE(reservoir.flush());
  }
  const auto chunks = read().series.at("m0");
  EXPECT_LT(chunks.size() * 3, all.history.size() / kRows);
  History back = judged_chunk("m0", 0, 0).history;
  for (const JudgedRows& chunk : chunks) {
    EXPECT_THAT(chunk.marks, Each(RowMark::kSuspicious));
    EXPECT_THAT(chunk.marks, SizeIs(chunk.history.size()));
    EXPECT_TRUE(std::ranges::is_sorted(chunk.history.times, std::less_equal<>{}));
    back.append(chunk.history);
  }
  EXPECT_EQ(back.size(), all.history.size());
  std::ranges::sort(back.offsets);
  std::ranges::sort(all.history.offsets);
  EXPECT_EQ(back.offsets, all.history.offsets);
}

TEST_F(ReservoirTest, SumsUp) {
  const JudgedRows rows[] = {judged_chunk("m0", 0, 10),
                             judged_chunk("m0", kHour, 3, RowMark::kIncident),
                             judged_chunk("m1", kMinute, 5)};
  ASSERT_TRUE(open().append(rows));
  const auto summary = reader().summary(kGroup).value();
  EXPECT_EQ(summary.all.rows, 18U);
  EXPECT_EQ(summary.series.at("m0").rows, 13U);
  EXPECT_EQ(summary.series.at("m0").by_mark[static_cast<std::size_t>(RowMark::kIncident)], 3U);
  EXPECT_EQ(summary.series.at("m0").first_time, 0);
  EXPECT_EQ(summary.series.at("m0").last_time, kHour + 2 * kMinute);
  EXPECT_EQ(summary.group.bytes, fs::file_size(files().at(0)));
}

TEST_F(ReservoirTest, RefusesAChunkWhoseSizesDoNotAgree) {
  JudgedRows rows[] = {judged_chunk("m0", 0, 10), judged_chunk("m1", 0, 10)};
  rows[0].marks.pop_back();
  Reservoir reservoir = open();
  const auto appended = reservoir.append(rows);
  ASSERT_FALSE(appended);
  EXPECT_THAT(appended.error().message, HasSubstr("found 10 times, 9 marks"));
  ASSERT_TRUE(reservoir.flush());
  EXPECT_EQ(rows_read(), 10U) << "the other one is taken";
  EXPECT_EQ(reservoir.counters().rows_lost, 10U);
}

TEST_F(ReservoirTest, CutsATornTailAtEveryByteAndTellsOnce) {
  write_three_blocks();
  const fs::path file = files().at(0);
  const std::string sound = content_of(file);
  const std::size_t size = sound.size();
  fs::resize_file(file, size - 1);
  { Reservoir cuts = open(); }
  const auto whole = fs::file_size(file);
  ASSERT_LT(whole, size - 1);

  for (auto cut = whole + 1; cut < size; ++cut) {
    put(file, std::string_view{sound}.substr(0, cut));
    const auto before = read();  // as another process would, while the block is being written
    EXPECT_THAT(before.damage, IsEmpty());
    EXPECT_EQ(rows_read(), 40U);
    {
      Reservoir reservoir = open();
      const auto troubles = reservoir.take_troubles();
      ASSERT_THAT(troubles, SizeIs(1)) << cut;
      EXPECT_THAT(troubles[0].message, HasSubstr("not written to its end"));
      EXPECT_EQ(fs::file_size(file), whole);
      EXPECT_EQ(reservoir.bytes(), whole);
      const JudgedRows rows[] = {judged_chunk("m0", kDay, 5)};
      ASSERT_TRUE(reservoir.append(rows));
    }
    ASSERT_EQ(rows_read(), 45U) << "goes on behind the cut";
    EXPECT_THAT(open().take_troubles(), IsEmpty());
  }
}

TEST_F(ReservoirTest, SurvivesABitFlippedAnywhere) {
  write_three_blocks();
  const fs::path file = files().at(0);
  const std::string sound = content_of(file);
  for (std::uintmax_t at = 0; at < sound.size(); ++at) {
    for (const auto& entry : fs::directory_iterator{file.parent_path()}) fs::remove(entry.path());
    put(file, sound);
    flip(file, at);
    EXPECT_TRUE(reader().groups());
    const auto rows = reader().read(kGroup, {});
    ASSERT_TRUE(rows);
    Reservoir reservoir = open();
    const auto troubles = reservoir.take_troubles();
    ASSERT_FALSE(troubles.empty()) << "byte " << at;
    for (const Error& trouble : troubles) {
      EXPECT_THAT(trouble.message, HasSubstr(file.string()));
      EXPECT_EQ(trouble.kind, ErrorKind::kIncompatible);
    }
    if (at % 50 != 0) continue;  // it waits for the disk
    const JudgedRows more[] = {judged_chunk("m0", kDay, 5)};
    EXPECT_TRUE(reservoir.append(more));
    EXPECT_TRUE(reservoir.flush());
    EXPECT_GE(rows_read(), 5U);
  }
}

TEST_F(ReservoirTest, SetsADamagedSegmentAsideAndGoesOn) {
  write_three_blocks();
  const fs::path file = files().at(0);
  flip(file, fs::file_size(file) / 2);
  Reservoir reservoir = open();
  const auto troubles = reservoir.take_troubles();
  ASSERT_THAT(troubles, SizeIs(1));
  EXPECT_THAT(troubles[0].message, HasSubstr("kept as 000000000001.rows.damaged"));
  EXPECT_THAT(files(".damaged"), SizeIs(1));
  EXPECT_EQ(reservoir.bytes(), 0U);
  EXPECT_EQ(reservoir.counters().segments_damaged, 1U);
}

TEST_F(ReservoirTest, RefusesASecondWriterButNoReader) {
  Reservoir first = open();
  const auto second = Reservoir::open(path(), {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("another process writes to this reservoir"));
  EXPECT_TRUE(reader().groups());
}

TEST_F(ReservoirTest, SaysWhichFolderItCannotMake) {
  const auto reservoir = Reservoir::open("/proc/anomalyd/reservoir", {});
  ASSERT_FALSE(reservoir);
  EXPECT_THAT(reservoir.error().message, HasSubstr("/proc/anomalyd/reservoir"));
}

/// No file of this process may grow beyond a size: to it, the disk is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_DFL);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

TEST_F(ReservoirTest, TellsOfAFullDiskAndGoesOnWhenThereIsRoom) {
  write_three_blocks();
  const auto size = fs::file_size(files().at(0));
  Reservoir reservoir = open();
  const JudgedRows rows[] = {judged_chunk("m0", kDay, 2000)};
  {
    const FullDisk full{size + 100};  // so that a part of the block is written
    ASSERT_TRUE(reservoir.append(rows));
    const auto flushed = reservoir.flush();
    ASSERT_FALSE(flushed);
    EXPECT_EQ(flushed.error().kind, ErrorKind::kExhausted);
    EXPECT_THAT(flushed.error().message, HasSubstr(files().at(0).string()));
    EXPECT_EQ(reservoir.counters().rows_lost, 2000U);
    EXPECT_EQ(fs::file_size(files().at(0)), size) << "nothing torn is left";
  }
  ASSERT_TRUE(reservoir.append(rows));
  ASSERT_TRUE(reservoir.flush());
  EXPECT_EQ(rows_read(), 2060U);
}

TEST_F(ReservoirTest, TellsOfAFullDiskWhenASegmentBegins) {
  Reservoir reservoir = open();
  const JudgedRows rows[] = {judged_chunk("m0", kDay, 2000)};
  {
    const FullDisk full{100};
    ASSERT_TRUE(reservoir.append(rows));
    EXPECT_FALSE(reservoir.flush());
    EXPECT_THAT(files(".draft"), IsEmpty());
  }
  ASSERT_TRUE(reservoir.append(rows));
  ASSERT_TRUE(reservoir.flush());
  EXPECT_EQ(rows_read(), 2000U);
}

/// Appends `days` of `series` series in pieces of two hours.
void fill(Reservoir& reservoir, int series, int days, std::uint64_t max_bytes) {
  for (std::int64_t time = 0; time < days * kDay; time += 2 * kHour) {
    std::vector<JudgedRows> rows;
    for (int s = 0; s < series; ++s) {
      rows.push_back(judged_chunk("m" + std::to_string(s), time, 120));
    }
    ASSERT_TRUE(reservoir.append(rows));
    ASSERT_TRUE(reservoir.flush());
    ASSERT_LE(reservoir.bytes(), max_bytes);
  }
}

TEST_F(ReservoirTest, KeepsTheLastHourWholeAndTheLastMonthInParts) {
  constexpr std::uint64_t kMax = 1 << 20;
  constexpr int kDays = 60;
  Reservoir reservoir = open({.max_bytes = kMax});
  fill(reservoir, 4, kDays, kMax);
  const std::uint64_t on_disk = bytes_of(files());
  EXPECT_EQ(reservoir.bytes(), on_disk);
  EXPECT_GT(on_disk, kMax / 2) << "no more is thrown away than must be";
  EXPECT_LT(files().size(), 200U);
  EXPECT_EQ(reservoir.counters().rows_lost, 0U);
  EXPECT_GT(reservoir.counters().rows_thinned, reservoir.counters().rows_written / 2);
  EXPECT_EQ(rows_read(), reservoir.counters().rows_written - reservoir.counters().rows_thinned);
  EXPECT_THAT(reservoir.take_troubles(), IsEmpty());
  EXPECT_LT(reservoir.counters().bytes_rewritten, 12 * reservoir.counters().bytes_written);

  const auto back = read();
  ASSERT_THAT(back.series, SizeIs(4));
  for (const auto& [series, chunks] : back.series) {
    std::map<int, int> rows_by_octave;  // of age in hours
    std::int64_t last_hour = 0;
    for (const JudgedRows& chunk : chunks) {
      for (std::size_t i = 0; i < chunk.history.size(); ++i) {
        const std::int64_t age = kDays * kDay - chunk.history.times[i];
        if (age <= kHour) ++last_hour;
        ++rows_by_octave[static_cast<int>(std::log2(static_cast<double>(age) / kHour + 1))];
      }
    }
    EXPECT_EQ(last_hour, 60) << series;
    for (const int octave : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
      EXPECT_GT(rows_by_octave[octave], 0)
          << series << ": between " << (1 << octave) << " and " << (2 << octave) << " hours ago";
    }
  }
}

TEST_F(ReservoirTest, MarksWhatWasTakenAwayAsARestart) {
  constexpr std::uint64_t kMax = 1 << 20;
  Reservoir reservoir = open({.max_bytes = kMax});
  fill(reservoir, 4, 30, kMax);
  std::size_t long_stretches = 0, marked = 0;
  for (const auto& [series, chunks] : read().series) {
    for (const JudgedRows& chunk : chunks) {
      marked += chunk.history.gaps.front() == History::kRestart ? 1U : 0U;
    }
    const History rows = pipeline::normal_rows(chunks, {}, {}, {}).history;
    std::size_t stretch = 1;
    for (std::size_t i = 1; i < rows.size(); ++i, ++stretch) {
      const std::int64_t step = rows.times[i] - rows.times[i - 1];
      ASSERT_EQ(rows.gaps[i], step == kMinute ? 0U : History::kRestart) << series << " " << i;
      if (step == kMinute) continue;
      EXPECT_GT(step, 100 * kMinute);
      long_stretches += stretch >= 250 ? 1U : 0U;
      stretch = 0;
    }
  }
  EXPECT_GT(long_stretches, 4U);
  EXPECT_GT(marked, 4U) << "on disk too";
}

TEST_F(ReservoirTest, ForgetsWhatIsTooOld) {
  Reservoir reservoir = open({.max_age = std::chrono::hours{24}});
  const JudgedRows old[] = {judged_chunk("m0", 0, 60)};
  ASSERT_TRUE(reservoir.append(old));
  ASSERT_TRUE(reservoir.flush());
  JudgedRows young = judged_chunk("m0", 2 * kDay, 60);
  young.channels = {{"flow", ""}, {"heat", ""}};  // of another group: the same clock
  ASSERT_TRUE(reservoir.append({&young, 1}));
  ASSERT_TRUE(reservoir.flush());
  EXPECT_THAT(reader().groups().value().groups, SizeIs(1));
}

TEST_F(ReservoirTest, DoesNotLetALargeGroupDisplaceASmallOne) {
  constexpr std::uint64_t kMax = 1 << 20;
  Reservoir reservoir = open({.max_bytes = kMax});
  JudgedRows small = judged_chunk("s", 0, 1000);
  small.channels = {{"flow", ""}, {"heat", ""}};
  ASSERT_TRUE(reservoir.append({&small, 1}));
  fill(reservoir, 8, 20, kMax);
  EXPECT_EQ(reader().summary("flow,heat").value().all.rows, 1000U);
}

TEST_F(ReservoirTest, CanBeReadByAnotherProcessWhileItIsWrittenAndThinned) {
  constexpr std::uint64_t kMax = 1 << 20;
  const pid_t child = ::fork();
  if (child == 0) {
    auto reservoir = Reservoir::open(path(), {.max_bytes = kMax});
    for (std::int64_t time = 0; reservoir && time < 20 * kDay; time += 2 * kHour) {
      std::vector<JudgedRows> rows;
      for (const char* series : {"a", "b", "c", "d", "e", "f"}) {
        rows.push_back(judged_chunk(series, time, 120));
      }
      if (!reservoir->append(rows) || !reservoir->flush()) ::_exit(1);
    }
    ::_exit(reservoir ? 0 : 1);
  }
  int status = -1, reads = 0;
  std::int64_t newest = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    const auto rows = reader().read(kGroup, {});
    if (!rows) continue;  // it has not begun
    ASSERT_THAT(rows->damage, IsEmpty());
    std::int64_t last = 0;
    for (const auto& [series, chunks] : rows->series) {
      for (const JudgedRows& chunk : chunks) last = std::max(last, chunk.history.times.back());
    }
    EXPECT_GE(last, newest) << "the newest rows are always there";
    newest = last;
    ++reads;
  }
  EXPECT_EQ(status, 0);
  EXPECT_GT(reads, 0);
}

TEST_F(ReservoirTest, SetsAsideWhatIsFoundDamagedWhenItIsThinned) {
  constexpr std::uint64_t kMax = 1 << 20;
  Reservoir reservoir = open({.max_bytes = kMax});
  fill(reservoir, 4, 5, kMax);
  ASSERT_GT(files().size(), 2U);
  const fs::path damaged = files().front();
  flip(damaged, fs::file_size(damaged) - 10);
  EXPECT_THAT(read().damage, SizeIs(1));
  fill(reservoir, 4, 60, kMax);
  EXPECT_THAT(files(".damaged"), SizeIs(1));
  const auto troubles = reservoir.take_troubles();
  ASSERT_THAT(troubles, SizeIs(1));
  EXPECT_THAT(troubles[0].message,
              AllOf(HasSubstr(damaged.string()), HasSubstr("checksum"),
                    HasSubstr("kept as " + damaged.filename().string() + ".damaged")));
  EXPECT_EQ(reservoir.counters().segments_damaged, 1U);
  EXPECT_THAT(read().damage, IsEmpty());
  EXPECT_EQ(reservoir.bytes(), bytes_of(files())) << "what was set aside does not count";
}

History history(const std::string& series, std::size_t rows) {
  return judged_chunk(series, 0, rows).history;
}

TEST_F(ReservoirTest, KeepsTrainingRowsInOneFileExactly) {
  std::vector<History> histories{odd_chunk().history, history("a", 150'000), history("b", 10)};
  StateWriter before;
  pipeline::Windower::Options options;
  for (int i = 0; i < 20; ++i) {
    const double values[] = {1, 2};
    (void)histories[1].windower.add({"a", EventTime{std::chrono::seconds{i}}, i, values}, options,
                                    [](const auto&) {});
  }
  histories[1].windower.save(before);
  const fs::path file = folder_.path() / "v1.rows";
  ASSERT_TRUE(write_rows(file, two_channels(), histories));
  const auto back = read_rows(file);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->channels, two_channels());
  ASSERT_THAT(back->histories, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(same_rows(back->histories[i], histories[i])) << i;
  }
  StateWriter after;
  back->histories[1].windower.save(after);
  EXPECT_EQ(after.bytes(), before.bytes());
}

TEST_F(ReservoirTest, RefusesTrainingRowsThatAreCutOrDamaged) {
  const std::vector<History> histories{history("a", 30)};
  const fs::path file = folder_.path() / "v1.rows";
  ASSERT_TRUE(write_rows(file, two_channels(), histories));
  const std::string sound = content_of(file);
  for (std::uintmax_t at = 0; at < sound.size(); ++at) {
    put(file, sound);
    flip(file, at);
    const auto flipped = read_rows(file);
    ASSERT_FALSE(flipped) << at;
    EXPECT_EQ(flipped.error().kind, ErrorKind::kIncompatible);
    EXPECT_THAT(flipped.error().message, HasSubstr(file.string()));
    flip(file, at);
    fs::resize_file(file, at);
    EXPECT_FALSE(read_rows(file)) << at;
  }
  EXPECT_FALSE(read_rows(folder_.path() / "absent.rows"));
  EXPECT_FALSE(write_rows(file, {{"one", ""}}, histories)) << "two columns";
}

}  // namespace
}  // namespace anomalyd::runtime
