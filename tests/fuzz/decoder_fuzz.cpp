// Records come from anybody. The first byte of an input chooses the format, and the rest is the
// record; it is read twice, so that what the decoder learned from it is used as well.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "connectors/codec/alert_encoder.hpp"
#include "connectors/codec/sample_decoder.hpp"

namespace {

using namespace anomalyd;
using connectors::SampleDecoder;
using Format = SampleDecoder::Format;

class StoppedClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return {}; }
  EventTime wall() const override { return EventTime{std::chrono::seconds{1'800'000'000}}; }
};

SampleDecoder::Options options_for(std::uint8_t choice) {
  SampleDecoder::Options options{.max_record_bytes = 1 << 16, .max_channels = 32, .max_series = 64};
  options.format = static_cast<Format>(choice % 4);
  if ((choice & 4) != 0) {  // everything listed instead of discovered
    options.channels = {{"cpu", "load", "%"}, {"/net/in", "", ""}, {"/temps/1", "", ""}};
    options.series.from = {"host", "/tags/rack", "key"};
    options.csv.columns = {"host", "ts", "cpu", "tags.rack"};
  }
  if ((choice & 8) != 0) options.unwrap = "/payload/0";
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  StoppedClock clock;
  const auto decoder = SampleDecoder::create(options_for(data[0]), clock).value();
  const auto on_row = [&](std::string_view series, EventTime, std::span<const double> values) {
    const bool whole = values.size() == decoder->schema()->width() && values.size() <= 32;
    if (!whole || series.empty() || series.size() > 512) std::abort();
    for (const double value : values) {
      if (std::isinf(value)) std::abort();
    }
  };
  const auto on_reject = [](const Rejected& rejected) {
    if (rejected.detail.empty() || rejected.detail.size() > 2'000) std::abort();
  };
  for (int i = 0; i < 2; ++i) {
    decoder->decode(
        {.topic = "t", .offset = i, .timestamp = EventTime{}, .key = "k", .value = text}, on_row,
        on_reject);
  }
  if (const auto alert = connectors::parse_alert(text)) {
    (void)connectors::AlertEncoder{}.encode(*alert);
  }
  return 0;
}
