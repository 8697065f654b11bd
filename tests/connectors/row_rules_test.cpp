// What is the same for every format: series ids, times and limits.
#include "tests/connectors/decoding.hpp"

namespace anomalyd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using namespace std::chrono_literals;
using Unit = SampleDecoder::TimeUnit;

std::string at(std::string_view time) {
  return R"({"series":"a","ts":)" + std::string{time} + R"(,"v":1})";
}

Record keyed(std::string_view key) {
  return {.topic = "metrics", .timestamp = kNoon, .key = key, .value = ""};
}

TEST(SeriesId, IsTheKeyWhereThereIsNoFieldCalledSeries) {
  Decoding d;
  d.decode(R"({"v":1})", keyed("k"));
  d.decode(R"({"v":1,"series":"s"})", keyed("k"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("k", Values{1}), IsRow("s", Values{1})));
}

TEST(SeriesId, IsJoinedFromEverythingARecordHas) {
  Decoding d{
      {.series = {.from = {"topic", "header:site", "/host/name", "rack", "key"}, .join = "/"}}};
  const Header headers[] = {{"site", "zrh"}, {"other", "x"}};
  Record record = keyed("k");
  record.headers = headers;
  d.decode(R"({"rack":7,"host":{"name":"web"},"v":1})", record);
  EXPECT_THAT(d.rows, ElementsAre(IsRow("metrics/zrh/web/7/k", Values{1})));
  EXPECT_THAT(d.channels(), ElementsAre("v")) << "a field of the id is no channel";
}

TEST(SeriesId, IsMissedWithTheNameOfThePart) {
  Decoding d{{.series = {.from = {"host", "header:site"}}}};
  d.decode(R"({"v":1})");
  d.decode(R"({"host":"a","v":1})");
  EXPECT_THAT(d.rejects,
              ElementsAre(IsRejected(RejectReason::kNoSeries, "'host' is absent or empty"),
                          IsRejected(RejectReason::kNoSeries, "'site' is absent or empty")));
  Decoding automatic;
  automatic.decode(R"({"v":1})");
  EXPECT_THAT(automatic.rejects,
              ElementsAre(IsRejected(RejectReason::kNoSeries, "no field 'series' and no key")));
}

TEST(SeriesId, MayNotBeEndless) {
  Decoding d;
  d.decode(R"({"v":1})", keyed(std::string(513, 'x')));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTooLong,
                                                "series id of 513 bytes; expected at most 512")));
}

struct TimeCase {
  std::string text;
  EventTime time;
};
class TimeOfRow : public ::testing::TestWithParam<TimeCase> {};

TEST_P(TimeOfRow, IsReadInItsUnit) {
  Decoding d;
  d.decode(at(GetParam().text));
  ASSERT_THAT(d.rejects, IsEmpty());
  EXPECT_EQ(to_rfc3339(d.rows.at(0).time), to_rfc3339(GetParam().time));
}

INSTANTIATE_TEST_SUITE_P(
    Auto, TimeOfRow,
    ::testing::Values(TimeCase{"1700000000", kNoon}, TimeCase{"1700000000.25", kNoon + 250ms},
                      TimeCase{"1700000000123", kNoon + 123ms},
                      TimeCase{"1.700000000123e12", kNoon + 123ms},
                      TimeCase{"1700000000123456", kNoon + 123456us},
                      TimeCase{"1700000000123456789", kNoon + 123456us},
                      TimeCase{R"("1700000000123")", kNoon + 123ms},
                      TimeCase{R"("2023-11-14T22:13:20Z")", kNoon},
                      TimeCase{R"("2023-11-14T22:13:20.123456789Z")", kNoon + 123456us},
                      TimeCase{R"("2023-11-14 23:13:20.5+01:00")", kNoon + 500ms},
                      TimeCase{R"("2023-11-14T17:43:20-0430")", kNoon},
                      TimeCase{R"("2023-11-14T22:13:20")", kNoon}));

TEST(TimeOfRow, RefusesWhatLooksLikeATimeButIsNone) {
  for (const char* text :
       {R"("2023-02-30T00:00:00Z")", R"("2023-11-14T25:00:00Z")", R"("2023-11-14")",
        R"("2023-11-14T22:13:20+1")", R"("2023-11-14T22:13:20Zx")", R"("2023-11-14T22:13:20.Z")",
        R"("now")", "1e300"}) {
    Decoding d;
    d.decode(at(text));
    EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kWrongType, "time: found")))
        << text;
  }
}

