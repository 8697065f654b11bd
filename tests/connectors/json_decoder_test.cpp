#include "tests/connectors/decoding.hpp"

namespace anomalyd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

TEST(WideJson, GivesARowWithAColumnForEveryNumber) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000000,"cpu":1.5,"mem":2,"name":"x","up":true})");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1.5, 2})));
  EXPECT_EQ(d.rows[0].time, kNoon);
  EXPECT_THAT(d.channels(), ElementsAre("cpu", "mem"));
}

TEST(WideJson, FindsColumnsWhateverTheOrderOfTheFields) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"cpu":1,"mem":2,"net":3})");
  d.decode(R"({"net":30,"ts":1700000001,"mem":20,"series":"b","cpu":10})");
  d.decode(R"({"cpu":100,"series":"c","ts":1700000002,"net":300})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2, 3}), IsRow("b", Values{10, 20, 30}),
                                  IsRow("c", Values{100, kNaN, 300})));
}

TEST(WideJson, AppendsAColumnWhenAFieldAppears) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"cpu":1})");
  const auto before = d.decoder->schema();
  d.decode(R"({"series":"a","ts":1700000001,"disk":9,"cpu":2})");
  EXPECT_THAT(before->channels, SizeIs(1)) << "a schema that was handed out never changes";
  EXPECT_THAT(d.channels(), ElementsAre("cpu", "disk"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("a", Values{2, 9})));
}

TEST(WideJson, KeepsTheSchemaWhileNothingNewComes) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"cpu":1})");
  const auto before = d.decoder->schema();
  d.decode(R"({"series":"b","ts":1700000000,"cpu":2})");
  EXPECT_EQ(d.decoder->schema(), before);
}

TEST(WideJson, TakesColumnsOverFromAnEarlierRun) {
  Decoding d;
  d.decoder->adopt({{{"mem", ""}, {"cpu", ""}}});
  d.decode(R"({"series":"a","ts":1700000000,"cpu":1,"mem":2,"net":3})");
  EXPECT_THAT(d.channels(), ElementsAre("mem", "cpu", "net"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{2, 1, 3})));
}

TEST(WideJson, NamesNestedFieldsByTheirPath) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"cpu":{"user":1,"sys":2},"net":{"in":{"bytes":3}}})");
  EXPECT_THAT(d.channels(), ElementsAre("cpu.user", "cpu.sys", "net.in.bytes"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2, 3})));
}

TEST(WideJson, TellsEqualKeysInDifferentObjectsApart) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"x":{"v":1},"y":{"v":2}})");
  d.decode(R"({"series":"a","ts":1700000001,"y":{"v":20},"x":{"v":10}})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2}), IsRow("a", Values{10, 20})));
}

TEST(WideJson, TakesListedChannelsOnlyWithNamesAndUnits) {
  Decoding d{
      {.channels = {{"/cpu/user", "user", "%"}, {"mem", "", "B"}, {"/temps/1", "inlet", "C"}}}};
  d.decode(
      R"({"series":"a","ts":1700000000,"mem":2,"cpu":{"user":1,"sys":7},"temps":[5,6,7],"x":9})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2, 6})));
  EXPECT_THAT(d.decoder->schema()->channels,
              ElementsAre(Channel{"user", "%"}, Channel{"mem", "B"}, Channel{"inlet", "C"}));
}

TEST(WideJson, ReadsADottedKeyAndANestedFieldAlike) {
  Decoding d{{.channels = {{"cpu.user", "", ""}}}};
  d.decode(R"({"series":"a","ts":1700000000,"cpu.user":1})");
  d.decode(R"({"series":"a","ts":1700000000,"cpu":{"user":2}})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("a", Values{2})));
}

TEST(WideJson, UnescapesJsonPointersAndKeys) {
  Decoding d{{.channels = {{"/a~1b", "slash", ""}, {"/c~0d", "tilde", ""}, {"quo\"te", "", ""}}}};
  d.decode(R"({"series":"a","ts":1700000000,"a/b":1,"c~d":2,"quo\"te":3})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2, 3})));
}

TEST(WideJson, NeverTakesAnEscapedKeyForAnotherOne) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"x\\":1,"x\"y":2})");
  d.decode(R"({"series":"a","ts":1700000000,"x\"y":20,"x\\":10})");
  EXPECT_THAT(d.channels(), ElementsAre("x\\", "x\"y"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2}), IsRow("a", Values{10, 20})));
}

