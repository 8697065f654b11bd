#include "config/value.hpp"

#include <gmock/gmock.h>

namespace anomalyd::config {
namespace {

using namespace std::chrono_literals;
using ::testing::Eq;
using ::testing::Optional;

TEST(Duration, IsReadWithEveryUnit) {
  EXPECT_THAT(parse_duration("500us"), Optional(500us));
  EXPECT_THAT(parse_duration("20ms"), Optional(20ms));
  EXPECT_THAT(parse_duration("30s"), Optional(30s));
  EXPECT_THAT(parse_duration("5m"), Optional(5min));
  EXPECT_THAT(parse_duration("2h"), Optional(2h));
  EXPECT_THAT(parse_duration("7d"), Optional(168h));
  EXPECT_THAT(parse_duration("1w"), Optional(168h));
  EXPECT_THAT(parse_duration("1.5s"), Optional(1500ms));
}

TEST(Duration, IsRefusedWithoutUnitSignOrExactness) {
  for (const char* text : {"20", "0", "", "s", "-1s", "1 s", "1s2", "1parsec", "0.1us", "1e300s",
                           "nans", "infs", "1s ", "99999999999w"}) {
    EXPECT_THAT(parse_duration(text), Eq(std::nullopt)) << text;
  }
}

TEST(Duration, IsWrittenWithTheLargestUnitThatNeedsNoFraction) {
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(168h), "7d");
  EXPECT_EQ(format_duration(1500us), "1500us");
}

TEST(Bytes, AreReadAndWrittenWithTheirUnit) {
  EXPECT_THAT(parse_bytes("64MiB"), Optional(64 << 20));
  EXPECT_THAT(parse_bytes("0.5KiB"), Optional(512));
  EXPECT_THAT(parse_bytes("10kB"), Optional(10'000));
  EXPECT_THAT(parse_bytes("64"), Eq(std::nullopt));
  EXPECT_THAT(parse_bytes("64M"), Eq(std::nullopt));
  EXPECT_EQ(format_bytes(64 << 20), "64MiB");
  EXPECT_EQ(format_bytes(1000), "1kB");
  EXPECT_EQ(format_bytes(1001), "1001B");
  EXPECT_EQ(format_bytes(0), "0B");
}

TEST(Scalar, OfANumberMustBeAllOfTheText) {
  EXPECT_THAT(parse_scalar(Kind::kInteger, "12"), Optional(Value{std::int64_t{12}}));
  EXPECT_THAT(parse_scalar(Kind::kInteger, "12 "), Eq(std::nullopt));
  EXPECT_THAT(parse_scalar(Kind::kInteger, "1.0"), Eq(std::nullopt));
  EXPECT_THAT(parse_scalar(Kind::kInteger, "99999999999999999999"), Eq(std::nullopt));
  EXPECT_THAT(parse_scalar(Kind::kNumber, "1e-3"), Optional(Value{1e-3}));
  EXPECT_THAT(parse_scalar(Kind::kNumber, "nan"), Eq(std::nullopt));
  EXPECT_THAT(parse_scalar(Kind::kNumber, "inf"), Eq(std::nullopt));
  EXPECT_THAT(parse_scalar(Kind::kBool, "yes"), Eq(std::nullopt));
}

}  // namespace
}  // namespace anomalyd::config
