#include "tools/incident_table.hpp"

#include <gmock/gmock.h>

namespace anomalyd::tools {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

Alert alert(const std::string& id, AlertState state, int time) {
  Alert result;
  result.id = id;
  result.state = state;
  result.series = "machine-04";
  result.start = EventTime{seconds{1'700'000'000}};
  result.time = result.start + seconds{time};
  if (state == AlertState::kResolve) result.end = result.time;
  result.severity = 63;
  result.features = {{"latency", "ms", 41.23, 18.04, 0.71}, {"cpu", "%", 12, 30, 0.2}};
  result.model_kind = "ensemble";
  result.model_version = "ab12cd34";
  result.summary = "latency is far above what the load explains";
  return result;
}

TEST(IncidentBook, KeepsTheNewestMessageOfEachIncident) {
  IncidentBook book;
  EXPECT_TRUE(book.add(alert("a", AlertState::kOpen, 60)));
  EXPECT_TRUE(book.add(alert("b", AlertState::kOpen, 0)));
  EXPECT_TRUE(book.add(alert("a", AlertState::kResolve, 300)));
  EXPECT_FALSE(book.add(alert("a", AlertState::kOpen, 60))) << "a repetition";
  ASSERT_THAT(book.incidents(), SizeIs(2));
  EXPECT_EQ(book.incidents()[0].state, AlertState::kResolve);
  EXPECT_EQ(book.reported("a"), EventTime{seconds{1'700'000'060}});
}

TEST(IncidentLine, FitsOneLine) {
  EXPECT_EQ(incident_line(alert("a", AlertState::kResolve, 720), Colour::kNone),
            "resolve  major 63     machine-04           2023-11-14 22:13:20  12m 00s  "
            "latency 41.23 ms (expected 18.04)            ensemble ab12cd34");
}

TEST(IncidentLine, IsColouredOnlyWhenAsked) {
  EXPECT_THAT(incident_line(alert("a", AlertState::kOpen, 0), Colour::kAnsi),
              HasSubstr("\033[31m"));
  EXPECT_THAT(incident_line(alert("a", AlertState::kOpen, 0), Colour::kNone),
              Not(HasSubstr("\033")));
}

TEST(IncidentLine, NamesDataFaultsByTheirType) {
  Alert gap = alert("a", AlertState::kOpen, 0);
  gap.type = AlertType::kGap;
  EXPECT_THAT(incident_line(gap, Colour::kNone), HasSubstr(" gap "));
}

TEST(IncidentDetails, ExplainTheIncident) {
  const std::string text = incident_details(alert("a", AlertState::kOpen, 0));
  EXPECT_THAT(text, HasSubstr("far above what the load explains"));
  EXPECT_THAT(text, Not(HasSubstr("71 %  latency"))) << "the summary names it";
  EXPECT_THAT(text, HasSubstr("20 %  cpu 12 % (expected 30)"));
}

}  // namespace
}  // namespace anomalyd::tools
