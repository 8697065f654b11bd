// How many records a second one core decodes. Run: codec_bench
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "connectors/codec/sample_decoder.hpp"

namespace anomalyd::connectors {
namespace {

using Format = SampleDecoder::Format;

constexpr std::size_t kRecords = 50'000;
constexpr std::int64_t kStartMillis = 1'700'000'000'000;

std::string json_record(std::size_t i) {
  const auto x = static_cast<double>(i % 1000);
  return fmt::format(
      R"({{"series":"h{:05}","ts":{},"cpu":{:.3f},"mem":{:.3f},"net":{:.3f},"io":{:.3f}}})",
      i % 5000, kStartMillis + static_cast<std::int64_t>(i), x / 7, x / 11, x * 13, x / 3);
}

std::string nested_record(std::size_t i) {
  const auto x = static_cast<double>(i % 1000);
  return fmt::format(
      R"({{"host":{{"name":"h{:05}"}},"ts":{},"cpu":{{"user":{:.3f},"sys":{:.3f}}},"net":{{"in":{:.3f},"out":{:.3f}}}}})",
      i % 5000, kStartMillis + static_cast<std::int64_t>(i), x / 7, x / 11, x * 13, x / 3);
}

std::string long_record(std::size_t i) {
  constexpr const char* kChannels[] = {"cpu", "mem", "net", "io"};
  return fmt::format(R"({{"series":"h{:05}","ts":{},"metric":"{}","value":{:.3f}}})", i / 4 % 5000,
                     kStartMillis + static_cast<std::int64_t>(i), kChannels[i % 4],
                     static_cast<double>(i % 1000) / 7);
}

std::string csv_record(std::size_t i) {
  const auto x = static_cast<double>(i % 1000);
  return fmt::format("h{:05},{},{:.3f},{:.3f},{:.3f},{:.3f}", i % 5000,
                     kStartMillis + static_cast<std::int64_t>(i), x / 7, x / 11, x * 13, x / 3);
}

std::string influx_record(std::size_t i) {
  const auto x = static_cast<double>(i % 1000);
  return fmt::format("host,name=h{:05} cpu={:.3f},mem={:.3f},net={:.3f},io={:.3f} {}000000",
                     i % 5000, x / 7, x / 11, x * 13, x / 3,
                     kStartMillis + static_cast<std::int64_t>(i));
}

SampleDecoder::Options options_for(Format format) {
  SampleDecoder::Options options{.format = format};
  if (format == Format::kCsv) options.csv.columns = {"series", "ts", "cpu", "mem", "net", "io"};
  return options;
}

void decode(benchmark::State& state, Format format, std::string (*make)(std::size_t),
            SampleDecoder::SeriesSpec series = {}) {
  auto options = options_for(format);
  options.series = std::move(series);
  auto decoder = SampleDecoder::create(options, system_clock()).value();
  std::vector<std::string> records;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kRecords; ++i) bytes += records.emplace_back(make(i)).size();

  double sum = 0;
  std::size_t rows = 0;
  const Decoder::RowFn on_row = [&](std::string_view, EventTime, std::span<const double> values) {
    sum += values[0];
    ++rows;
  };
  const Decoder::RejectFn on_reject = [](const Rejected& rejected) {
    fmt::print(stderr, "{}\n", rejected.detail);
    std::abort();
  };
  Record record;
  record.topic = "metrics";
  for (auto _ : state) {
    for (const std::string& text : records) {
      record.value = text;
      decoder->decode(record, on_row, on_reject);
    }
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(static_cast<std::int64_t>(rows));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(bytes));
  state.counters["us_per_record"] = benchmark::Counter(
      static_cast<double>(rows) / 1e6, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK_CAPTURE(decode, json_wide, Format::kJson, json_record);
BENCHMARK_CAPTURE(decode, json_nested, Format::kJson, nested_record, {.from = {"/host/name"}});
BENCHMARK_CAPTURE(decode, json_long, Format::kJsonLong, long_record);
BENCHMARK_CAPTURE(decode, csv, Format::kCsv, csv_record);
BENCHMARK_CAPTURE(decode, influx, Format::kInflux, influx_record);

}  // namespace
}  // namespace anomalyd::connectors

BENCHMARK_MAIN();
