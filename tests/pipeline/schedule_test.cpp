#include "daemon/pipeline/schedule.hpp"

#include <gmock/gmock.h>

#include <set>

namespace anomalyd::pipeline {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A time of 2026-11-20, a Friday, or of the date given.
EventTime at(int hour, int minute, int second = 0,
             std::chrono::year_month_day date = {std::chrono::year{2026} / 11 / 20}) {
  return std::chrono::sys_days{date} + hours{hour} + minutes{minute} + std::chrono::seconds{second};
}
EventTime on(int year, unsigned month, unsigned day, int hour = 0, int minute = 0) {
  return at(hour, minute, 0,
            std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day});
}

std::string next(std::string_view schedule, EventTime last) {
  const auto parsed = Schedule::parse(schedule);
  if (!parsed) return parsed.error().message;
  const auto time = parsed->next_after(last);
  return time ? to_rfc3339(*time) : "never";
}

TEST(Schedule, CountsAnIntervalFromTheLastTime) {
  EXPECT_EQ(next("24h", at(15, 4, 5)), to_rfc3339(at(15, 4, 5) + hours{24}));
  EXPECT_EQ(next("90m", at(23, 0)), to_rfc3339(at(24, 30)));
  EXPECT_EQ(next("2d", at(0, 0)), to_rfc3339(on(2026, 11, 22)));
  EXPECT_EQ(next("1w", at(0, 0)), to_rfc3339(on(2026, 11, 27)));
  EXPECT_EQ(next("60s", at(0, 0)), to_rfc3339(at(0, 1)));
  EXPECT_EQ(Schedule::every(hours{24}), *Schedule::parse("24h"));
  EXPECT_EQ(Schedule::every(minutes{90}), *Schedule::parse("90m"));
}

TEST(Schedule, IsNeverDueWhenSaidSo) {
  EXPECT_EQ(next("never", at(0, 0)), "never");
  EXPECT_EQ(Schedule{}, *Schedule::parse("Never"));
}

TEST(Schedule, FindsTheNextTimeOfTheCalendarAndNeverTheSameOneAgain) {
  EXPECT_EQ(next("0 3 * * *", at(2, 59, 59)), to_rfc3339(at(3, 0)));
  EXPECT_EQ(next("0 3 * * *", at(3, 0)), to_rfc3339(on(2026, 11, 21, 3)));
  EXPECT_EQ(next("0 3 * * *", at(3, 0, 30)), to_rfc3339(on(2026, 11, 21, 3)));
  EXPECT_EQ(next("* * * * *", at(3, 0)), to_rfc3339(at(3, 1)));
}

TEST(Schedule, TakesStepsRangesAndLists) {
  EXPECT_EQ(next("*/15 * * * *", at(3, 0)), to_rfc3339(at(3, 15)));
  EXPECT_EQ(next("*/15 * * * *", at(23, 45)), to_rfc3339(at(24, 0)));
  EXPECT_EQ(next("30 8-18/2 * * *", at(8, 30)), to_rfc3339(at(10, 30)));
  EXPECT_EQ(next("30 8-18/2 * * *", at(18, 30)), to_rfc3339(on(2026, 11, 21, 8, 30)));
  EXPECT_EQ(next("5,35 1,13 * * *", at(1, 5)), to_rfc3339(at(1, 35)));
  EXPECT_EQ(next("5,35 1,13 * * *", at(1, 35)), to_rfc3339(at(13, 5)));
  EXPECT_EQ(next("0 0,6-7,20-23/3 * * *", at(7, 0)), to_rfc3339(at(20, 0)));
}

TEST(Schedule, KnowsTheNamesOfDaysAndMonths) {
  EXPECT_EQ(next("0 3 * * mon", at(0, 0)), to_rfc3339(on(2026, 11, 23, 3)));
  EXPECT_EQ(next("0 3 * * SUN", at(0, 0)), to_rfc3339(on(2026, 11, 22, 3)));
  EXPECT_EQ(next("0 3 * * 0", at(0, 0)), next("0 3 * * 7", at(0, 0)));
  EXPECT_EQ(next("0 3 * * sat-sun", on(2026, 11, 21, 3)), to_rfc3339(on(2026, 11, 22, 3)));
  EXPECT_EQ(next("0 3 * * mon-fri", at(3, 0)), to_rfc3339(on(2026, 11, 23, 3)));
  EXPECT_EQ(next("0 3 1 jan,jul *", at(0, 0)), to_rfc3339(on(2027, 1, 1, 3)));
}

TEST(Schedule, SkipsMonthsThatHaveNoSuchDay) {
  EXPECT_EQ(next("0 0 31 * *", on(2026, 10, 31)), to_rfc3339(on(2026, 12, 31)));
  EXPECT_EQ(next("0 0 30 * *", on(2027, 1, 30)), to_rfc3339(on(2027, 3, 30)));
  EXPECT_EQ(next("59 23 28-31 2 *", on(2027, 2, 28, 23, 59)), to_rfc3339(on(2028, 2, 28, 23, 59)));
}