TEST(WideJson, TakesNullEmptyAndNaNForMissing) {
  Decoding d{
      {.channels = {{"a", "", ""}, {"b", "", ""}, {"c", "", ""}, {"d", "", ""}, {"e", "", ""}}}};
  d.decode(R"({"series":"s","ts":1700000000,"a":null,"b":"NaN","c":"","d":"N/A","e":1})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("s", Values{kNaN, kNaN, kNaN, kNaN, 1})));
}

TEST(WideJson, ReadsANumberInTextAsThatNumber) {
  Decoding d{{.channels = {{"a", "", ""}, {"b", "", ""}}}};
  d.decode(R"({"series":"s","ts":"1700000000","a":" 1.5 ","b":"-2e3"})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("s", Values{1.5, -2000})));
  EXPECT_EQ(d.rows[0].time, kNoon);
}

TEST(WideJson, NeverDiscoversAChannelInText) {
  Decoding d;
  d.decode(R"({"series":"s","ts":1700000000,"host_id":"42","cpu":1})");
  EXPECT_THAT(d.channels(), ElementsAre("cpu"));
}

TEST(WideJson, TakesTextInADiscoveredChannelForMissing) {
  Decoding d;
  d.decode(R"({"series":"s","ts":1700000000,"code":200,"cpu":1})");
  d.decode(R"({"series":"s","ts":1700000001,"code":"error","cpu":2})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("s", Values{200, 1}), IsRow("s", Values{kNaN, 2})));
}

TEST(WideJson, ReadsAListedSwitchAsOneOrZero) {
  Decoding d{{.channels = {{"on", "", ""}, {"off", "", ""}}}};
  d.decode(R"({"series":"s","ts":1700000000,"on":true,"off":false})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("s", Values{1, 0})));
}

TEST(WideJson, KeepsLargeCountersExactly) {
  Decoding d;
  d.decode(
      R"({"series":"s","ts":1700000000,"bytes":9007199254740991,"huge":18446744073709551615})");
  EXPECT_EQ(d.rows[0].values[0], 9007199254740991.0);
  EXPECT_EQ(d.rows[0].values[1], 18446744073709551615.0);
}

TEST(WideJson, GivesARowForEachElementOfAnArray) {
  Decoding d;
  d.decode(R"([{"series":"a","ts":1700000000,"v":1},{"series":"b","ts":1700000000,"v":2}])");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("b", Values{2})));
}

TEST(WideJson, RejectsOnlyTheElementThatIsNoObject) {
  Decoding d;
  d.decode(R"([{"series":"a","ts":1700000000,"v":1},17,{"series":"b","ts":1700000000,"v":2}])");
  EXPECT_THAT(d.rows, SizeIs(2));
  EXPECT_THAT(d.rejects,
              ElementsAre(IsRejected(RejectReason::kWrongType, "found '17'; expected an object")));
}

TEST(WideJson, GivesARowForEachLine) {
  Decoding d;
  d.decode(
      "{\"series\":\"a\",\"ts\":1700000000,\"v\":1}\n\n{\"series\":\"b\",\"ts\":1700000000,\"v\":2}"
      "\r\n");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("b", Values{2})));
}

TEST(WideJson, RejectsOnlyTheLineThatIsDamaged) {
  Decoding d;
  d.decode(
      "{\"series\":\"a\",\"ts\":1700000000,\"v\":1}\n{\"series\":\n{\"series\":\"b\",\"ts\":"
      "1700000000,\"v\":2}");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("b", Values{2})));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kMalformed, "not valid JSON")));
}

TEST(WideJson, ReadsAnObjectThatIsSpreadOverLines) {
  Decoding d;
  d.decode("{\n  \"series\": \"a\",\n  \"ts\": 1700000000,\n  \"v\": 1\n}\n");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1})));
}

TEST(WideJson, LooksInsideAnEnvelope) {
  Decoding d{{.unwrap = "/payload/samples"}};
  d.decode(R"({"meta":1,"payload":{"samples":[{"series":"a","ts":1700000000,"v":1}]}})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1})));
  d.decode(R"({"meta":1})");
  EXPECT_THAT(d.rejects,
              ElementsAre(IsRejected(RejectReason::kMalformed, "nothing at '/payload/samples'")));
}

TEST(WideJson, RejectsWhatIsNotJsonWithItsBeginning) {
  for (const char* text :
       {"hello", "{", "{\"a\":}", "[1", "\"x\"", "17", "{\"series\":\"a\",\"v\":1.2.3}",
        "{\"series\":\"a\",\"v\":1} trailing", "{\"a\":1}{\"a\":2}", "\xff\xfe"}) {
    Decoding d;
    d.decode(text);
    EXPECT_THAT(d.rows, IsEmpty()) << text;
    EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kMalformed, "found '"))) << text;
  }
}

TEST(WideJson, RejectsAnEmptyRecord) {
  Decoding d;
  d.decode("");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kMalformed,
                                                "found an empty record; expected json")));
}

