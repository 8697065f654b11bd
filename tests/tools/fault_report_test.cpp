#include "tools/fault_report.hpp"

#include <gmock/gmock.h>

namespace anomalyd::tools {
namespace {

using std::chrono::minutes;
using ::testing::HasSubstr;
using ::testing::SizeIs;

EventTime at(int minute) { return EventTime{minutes{minute}}; }

Alert incident(const std::string& id, const std::string& series, int minute,
               const std::string& channel = "cpu") {
  Alert alert;
  alert.id = id;
  alert.series = series;
  alert.start = alert.time = at(minute);
  alert.features = {{.name = channel, .unit = "", .observed = 1, .expected = 0, .share = 1}};
  return alert;
}

Truth two_faults() {
  return {.num_series = 2,
          .start = at(50),
          .series_weeks = 2,
          .faults = {{"level", "a", {"cpu"}, at(100), at(160)},
                     {"spike", "b", {"cpu"}, at(300), at(303)}}};
}

FaultReport report_of(const std::vector<Alert>& alerts) {
  IncidentBook book;
  for (const Alert& alert : alerts) book.add(alert);
  return compare(book, {two_faults(), minutes{10}});
}

TEST(FaultReport, TellsFoundFromMissedAndFalse) {
  const auto report =
      report_of({incident("1", "a", 103), incident("2", "a", 250), incident("3", "b", 20)});
  ASSERT_THAT(report.faults, SizeIs(2));
  ASSERT_TRUE(report.faults[0].incident);
  EXPECT_EQ(report.faults[0].delay, minutes{3});
  EXPECT_TRUE(report.faults[0].right_channel);
  EXPECT_FALSE(report.faults[1].incident);
  ASSERT_THAT(report.false_alerts, SizeIs(1));
  EXPECT_EQ(report.false_alerts[0].id, "2") << "3 came while learning";
  EXPECT_EQ(report.num_incidents, 2U);
  EXPECT_DOUBLE_EQ(report.incidents_per_week, 1);
}

TEST(FaultReport, CountsTheFirstIncidentOfAFault) {
  const auto report = report_of({incident("1", "a", 140, "disk"), incident("2", "a", 110)});
  EXPECT_EQ(report.faults[0].delay, minutes{10});
  EXPECT_THAT(report.false_alerts, SizeIs(0));
}

TEST(FaultReport, AllowsSlackBehindAFaultButNoneBefore) {
  EXPECT_TRUE(report_of({incident("1", "b", 313)}).faults[1].incident);
  EXPECT_FALSE(report_of({incident("1", "b", 314)}).faults[1].incident);
  EXPECT_FALSE(report_of({incident("1", "b", 299)}).faults[1].incident);
  EXPECT_FALSE(report_of({incident("1", "a", 301)}).faults[1].incident) << "another series";
}

TEST(FaultReport, CountsAnIncidentThatIsGoingOnAlready) {
  Alert early = incident("1", "b", 290);
  early.end = at(301);
  const auto report = report_of({early});
  EXPECT_TRUE(report.faults[1].incident);
  EXPECT_EQ(report.faults[1].delay, minutes{0});
}

TEST(FaultReport, CountsAPartOfTheTimeOnly) {
  IncidentBook book;
  book.add(incident("1", "a", 103));
  book.add(incident("2", "a", 165));  // of the fault that began before 160
  book.add(incident("3", "b", 250));
  book.add(incident("4", "b", 302));
  book.add(incident("5", "b", 800));
  constexpr double kWeek = 7 * 24 * 60;  // minutes
  Truth truth = two_faults();
  truth.series_weeks = 2 * 1000 / kWeek;  // from 50 to 1050
  const KnownFaults part{truth, minutes{10}, at(160), at(660)};
  const auto report = compare(book, part);
  ASSERT_THAT(report.faults, SizeIs(1));
  EXPECT_EQ(report.faults[0].fault.series, "b");
  EXPECT_TRUE(report.faults[0].incident);
  ASSERT_THAT(report.false_alerts, SizeIs(1));
  EXPECT_EQ(report.false_alerts[0].id, "3") << "2 belongs to a fault, 5 came later";
  EXPECT_EQ(report.num_incidents, 3U);
  EXPECT_NEAR(report.incidents_per_week, 3 / (2 * 500 / kWeek), 1e-6);
}

TEST(FaultReport, FindsAFaultThatIsReportedBehindTheTimeThatCounts) {
  IncidentBook book;
  book.add(incident("1", "a", 140));
  const auto report = compare(book, {two_faults(), minutes{10}, EventTime::min(), at(120)});
  ASSERT_THAT(report.faults, SizeIs(1));
  EXPECT_TRUE(report.faults[0].incident);
  EXPECT_EQ(report.num_incidents, 0U);
}

TEST(TruthArguments, SayWhichTimeTheyCannotRead) {
  TruthArguments arguments;
  arguments.since = "yesterday";
  const auto known = arguments.load();
  ASSERT_FALSE(known);
  EXPECT_THAT(known.error().message, HasSubstr("--since"));
  EXPECT_THAT(known.error().message, HasSubstr("yesterday"));
}

TEST(FaultReport, PrintsATableWithTotals) {
  const std::string table =
      report_table(report_of({incident("1", "a", 103, "disk")}), "1 per series per week");
  EXPECT_THAT(table, HasSubstr("found    3m 00s  disk (another)"));
  EXPECT_THAT(table, HasSubstr("missed\n"));
  EXPECT_THAT(table, HasSubstr("faults found      1 of 2"));
  EXPECT_THAT(table, HasSubstr("achieved rate     0.50 incidents per series per week"));
  EXPECT_THAT(table, HasSubstr("budget            1 per series per week"));
}

}  // namespace
}  // namespace anomalyd::tools
