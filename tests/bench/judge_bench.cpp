// Nanoseconds per row of the judging half: residuals -> score -> threshold -> alert rule.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "daemon/pipeline/adaptive_tail.hpp"
#include "daemon/pipeline/detector.hpp"
#include "daemon/pipeline/tail_cost.hpp"

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kCalibrationRows = 2000;
constexpr std::size_t kRows = 1 << 15;

std::vector<float> normal_residuals(std::size_t count) {
  std::mt19937 random{1};
  std::normal_distribution<float> normal;
  std::vector<float> residuals(count);
  for (float& residual : residuals) residual = normal(random);
  return residuals;
}

void judge_row(benchmark::State& state) {
  const auto members = static_cast<std::size_t>(state.range(0));
  const auto channels = static_cast<std::size_t>(state.range(1));
  const auto residuals = normal_residuals(kRows * members * channels);
  const std::span<const float> rows{residuals};
  Detector detector =
      Detector::calibrate(rows.first(kCalibrationRows * members * channels), members, channels, {});
  std::size_t row = 0;
  for (auto _ : state) {
    const auto newest = rows.subspan(row * members * channels, members * channels);
    benchmark::DoNotOptimize(detector.judge(newest));
    row = (row + 1) % kRows;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(judge_row)->ArgNames({"members", "channels"})->Args({1, 4})->Args({3, 4})->Args({7, 38});

// A fleet judged in turn: every row finds its series' state outside the cache.
void judge_row_of_many_series(benchmark::State& state) {
  const std::size_t channels = 4;
  const auto residuals = normal_residuals(kRows * channels);
  const std::span<const float> rows{residuals};
  std::vector<Detector> fleet(
      static_cast<std::size_t>(state.range(0)),
      Detector::calibrate(rows.first(kCalibrationRows * channels), 1, channels, {}));
  std::size_t row = 0;
  for (auto _ : state) {
    const auto newest = rows.subspan(row % kRows * channels, channels);
    benchmark::DoNotOptimize(fleet[row % fleet.size()].judge(newest));
    ++row;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(judge_row_of_many_series)->ArgName("series")->Arg(20'000);

void tail_row(benchmark::State& state) {
  std::mt19937 random{1};
  std::exponential_distribution<double> exponential;
  std::vector<double> scores(kRows);
  for (double& score : scores) score = exponential(random);
  AdaptiveTail tail{std::span<const double>{scores}.first(kCalibrationRows), {}};
  std::size_t row = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(tail.observe(scores[row]));
    row = (row + 1) % kRows;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(tail_row);

void tail_cost_of_a_cell(benchmark::State& state) {
  const auto residuals = normal_residuals(1024);
  for (auto _ : state) {
    double sum = 0;
    for (const float z : residuals) sum += tail_cost(static_cast<double>(z));
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * 1024);
}
BENCHMARK(tail_cost_of_a_cell);

}  // namespace
}  // namespace anomalyd::pipeline

BENCHMARK_MAIN();