TEST(WideJson, RejectsAListedChannelThatIsNoNumber) {
  Decoding d{{.channels = {{"cpu", "", ""}}}};
  d.decode(R"({"series":"a","ts":1700000000,"cpu":"high"})");
  d.decode(R"({"series":"a","ts":1700000000,"cpu":{"user":1}})");
  d.decode(R"({"series":"a","ts":1700000000,"cpu":[1]})");
  EXPECT_THAT(
      d.rejects,
      ElementsAre(
          IsRejected(RejectReason::kWrongType, "channel 'cpu': found 'high'; expected a number"),
          IsRejected(RejectReason::kWrongType, "field 'cpu': found an object; expected a number"),
          IsRejected(RejectReason::kWrongType, "found an array")));
}

TEST(WideJson, RejectsASeriesIdOrTimeOfTheWrongType) {
  Decoding d;
  d.decode(R"({"series":{"a":1},"ts":1700000000,"v":1})");
  d.decode(R"({"series":"a","ts":true,"v":1})");
  d.decode(R"({"series":"a","ts":"yesterday","v":1})");
  EXPECT_THAT(d.rows, IsEmpty());
  EXPECT_THAT(
      d.rejects,
      ElementsAre(IsRejected(RejectReason::kWrongType,
                             "field 'series': found an object; expected text or a number"),
                  IsRejected(RejectReason::kWrongType, "field 'ts': found true; expected a time"),
                  IsRejected(RejectReason::kWrongType, "time: found 'yesterday'")));
}

TEST(WideJson, IsReadyForTheNextRecordAfterADamagedOne) {
  Decoding d;
  d.decode(R"({"series":"a","ts":1700000000,"v":1})");
  d.decode(R"({"series":"a","ts":1700000000,"v":)");
  d.decode(R"({"series":"a","ts":1700000000,"v":2})");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("a", Values{2})));
  EXPECT_THAT(d.rejects, SizeIs(1));
}

TEST(WideJson, DoesNotFollowNestingWithoutEnd) {
  Decoding d;
  std::string deep = R"({"series":"a","ts":1700000000,"v":1,"x":)";
  for (int i = 0; i < 500; ++i) deep += R"({"x":)";
  deep += "1" + std::string(501, '}');
  d.decode(deep);
  EXPECT_THAT(d.channels(), ElementsAre("v"));
}

TEST(WideJson, BoundsTheNamesItRemembers) {
  Decoding d{{.max_channels = 4}};
  for (int i = 0; i < 10'000; ++i) {
    d.decode(R"({"series":"a","ts":1700000000,"v":1,"tag)" + std::to_string(i) + R"(":"x"})");
  }
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.rows, SizeIs(10'000));
}

TEST(LongJson, PutsEachChannelIntoItsColumn) {
  Decoding d{{.format = Format::kJsonLong}};
  d.decode(R"({"series":"a","ts":1700000000,"metric":"cpu","value":1})");
  d.decode(R"({"series":"a","ts":1700000000,"metric":"mem","value":"2"})");
  d.decode(R"({"value":3,"metric":"cpu","series":"b","ts":1700000000})");
  EXPECT_THAT(d.channels(), ElementsAre("cpu", "mem"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("a", Values{kNaN, 2}),
                                  IsRow("b", Values{3, kNaN})));
}

TEST(LongJson, ReadsItsFieldsWhereTheyAreConfigured) {
  Decoding d{{.format = Format::kJsonLong,
              .channels = {{"cpu", "load", "%"}},
              .long_format = {.channel = "/tag/name", .value = "/v"}}};
  d.decode(R"({"series":"a","ts":1700000000,"tag":{"name":"cpu"},"v":1})");
  d.decode(R"({"series":"a","ts":1700000000,"tag":{"name":"unlisted"},"v":1})");
  EXPECT_THAT(d.rejects, IsEmpty()) << "a channel nobody asked for is no fault";
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1})));
  EXPECT_THAT(d.channels(), ElementsAre("load"));
}

TEST(LongJson, RejectsARecordWithoutAValue) {
  Decoding d{{.format = Format::kJsonLong}};
  d.decode(R"({"series":"a","ts":1700000000,"metric":"cpu","value":null})");
  d.decode(R"({"series":"a","ts":1700000000,"value":1})");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kNoChannels, "series 'a'"),
                                     IsRejected(RejectReason::kNoChannels, "series 'a'")));
}

TEST(LongJson, GivesPartsOfRows) {
  EXPECT_TRUE(SampleDecoder::gives_partial_rows({.format = Format::kJsonLong}));
  EXPECT_FALSE(SampleDecoder::gives_partial_rows({.format = Format::kJson}));
}

}  // namespace
}  // namespace anomalyd::testing