TEST(TimeOfRow, KeepsTheUnitOfATopicOnceItIsKnown) {
  Decoding d;
  d.decode(at("1700000000123"));
  d.decode(at("1700000000"));  // one row in seconds among milliseconds
  d.decode(at("1700000000"), {.topic = "other", .timestamp = {}, .key = "", .value = ""});
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTimeAbsurd,
                                                "found 1970-01-20T16:13:20.000Z (read as ms)")));
  EXPECT_THAT(d.rows, SizeIs(2));
  EXPECT_THAT(d.decoder->time_units(),
              ElementsAre(Pair("metrics", Unit::kMillis), Pair("other", Unit::kSeconds)));
}

TEST(TimeOfRow, NeverKeepsAUnitBecauseOfADamagedTime) {
  Decoding d;
  d.decode(at("0"));
  d.decode(at("1700000000123"));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTimeAbsurd, "1970-01-01")));
  EXPECT_THAT(d.rows, SizeIs(1));
}

TEST(TimeOfRow, ObeysTheConfiguredUnit) {
  Decoding d{{.time = {.field = "when", .unit = Unit::kSeconds}}};
  d.decode(R"({"series":"a","when":1700000000,"ts":5,"v":1})");
  d.decode(R"({"series":"a","when":1700000000123,"v":1})");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTimeAbsurd,
                                                "about the year 55840 (read as s)")));
  EXPECT_THAT(d.channels(), ElementsAre("ts", "v")) << "only the configured field is a time";

  Decoding text{{.time = {.field = "when", .unit = Unit::kRfc3339}}};
  text.decode(R"({"series":"a","when":1700000000,"v":1})");
  EXPECT_THAT(text.rejects,
              ElementsAre(IsRejected(RejectReason::kWrongType, "input.time.unit 'rfc3339'")));
}

TEST(TimeOfRow, ComesFromTheRecordWhereThereIsNoField) {
  Decoding d;
  d.decode(R"({"series":"a","v":1})");
  ASSERT_THAT(d.rows, SizeIs(1));
  EXPECT_EQ(d.rows[0].time, kNoon);

  Decoding record{{.time = {.field = "record"}}};
  record.decode(R"({"series":"a","v":1,"ts":1})");
  EXPECT_EQ(record.rows.at(0).time, kNoon);
  EXPECT_THAT(record.channels(), ElementsAre("v", "ts"));
}

TEST(TimeOfRow, IsMissedByName) {
  Decoding d;
  d.decode(R"({"series":"a","v":1})",
           {.topic = "metrics", .timestamp = {}, .key = "", .value = ""});
  EXPECT_THAT(d.rejects,
              ElementsAre(IsRejected(RejectReason::kNoTime, "no time field and no timestamp")));
  Decoding named{{.time = {.field = "/meta/when"}}};
  named.decode(R"({"series":"a","v":1,"meta":{"when":null}})");
  EXPECT_THAT(named.rejects, ElementsAre(IsRejected(RejectReason::kNoTime,
                                                    "field '/meta/when' is absent or null")));
}

TEST(TimeOfRow, MayBeAheadOfThisHostByTheLimitAndNoMore) {
  Decoding d{{.max_future = 1h}};
  const auto seconds = [&](std::chrono::seconds ahead) {
    return at(std::to_string(std::chrono::floor<std::chrono::seconds>(d.clock.wall() + ahead)
                                 .time_since_epoch()
                                 .count()));
  };
  const std::string in_an_hour = seconds(1h);
  const std::string later = seconds(1h + 1s);
  d.decode(in_an_hour);
  EXPECT_THAT(d.rejects, IsEmpty());
  d.decode(later);
  EXPECT_THAT(d.rejects,
              ElementsAre(IsRejected(RejectReason::kTimeAbsurd,
                                     "expected between 1990-01-01 and 3600 s from now")));
  d.clock.advance(1s);
  d.decode(later);
  EXPECT_THAT(d.rows, SizeIs(2)) << "the limit moves with the clock";
}

