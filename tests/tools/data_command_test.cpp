// `anomalyctl data`, run as an operator runs it.

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "tests/runtime/judged_chunks.hpp"
#include "tests/support/command_line.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using pipeline::JudgedRows;
using pipeline::RowMark;
using runtime::Reservoir;
using ::testing::AllOf;
using testing::anomalyctl;
using ::testing::HasSubstr;
using testing::judged_chunk;
using testing::kMinute;
using ::testing::Not;
using testing::Ran;

class DataCommand : public ::testing::Test {
 protected:
  Ran data(const std::string& arguments) const {
    return anomalyctl("data --state " + folder_.path().string() + " " + arguments);
  }
  void keep(const std::vector<JudgedRows>& rows) const {
    ASSERT_TRUE(Reservoir::open(folder_.path() / "reservoir", {}).value().append(rows));
  }
  /// m0 with an incident in its middle, and m1.
  void keep_two_series() const {
    keep({judged_chunk("m0", 0, 500), judged_chunk("m0", 500 * kMinute, 10, RowMark::kIncident),
          judged_chunk("m0", 510 * kMinute, 490), judged_chunk("m,1", 0, 50)});
  }
  fs::path csv() const { return folder_.path() / "rows.csv"; }
  std::vector<std::string> lines_of_csv() const {
    std::ifstream file{csv()};
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(DataCommand, TellsSeriesTimesAndWhatIsKeptOut) {
  keep_two_series();
  const Ran shown = data("");
  EXPECT_EQ(shown.code, 0);
  EXPECT_THAT(shown.said, AllOf(HasSubstr("load,heat: 2 series"), HasSubstr("1970-01-01T00:00"),
                                HasSubstr("1.0 % incident, 6.4 % near an incident"),
                                HasSubstr("1040 normal, 0 not ready, 0 data fault, 0 suspicious, "
                                          "10 incident")));
  EXPECT_THAT(data("--limit 1").said, HasSubstr("and 1 more series"));
  EXPECT_THAT(data("--series m0").said, Not(HasSubstr("m,1")));
}

TEST_F(DataCommand, TellsAllOfItAsJson) {
  keep_two_series();
  const Ran shown = data("--json");
  EXPECT_EQ(shown.code, 0);
  const json group = json::parse(shown.said).at("groups").at(0);
  EXPECT_EQ(group["group"], "load,heat");
  EXPECT_EQ(group["rows"], 1050);
  const json& m0 = group["series"]["m0"];
  EXPECT_EQ(m0["from"], "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(m0["until"], "1970-01-01T16:39:00.000Z");
  EXPECT_EQ(m0["learnable"], 926);
  EXPECT_EQ(m0["left_out"]["incident"], 10);
  EXPECT_EQ(m0["left_out"]["near an incident"], 64);
}

TEST_F(DataCommand, LetsInWhatAPersonHasCalledBenign) {
  keep_two_series();
  const auto at = [](std::int64_t row) {
    return EventTime{std::chrono::microseconds{row * kMinute}};
  };
  ASSERT_TRUE(runtime::FeedbackStore{folder_.path()}.add(
      {at(2000), "i1", "m0", at(500), at(509), runtime::Feedback::Verdict::kBenign, "backup"}));
  const json group = json::parse(data("--json").said).at("groups").at(0);
  EXPECT_EQ(group["series"]["m0"]["learnable"], 1000);
}

TEST_F(DataCommand, ExportsEveryRow) {
  keep_two_series();
  const Ran written = data("--csv " + csv().string());
  EXPECT_EQ(written.code, 0);
  EXPECT_THAT(written.said, HasSubstr("1050 rows written to"));
  const auto lines = lines_of_csv();
  ASSERT_EQ(lines.size(), 1051U);
  EXPECT_EQ(lines[0], "series,time,load,heat,mark");
  EXPECT_THAT(lines[1], ::testing::StartsWith("\"m,1\",1970-01-01T00:00:00.000Z,"));
  const auto& first = judged_chunk("m0", 0, 1).history.rows;
  EXPECT_THAT(lines[51], ::testing::StartsWith("m0,1970-01-01T00:00:00.000Z,"));
  const std::string values = lines[51].substr(std::string{"m0,1970-01-01T00:00:00.000Z,"}.size());
  EXPECT_EQ(std::stod(values), first[0]);
  EXPECT_EQ(std::stod(values.substr(values.find(',') + 1)), first[1]) << "to the last bit";
  EXPECT_THAT(lines[51], ::testing::EndsWith(",normal"));
  EXPECT_THAT(lines[551], ::testing::EndsWith(",incident"));
}

TEST_F(DataCommand, ExportsOneSeriesAndLeavesMissingCellsEmpty) {
  JudgedRows rows = judged_chunk("m0", 0, 1);
  rows.history.rows = {NAN, 2.5};
  keep({rows, judged_chunk("m1", 0, 3)});
  EXPECT_EQ(data("--series m0 --csv " + csv().string()).code, 0);
  const auto lines = lines_of_csv();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1], "m0,1970-01-01T00:00:00.000Z,,2.5,normal");
}

TEST_F(DataCommand, SaysWhatThereIsNot) {
  const Ran none = data("");
  EXPECT_EQ(none.code, 0);
  EXPECT_THAT(none.said, HasSubstr("no daemon with this state folder has kept rows yet"));
  EXPECT_EQ(data("--csv " + csv().string()).code, 1) << "there was nothing to export";
  EXPECT_EQ(json::parse(data("--json").said).at("groups").size(), 0U);

  keep_two_series();
  const Ran group = data("--group load");
  EXPECT_EQ(group.code, 1);
  EXPECT_THAT(group.said, HasSubstr("no rows of the group 'load'; expected one of:\n  load,heat"));
  for (const char* how : {"", " --json", " --csv x.csv"}) {
    const Ran series = data(std::string{"--series absent"} + how);
    EXPECT_EQ(series.code, 1);
    EXPECT_THAT(series.said, HasSubstr("no rows of the series 'absent'"));
  }
  EXPECT_THAT(anomalyctl("data").said, HasSubstr("expected --state DIR or --config FILE"));
}

TEST_F(DataCommand, SaysWhatIsWrongWithFiles) {
  keep_two_series();
  const Ran unwritable = data("--csv /proc/nowhere.csv");
  EXPECT_EQ(unwritable.code, 1);
  EXPECT_THAT(unwritable.said, HasSubstr("/proc/nowhere.csv: No such file or directory"));
  EXPECT_THAT(data("--csv /dev/full").said, HasSubstr("/dev/full: cannot be written to its end"));

  JudgedRows other = judged_chunk("m0", 0, 7);
  other.channels = {{"flow", ""}, {"heat", ""}};
  keep({other});
  EXPECT_THAT(data("--csv " + csv().string()).said,
              HasSubstr("expected --group with one of:\n  flow,heat\n  load,heat"));

  const fs::path group = Reservoir::folder_of(folder_.path() / "reservoir", "flow,heat");
  for (const auto& file : fs::directory_iterator{group}) fs::resize_file(file, 9);
  const Ran damaged = data("");
  EXPECT_EQ(damaged.code, 0) << "the other group is shown";
  EXPECT_THAT(damaged.said, AllOf(HasSubstr(group.string()), HasSubstr("load,heat: 2 series")));
  folder_.write("feedback.ndjson", "{}\n");
  EXPECT_THAT(data("").said, HasSubstr("feedback.ndjson:1: "));
}

}  // namespace
}  // namespace anomalyd::tools
