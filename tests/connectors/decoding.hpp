#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "connectors/codec/sample_decoder.hpp"
#include "tests/support/manual_clock.hpp"

namespace anomalyd::connectors {

inline void PrintTo(const SampleDecoder::TimeUnit& unit, std::ostream* out) {
  *out << to_string(unit);
}

}  // namespace anomalyd::connectors

namespace anomalyd {

inline void PrintTo(const Rejected& rejected, std::ostream* out) {
  *out << to_string(rejected.reason) << ": " << rejected.detail;
}

}  // namespace anomalyd

namespace anomalyd::testing {

using connectors::SampleDecoder;
using Format = SampleDecoder::Format;
using Options = SampleDecoder::Options;

constexpr EventTime kNoon = EventTime{std::chrono::seconds{1'700'000'000}};

/// A row as a test compares it.
struct DecodedRow {
  std::string series;
  EventTime time;
  std::vector<double> values;
};

/// Feeds records to a decoder and keeps what comes out.
class Decoding {
 public:
  explicit Decoding(Options options = {}) {
    auto created = SampleDecoder::create(std::move(options), clock);
    if (!created) throw std::runtime_error{created.error().message};
    decoder = std::move(*created);
  }

  void decode(std::string_view value,
              Record record = {.topic = "metrics", .timestamp = kNoon, .key = "", .value = ""}) {
    record.value = value;
    decoder->decode(
        record,
        [this](std::string_view series, EventTime time, std::span<const double> values) {
          rows.push_back({std::string{series}, time, {values.begin(), values.end()}});
        },
        [this](Rejected rejected) { rejects.push_back(std::move(rejected)); });
  }
  std::vector<std::string> channels() const {
    std::vector<std::string> names;
    for (const Channel& channel : decoder->schema()->channels) names.push_back(channel.name);
    return names;
  }

  ManualClock clock;
  std::unique_ptr<SampleDecoder> decoder;
  std::vector<DecodedRow> rows;
  std::vector<Rejected> rejects;
};

MATCHER_P2(IsRow, series, values, "") {
  return ::testing::ExplainMatchResult(::testing::Eq(series), arg.series, result_listener) &&
         ::testing::ExplainMatchResult(
             ::testing::Pointwise(::testing::NanSensitiveDoubleEq(), std::vector<double>(values)),
             arg.values, result_listener);
}

MATCHER_P2(IsRejected, reason, detail, "") {
  return ::testing::ExplainMatchResult(::testing::Eq(reason), arg.reason, result_listener) &&
         ::testing::ExplainMatchResult(::testing::HasSubstr(detail), arg.detail, result_listener);
}

using Values = std::vector<double>;
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace anomalyd::testing