TEST(TimeOfRow, MayNotBeBefore1990) {
  Decoding d;
  d.decode(at(R"("1989-12-31T23:59:59Z")"));
  d.decode(at(R"("1990-01-01T00:00:00Z")"));
  EXPECT_THAT(d.rows, SizeIs(1));
  EXPECT_THAT(d.rejects,
              ElementsAre(IsRejected(RejectReason::kTimeAbsurd, "found 1989-12-31T23:59:59.000Z")));
}

TEST(Limits, RejectARecordOfTooManyBytes) {
  Decoding d{{.max_record_bytes = 64}};
  d.decode(std::string(65, ' '));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(
                             RejectReason::kTooLong,
                             "record of 65 bytes; expected at most input.max_record_bytes, 64")));
}

TEST(Limits, RejectARowWithAChannelTooMany) {
  Decoding d{{.max_channels = 2}};
  d.decode(R"({"series":"a","ts":1700000000,"x":1,"y":2})");
  d.decode(R"({"series":"a","ts":1700000000,"x":1,"y":2,"z":3})");
  d.decode(R"({"series":"a","ts":1700000000,"x":1,"y":2})");
  EXPECT_THAT(d.rows, SizeIs(2));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTooManyChannels,
                                                "channel 'z' is new beyond 2 known ones")));
}

TEST(Limits, RejectASeriesTooManyAndGoOnWithTheKnownOnes) {
  Decoding d{{.max_series = 2}};
  for (const char* key : {"a", "b", "c", "a", "d", "b"}) d.decode(R"({"v":1})", keyed(key));
  EXPECT_THAT(d.rows, SizeIs(4));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTooManySeries,
                                                "series 'c' is new beyond 2 known ones"),
                                     IsRejected(RejectReason::kTooManySeries, "series 'd'")));
}

TEST(Limits, MakeRoomForNewSeriesAfterADay) {
  Decoding d{{.max_series = 2}};
  for (const char* key : {"a", "b"}) d.decode(R"({"v":1})", keyed(key));
  d.clock.advance(25h);
  for (const char* key : {"c", "a", "b", "d"}) d.decode(R"({"v":1})", keyed(key));
  EXPECT_THAT(d.rows, SizeIs(5)) << "c is in, a and b were known, d is one too many";
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kTooManySeries, "series 'd'")));
}

TEST(Limits, RejectARowWithoutAnyValue) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000})");
  d.decode(R"({"series":"a","ts":1700000000,"v":null})");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kNoChannels,
                                                "series 'a': found no value; expected a number"),
                                     IsRejected(RejectReason::kNoChannels, "series 'a'")));
}

TEST(DecoderOptions, AreRefusedWithTheirNames) {
  ManualClock clock;
  const auto refusal = [&](Options options) {
    const auto created = SampleDecoder::create(std::move(options), clock);
    return created ? std::string{} : created.error().message;
  };
  EXPECT_THAT(refusal({.unwrap = "payload"}), HasSubstr("input.unwrap: found 'payload'"));
  EXPECT_THAT(refusal({.unwrap = "/a/~2"}),
              HasSubstr("input.unwrap: found '/a/~2'; expected a JSON pointer"));
  EXPECT_THAT(refusal({.series = {.from = {"/a~"}}}), HasSubstr("input.series.from: found '/a~'"));
  EXPECT_THAT(refusal({.time = {.field = "/~0/~x"}}), HasSubstr("input.time.field: found"));
  EXPECT_THAT(refusal({.channels = {{"/~1/~9", "", ""}}}), HasSubstr("input.channels: found"));
  EXPECT_THAT(refusal({.channels = {{"~2", "", ""}, {"/~0~1", "", ""}}}), IsEmpty());
  EXPECT_THAT(refusal({.series = {.from = {""}}}), HasSubstr("input.series.from"));
  EXPECT_THAT(refusal({.format = Format::kJsonLong, .long_format = {"v", "v"}}),
              HasSubstr("input.long"));
  EXPECT_THAT(refusal({.csv = {.delimiter = '"'}}), HasSubstr("input.csv.delimiter"));
  EXPECT_THAT(refusal({.channels = {{"", "", ""}}}), HasSubstr("input.channels"));
  EXPECT_THAT(refusal({.channels = {{"a", "x", ""}, {"b", "x", ""}}}),
              HasSubstr("'x' is there twice"));
  EXPECT_THAT(refusal({.channels = {{"a", "", ""}, {"b", "", ""}}, .max_channels = 1}),
              HasSubstr("2 entries"));
}

}  // namespace
}  // namespace anomalyd::testing
