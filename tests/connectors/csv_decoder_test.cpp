#include "tests/connectors/decoding.hpp"

namespace anomalyd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Options with_columns(std::vector<std::string> columns, char delimiter = ',') {
  return {.format = Format::kCsv, .csv = {std::move(columns), delimiter}};
}

TEST(Csv, ReadsCellsByTheConfiguredColumns) {
  Decoding d{with_columns({"ts", "series", "cpu", "mem"})};
  d.decode("1700000000,a,1.5,2\n1700000001,b,3,4\n");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.channels(), ElementsAre("cpu", "mem"));
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1.5, 2}), IsRow("b", Values{3, 4})));
  EXPECT_EQ(d.rows[0].time, kNoon);
}

TEST(Csv, TakesTheFirstLineOfATopicForTheHeader) {
  Decoding d{{.format = Format::kCsv}};
  d.decode("series,ts,cpu");
  d.decode("a,1700000000,1");
  d.decode("series,ts,cpu\nb,1700000000,2");
  EXPECT_THAT(d.rejects, IsEmpty()) << "the header again is no fault";
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("b", Values{2})));
}

TEST(Csv, KeepsAHeaderForEachTopic) {
  Decoding d{{.format = Format::kCsv}};
  d.decode("series,ts,cpu\na,1700000000,1",
           {.topic = "one", .timestamp = {}, .key = "", .value = ""});
  d.decode("mem,series,ts\n2,b,1700000000",
           {.topic = "two", .timestamp = {}, .key = "", .value = ""});
  d.decode("a,1700000001,3", {.topic = "one", .timestamp = {}, .key = "", .value = ""});
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1}), IsRow("b", Values{kNaN, 2}),
                                  IsRow("a", Values{3, kNaN})));
}

TEST(Csv, RefusesDataBeforeAnyHeader) {
  Decoding d{{.format = Format::kCsv}};
  d.decode("a,1700000000,1");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kMalformed,
                                                "line 1: found data before any header")));
}

TEST(Csv, ReadsQuotedCells) {
  Decoding d{with_columns({"series", "ts", "note", "v"})};
  d.decode("\"a,b\",1700000000,\"say \"\"hi\"\"\nthere\",1\r\n\"c\"\"d\",1700000000,,\"2\"");
  EXPECT_THAT(d.rejects, IsEmpty());
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a,b", Values{1}), IsRow("c\"d", Values{2})));
}

TEST(Csv, ReadsOtherDelimiters) {
  Decoding d{with_columns({"series", "ts", "v", "w"}, ';')};
  d.decode("a;1700000000;1;2");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2})));
}

TEST(Csv, TakesEmptyAndNaNCellsForMissing) {
  Decoding d{with_columns({"series", "ts", "x", "y", "z"})};
  d.decode("a,1700000000,1,2,3");
  d.decode("a,1700000001,,NaN,5");
  d.decode("a,1700000002,7,-,");
  EXPECT_THAT(d.rows, ElementsAre(IsRow("a", Values{1, 2, 3}), IsRow("a", Values{kNaN, kNaN, 5}),
                                  IsRow("a", Values{7, kNaN, kNaN})));
}

TEST(Csv, RejectsOnlyTheLineWithTooFewOrTooManyCells) {
  Decoding d{with_columns({"series", "ts", "v"})};
  d.decode("a,1700000000,1\nb,1700000000\nc,1700000000,1,2\nd,1700000000,4");
  EXPECT_THAT(d.rows, SizeIs(2));
  EXPECT_THAT(
      d.rejects,
      ElementsAre(IsRejected(RejectReason::kMalformed, "line 2: found 2 cells; expected 3"),
                  IsRejected(RejectReason::kMalformed, "line 3: found 4 cells; expected 3")));
}

TEST(Csv, RejectsAQuoteThatDoesNotEnd) {
  Decoding d{with_columns({"series", "ts", "v"})};
  d.decode("a,1700000000,1\n\"b,1700000000,2\n");
  EXPECT_THAT(d.rows, SizeIs(1));
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kMalformed,
                                                "line 2: a quoted cell has no end")));
}

TEST(Csv, RejectsTextInAListedColumn) {
  auto options = with_columns({"series", "ts", "v"});
  options.channels = {{"v", "", ""}};
  Decoding d{options};
  d.decode("a,1700000000,high");
  EXPECT_THAT(d.rejects, ElementsAre(IsRejected(RejectReason::kWrongType,
                                                "channel 'v': found 'high'; expected a number")));
}

}  // namespace
}  // namespace anomalyd::testing
