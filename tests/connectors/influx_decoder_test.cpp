#include "tests/connectors/decoding.hpp"

namespace anomalyd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

TEST(Influx, TakesMeasurementAndTagsForTheSeries) {
  Decoding d{{.format = Format::kInflux}};
  d.decode("cpu,host=a,core=0 user=1.5,sys=2i,idle=3u 1700000000000000000");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.channels(), ElementsAre("user", "sys", "idle"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("cpu,core=0,host=a", Values{1.5, 2, 3})));
  EXPECT_EQ(d.rows[0].time, kNoon);
}

TEST(Influx, GivesTheSameSeriesWhateverTheOrderOfTheTags) {
  Decoding d{{.format = Format::kInflux}};
  d.decode("cpu,a=1,b=2 v=1 1700000000000000000\ncpu,b=2,a=1 v=2 1700000001000000000\n");
  EXPECT_THAT(d.rows,
              ElementsAre(IsRow("cpu,a=1,b=2", Values{1}), IsRow("cpu,a=1,b=2", Values{2})));
}

TEST(Influx, JoinsMeasurementsOfOneHostIntoOneRow) {
  const Options options{.format = Format::kInflux, .series = {.from = {"host"}}};
  EXPECT_TRUE(SampleDecoder::gives_partial_rows(options));
  Decoding d{options};
  d.decode("cpu,host=a load=1 1700000000000000000\nmem,host=a used=2 1700000000000000000");
  EXPECT_THAT(d.channels(), ElementsAre("cpu.load", "mem.used"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("a", Values{kNaN, 2})));
}

TEST(Influx, JoinsTheTagsThatAreAskedFor) {
  Decoding d{{.format = Format::kInflux, .series = {.from = {"measurement", "host"}, .join = "/"}}};
  d.decode("cpu,core=3,host=a load=1 1700000000000000000");
  EXPECT_THAT(d.channels(), ElementsAre("load"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("cpu/a", Values{1})));
}

TEST(Influx, UnescapesNamesAndSkipsTextAndTruth) {
  Decoding d{{.format = Format::kInflux}};
  d.decode(
      R"(my\ cpu,host=a\,b\=c use\ d=1,note="x, \"y\" =z",up=true,down=F 1700000000000000000)");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.channels(), ElementsAre("use d"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("my cpu,host=a,b=c", Values{1})));
}

TEST(Influx, TakesALineEndInsideTextForText) {
  Decoding d{{.format = Format::kInflux}};
  d.decode("log text=\"one\ntwo\",v=1 1700000000000000000\nlog v=2 1700000001000000000");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("log", Values{1}), IsRow("log", Values{2})));
}

TEST(Influx, TakesTheRecordsTimeWhereTheLineHasNone) {
  Decoding d{{.format = Format::kInflux}};
  d.decode("cpu,host=a v=1\n# a comment\n\n");
  ASSERT_THAT(d.rows, SizeIs(1));
  EXPECT_EQ(d.rows[0].time, kNoon);
}

TEST(Influx, RejectsOnlyTheLineThatIsDamaged) {
  Decoding d{{.format = Format::kInflux}};
  d.decode(
      "cpu v=1 1700000000000000000\n,host=a v=1\ncpu\ncpu v=x\ncpu v=1 soon\ncpu,host v=1\n"
      "cpu v=\"open\ncpu v=1 1700000001000000000");
  EXPECT_THAT(
      d.rejects,
      ElementsAre(
          IsRejected(RejectReason::kMalformed,
                     "line 2: found ',host=a v=1'; expected a measurement"),
          IsRejected(RejectReason::kMalformed, "line 3: found 'cpu'; expected fields"),
          IsRejected(RejectReason::kMalformed, "expected a number, true, false or quoted text"),
          IsRejected(RejectReason::kMalformed, "expected a whole number as the time"),
          IsRejected(RejectReason::kMalformed, "expected tag=value"),
          IsRejected(RejectReason::kMalformed, "line 7")));
  EXPECT_THAT(d.rows, SizeIs(2));
}

TEST(Influx, RejectsALineOfTextAlone) {
  Decoding d{{.format = Format::kInflux}};
  d.decode("log,host=a text=\"x\" 1700000000000000000");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kNoChannels,
                                                "series 'log,host=a': found no value")));
}

}  // namespace
}  // namespace anomalyd::testing
