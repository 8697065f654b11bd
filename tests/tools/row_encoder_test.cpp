#include "tools/row_encoder.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "connectors/codec/sample_decoder.hpp"

namespace anomalyd::tools {
namespace {

using ::testing::ElementsAre;
using Format = RowEncoder::Format;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
const std::vector<Channel> kChannels = {{"cpu", "%"}, {"mem, used", "%"}, {"io", ""}};
const EventTime kTime{std::chrono::milliseconds{1'700'000'000'250}};

std::vector<std::string> encoded(Format format, std::vector<double> values,
                                 std::string_view series = "host-1") {
  RowEncoder encoder{format};
  std::vector<std::string> records;
  encoder.encode({"g", series, kTime, kChannels, values},
                 [&](std::string_view record) { records.emplace_back(record); });
  return records;
}

TEST(RowEncoder, WritesEachFormat) {
  EXPECT_THAT(
      encoded(Format::kJson, {1.5, kMissing, -2}),
      ElementsAre(R"({"ts":1700000000250,"series":"host-1","cpu":1.5,"mem, used":null,"io":-2})"));
  EXPECT_THAT(encoded(Format::kJsonLong, {1.5, kMissing, -2}),
              ElementsAre(R"({"ts":1700000000250,"series":"host-1","metric":"cpu","value":1.5})",
                          R"({"ts":1700000000250,"series":"host-1","metric":"io","value":-2})"));
  EXPECT_THAT(encoded(Format::kCsv, {1.5, kMissing, -2}),
              ElementsAre("ts,series,cpu,\"mem, used\",io\n1700000000250,host-1,1.5,,-2"));
  EXPECT_THAT(encoded(Format::kInflux, {1.5, kMissing, -2}, "a b"),
              ElementsAre("a\\ b cpu=1.5,io=-2 1700000000250000000"));
}

TEST(RowEncoder, WritesNothingForARowWithoutCellsWhereTheFormatHasNone) {
  EXPECT_THAT(encoded(Format::kInflux, {kMissing, kMissing, kMissing}), ElementsAre());
  EXPECT_THAT(encoded(Format::kJsonLong, {kMissing, kMissing, kMissing}), ElementsAre());
}

TEST(RowEncoder, EscapesNamesInJson) {
  EXPECT_THAT(
      encoded(Format::kJsonLong, {1, kMissing, kMissing}, "say \"hi\""),
      ElementsAre(R"({"ts":1700000000250,"series":"say \"hi\"","metric":"cpu","value":1})"));
}

TEST(RowEncoder, KnowsItsFormatsByName) {
  EXPECT_EQ(RowEncoder::parse_format("influx").value(), Format::kInflux);
  EXPECT_FALSE(RowEncoder::parse_format("xml"));
}

class RoundTrip : public ::testing::TestWithParam<const char*> {};

TEST_P(RoundTrip, TheDaemonReadsWhatIsWrittenWithItsDefaults) {
  using connectors::SampleDecoder;
  SampleDecoder::Options options;
  for (const auto format : {SampleDecoder::Format::kJson, SampleDecoder::Format::kJsonLong,
                            SampleDecoder::Format::kCsv, SampleDecoder::Format::kInflux}) {
    if (to_string(format) == GetParam()) options.format = format;
  }
  auto decoder = SampleDecoder::create(options, system_clock());
  ASSERT_TRUE(decoder) << decoder.error().message;

  const std::vector<double> values = {0.1 + 0.2, 1e12 + 0.25, -3};
  std::vector<double> read(values.size(), kMissing);
  for (const auto& record : encoded(*RowEncoder::parse_format(GetParam()), values)) {
    (*decoder)->decode(
        {.partition = 0, .topic = "t", .offset = 0, .timestamp = {}, .key = "", .value = record},
        [&](std::string_view series, EventTime time, std::span<const double> row) {
          EXPECT_EQ(series, "host-1");
          EXPECT_EQ(time, kTime);
          for (std::size_t i = 0; i < row.size(); ++i) {
            const auto& name = (*decoder)->schema()->channels[i].name;
            for (std::size_t c = 0; c < kChannels.size(); ++c) {
              if (kChannels[c].name == name && !std::isnan(row[i])) read[c] = row[i];
            }
          }
        },
        [](const Rejected& why) { ADD_FAILURE() << why.detail; });
  }
  EXPECT_EQ(read, values) << "bit for bit";
}

INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip,
                         ::testing::Values("json", "json_long", "csv", "influx"),
                         [](const auto& test) { return std::string{test.param}; });

}  // namespace
}  // namespace anomalyd::tools
