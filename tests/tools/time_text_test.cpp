#include "tools/time_text.hpp"

#include <gmock/gmock.h>

namespace anomalyd::tools {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(ParseTime, UnderstandsRfc3339) {
  const EventTime expected =
      std::chrono::sys_days{std::chrono::November / 20 / 2026} + 22h + 15min + 4s + 120ms;
  EXPECT_EQ(parse_time("2026-11-20T22:15:04.120Z").value(), expected);
  EXPECT_EQ(parse_time("2026-11-20 22:15:04.12").value(), expected);
  EXPECT_EQ(parse_time("2026-11-21T00:15:04.120+02:00").value(), expected);
  EXPECT_EQ(parse_time("2026-11-20").value(), std::chrono::floor<std::chrono::days>(expected));
}

TEST(ParseTime, TakesTheUnitOfANumberFromItsSize) {
  const EventTime expected{1700000000s};
  for (const char* text :
       {"1700000000", "1700000000000", "1700000000000000", "1700000000000000000"}) {
    EXPECT_EQ(parse_time(text).value(), expected) << text;
  }
  EXPECT_EQ(parse_time("1700000000.5").value(), expected + 500ms);
}

TEST(ParseTime, RejectsOtherText) {
  for (const char* text : {"", "soon", "2026-13-01", "2026-11-20T25:00:00Z", "2026-11-20Tnoon"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
  EXPECT_THAT(parse_time("soon").error().message, HasSubstr("'soon' is not a time; expected"));
}

TEST(ParseDuration, NeedsAUnit) {
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("1.5h").value(), 90min);
  EXPECT_EQ(parse_duration("7d").value(), 168h);
  EXPECT_FALSE(parse_duration("10"));
  EXPECT_FALSE(parse_duration("ten minutes"));
}

}  // namespace
}  // namespace anomalyd::tools
