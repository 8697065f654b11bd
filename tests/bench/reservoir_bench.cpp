// Rows a second that one thread puts into a reservoir, and bytes on disk for a million of them.
// Run: reservoir_bench
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/runtime/reservoir.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/fleet.hpp"

namespace anomalyd::runtime {
namespace {

constexpr std::size_t kChannels = 4;
constexpr std::size_t kRows = 1'000'000;

/// A million rows of a generated fleet, four channels, in chunks of so many rows of a series.
/// `places`: decimals that the values are rounded to, as sensors send them; -1 leaves every bit.
std::vector<pipeline::JudgedRows> fleet_rows(std::size_t series, std::size_t chunk_rows,
                                             int places) {
  tools::Fleet::Options options{.machines = series};
  options.span = options.period * static_cast<std::int64_t>(kRows / series);
  options.clean = options.span / 2;
  tools::Fleet fleet{options};
  const auto& all = tools::Fleet::channels();
  const std::vector<Channel> channels{all.begin(), all.begin() + kChannels};
  std::vector<pipeline::JudgedRows> waiting(series);
  std::vector<pipeline::JudgedRows> chunks;
  const double power = std::pow(10.0, places);
  Offset offset = 0;
  const auto hand_over = [&](pipeline::JudgedRows& chunk) {
    if (!chunk.marks.empty()) chunks.push_back(std::move(chunk));
    chunk = {};
  };
  while (const auto row = fleet.next()) {
    pipeline::JudgedRows& chunk = waiting[row->machine];
    if (chunk.marks.empty()) {
      chunk.channels = channels;
      chunk.history.series = fleet.name(row->machine);
      chunk.history.width = kChannels;
    }
    chunk.history.times.push_back(row->time.time_since_epoch().count());
    chunk.history.offsets.push_back(offset++);
    chunk.history.gaps.push_back(0);
    for (std::size_t c = 0; c < kChannels; ++c) {
      const double value = row->values[c];
      chunk.history.rows.push_back(places < 0 ? value : std::round(value * power) / power);
    }
    chunk.marks.push_back(pipeline::RowMark::kNormal);
    if (chunk.marks.size() == chunk_rows) hand_over(chunk);
  }
  for (auto& chunk : waiting) hand_over(chunk);
  return chunks;
}

void append(benchmark::State& state) {
  const auto chunks =
      fleet_rows(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
                 static_cast<int>(state.range(2)));
  std::size_t rows = 0;
  std::uint64_t bytes = 0;
  for (const auto& chunk : chunks) rows += chunk.marks.size();
  for (auto _ : state) {
    const testing::TemporaryFolder folder;
    auto reservoir = Reservoir::open(folder.path(), {}).value();
    if (!reservoir.append(chunks) || !reservoir.flush()) std::abort();
    bytes = reservoir.bytes();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows));
  state.counters["bytes_per_million_rows"] =
      static_cast<double>(bytes) * 1e6 / static_cast<double>(rows);
}
BENCHMARK(append)
    ->ArgNames({"series", "chunk_rows", "places"})
    ->Args({100, 256, 3})
    ->Args({100, 256, -1})
    ->Args({5'000, 64, 3})
    ->Args({100'000, 8, 3})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace anomalyd::runtime

BENCHMARK_MAIN();