TEST(Schedule, WaitsForTheLeapDayAndKnowsThat2100HasNone) {
  EXPECT_EQ(next("0 0 29 feb *", at(0, 0)), to_rfc3339(on(2028, 2, 29)));
  EXPECT_EQ(next("0 0 29 2 *", on(2096, 2, 29)), to_rfc3339(on(2104, 2, 29)));
}

TEST(Schedule, TakesEitherDayWhereBothAreGivenAsCronDoes) {
  EXPECT_EQ(next("0 0 1 * mon", at(0, 0)), to_rfc3339(on(2026, 11, 23)));
  EXPECT_EQ(next("0 0 1 * mon", on(2026, 11, 30)), to_rfc3339(on(2026, 12, 1)));
  EXPECT_EQ(next("0 0 */2 * mon", at(0, 0)), to_rfc3339(on(2026, 11, 23)))
      << "a star with a step restricts, and both must hold: the 23rd is odd and a Monday";
}

TEST(Schedule, SaysWhatIsWrong) {
  const auto error = [](std::string_view text) { return next(text, EventTime{}); };
  EXPECT_EQ(error("60 * * * *"),
            "schedule '60 * * * *': minute '60': not within its values; expected *, 0..59, a range "
            "a-b, a step such as */5, or a list of them; expected an interval such as 24h, five "
            "fields of cron such as 0 3 * * *, or never");
  EXPECT_THAT(error("0 24 * * *"), HasSubstr("hour '24'"));
  EXPECT_THAT(error("0 0 0 * *"), HasSubstr("day of the month '0'"));
  EXPECT_THAT(error("0 0 * 13 *"), AllOf(HasSubstr("month '13'"), HasSubstr("jan..dec")));
  EXPECT_THAT(error("0 0 * * 8"), AllOf(HasSubstr("day of the week '8'"), HasSubstr("sun..sat")));
  EXPECT_THAT(error("0 0 * * mo"), HasSubstr("day of the week 'mo'"));
  EXPECT_THAT(error("*/0 * * * *"), HasSubstr("the step is not a positive number"));
  EXPECT_THAT(error("*/x * * * *"), HasSubstr("the step is not a positive number"));
  EXPECT_THAT(error("5/15 * * * *"), HasSubstr("a step needs a range"));
  EXPECT_THAT(error("30-10 * * * *"), HasSubstr("the range ends before it begins"));
  EXPECT_THAT(error("1,,2 * * * *"), HasSubstr("not within its values"));
  EXPECT_THAT(error("1- * * * *"), HasSubstr("not within its values"));
  EXPECT_THAT(error("-1 * * * *"), HasSubstr("not within its values"));
  EXPECT_THAT(error("0 0 30 2 *"), HasSubstr("there is no such day"));
  EXPECT_THAT(error("0 0 31 apr,jun *"), HasSubstr("there is no such day"));
  EXPECT_THAT(error("0 3 * *"), HasSubstr("4 fields"));
  EXPECT_THAT(error("0 3 * * * *"), HasSubstr("6 fields"));
  EXPECT_THAT(error(""), HasSubstr("0 fields"));
  EXPECT_THAT(error("24"), HasSubstr("not a schedule"));
  EXPECT_THAT(error("24y"), HasSubstr("not a schedule"));
  EXPECT_THAT(error("-1h"), HasSubstr("not a schedule"));
  EXPECT_THAT(error("99999999999999h"), HasSubstr("not a schedule"));
  EXPECT_THAT(error("30s"), HasSubstr("not within 1m..520w"));
  EXPECT_THAT(error("521w"), HasSubstr("not within 1m..520w"));
}

TEST(Schedule, IsWrittenAsItIsRead) {
  for (const std::string text : {"24h", "0 3 * * *", "never", "*/15 8-18 1,15 jan mon-fri"}) {
    EXPECT_EQ(Schedule::parse(text)->text(), text);
  }
  EXPECT_EQ(Schedule::parse("  0  3 * * MON ")->text(), "0 3 * * mon");
}

TEST(Jitter, IsFixedForAGroupAndSpreadOverGroups) {
  const auto most = minutes{30};
  std::set<std::int64_t> minutes_seen;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "cpu,mem" + std::to_string(i);
    const auto jitter = jitter_of(key, most);
    EXPECT_EQ(jitter, jitter_of(key, most));
    EXPECT_GE(jitter.count(), 0);
    EXPECT_LT(jitter, most);
    minutes_seen.insert(std::chrono::floor<minutes>(jitter).count());
  }
  EXPECT_EQ(minutes_seen.size(), 30u) << "each of the thirty minutes is somebody's";
  EXPECT_EQ(jitter_of("any", minutes{0}).count(), 0);
}

}  // namespace
}  // namespace anomalyd::pipeline
