#include "daemon/runtime/incident_log.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

EventTime at(std::int64_t second) { return EventTime{std::chrono::seconds{second}}; }

Alert alert(const std::string& id, AlertState state, std::int64_t time) {
  Alert alert;
  alert.id = id;
  alert.state = state;
  alert.series = "m0";
  alert.start = at(100);
  alert.time = at(time);
  if (state == AlertState::kResolve) alert.end = at(time - 5);
  alert.severity = 40;
  alert.model_version = "v1";
  return alert;
}

class IncidentLogTest : public ::testing::Test {
 protected:
  void append(const std::string& text) const {
    std::ofstream{folder_.path() / "incidents.ndjson", std::ios::app | std::ios::binary} << text;
  }
  testing::TemporaryFolder folder_;
  IncidentLog log_{folder_.path()};
};

TEST_F(IncidentLogTest, IsEmptyWithoutAFile) {
  EXPECT_THAT(log_.read().value(), IsEmpty());
  EXPECT_THAT(log_.find("a1").error().message, HasSubstr("incident 'a1' is unknown"));
}

TEST_F(IncidentLogTest, KnowsAnIncidentAsItsLastAlertHadIt) {
  ASSERT_TRUE(log_.add(alert("a1b2", AlertState::kOpen, 100)));
  EXPECT_TRUE(log_.find("a1b2")->open);
  EXPECT_EQ(log_.find("a1b2")->end, at(100));
  ASSERT_TRUE(log_.add(alert("ffff", AlertState::kOpen, 120)));
  ASSERT_TRUE(log_.add(alert("a1b2", AlertState::kResolve, 160)));
  const auto known = log_.find("a1").value();
  EXPECT_EQ(known.id, "a1b2");
  EXPECT_EQ(known.series, "m0");
  EXPECT_EQ(known.start, at(100));
  EXPECT_EQ(known.end, at(155));
  EXPECT_FALSE(known.open);
  EXPECT_EQ(known.model_version, "v1");
  EXPECT_THAT(log_.read().value(),
              ElementsAre(Field(&KnownIncident::id, "ffff"), Field(&KnownIncident::id, "a1b2")));
}

TEST_F(IncidentLogTest, AsksForMoreOfAnIdThatIsAmbiguous) {
  ASSERT_TRUE(log_.add(alert("a1", AlertState::kOpen, 100)));
  ASSERT_TRUE(log_.add(alert("a12", AlertState::kOpen, 100)));
  EXPECT_THAT(log_.find("a").error().message, HasSubstr("ambiguous"));
  EXPECT_TRUE(log_.find("a1")) << "the whole id of one";
  EXPECT_FALSE(log_.find(""));
}

TEST_F(IncidentLogTest, GoesOnBehindATornLine) {
  ASSERT_TRUE(log_.add(alert("a1", AlertState::kOpen, 100)));
  append(R"({"incident":"b2","ser)");
  ASSERT_TRUE(log_.add(alert("c3", AlertState::kOpen, 100)));
  append("[]\n{}\nnot JSON\n");
  EXPECT_THAT(log_.read().value(),
              ElementsAre(Field(&KnownIncident::id, "a1"), Field(&KnownIncident::id, "c3")));
}

TEST_F(IncidentLogTest, ForgetsTheOldestWhenItGrowsTooLarge) {
  std::string lines;
  for (int i = 0; lines.size() <= std::size_t{16} << 20U; ++i) {
    lines += R"({"incident":"old)" + std::to_string(i) + R"(","series":")" + std::string(500, 's') +
             R"(","start":"2026-11-20T00:00:00Z","end":"2026-11-20T00:00:00Z",)" +
             R"("open":false,"severity":1,"model":"v"})" + "\n";
  }
  append(lines);
  ASSERT_TRUE(log_.add(alert("newest", AlertState::kOpen, 100)));
  EXPECT_LE(log_.read().value().size(), 20'000U);
  EXPECT_LT(std::filesystem::file_size(folder_.path() / "incidents.ndjson"), lines.size());
  EXPECT_TRUE(log_.find("newest"));
  EXPECT_FALSE(log_.find("old0"));
}

TEST_F(IncidentLogTest, SaysWhichFileItCannotWrite) {
  EXPECT_THAT(IncidentLog{"/proc/nowhere"}.add(alert("a", AlertState::kOpen, 1)).error().message,
              HasSubstr("/proc/nowhere/incidents.ndjson"));
}

}  // namespace
}  // namespace anomalyd::runtime
