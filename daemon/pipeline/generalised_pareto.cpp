#include "daemon/pipeline/generalised_pareto.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace anomalyd::pipeline {
namespace {

constexpr double kNearlyZero = 1e-9;
// Factors 1 - b x lie within about [1e-3, 1e13]: this many of them can be multiplied before the
// logarithm has to be taken. One logarithm then serves sixteen values.
constexpr std::size_t kFactors = 16;

// -mean(log(1 - b x)) for every candidate b.
std::vector<double> shapes_of(std::span<const double> candidates, std::span<const double> values) {
  std::vector<double> sums(candidates.size(), 0.0);
  std::vector<double> products(candidates.size());
  for (std::size_t begin = 0; begin < values.size(); begin += kFactors) {
    std::ranges::fill(products, 1.0);
    for (const double x : values.subspan(begin, std::min(kFactors, values.size() - begin))) {
      for (std::size_t j = 0; j < candidates.size(); ++j) products[j] *= 1.0 - candidates[j] * x;
    }
    for (std::size_t j = 0; j < candidates.size(); ++j) sums[j] -= std::log(products[j]);
  }
  for (double& sum : sums) sum /= static_cast<double>(values.size());
  return sums;
}

std::vector<double> candidates_for(std::span<const double> values) {
  std::vector<double> sorted{values.begin(), values.end()};
  const double n = static_cast<double>(sorted.size());
  const auto quartile = sorted.begin() + std::max(0, static_cast<int>(std::lround(n / 4)) - 1);
  std::nth_element(sorted.begin(), quartile, sorted.end());
  const double largest = *std::max_element(quartile, sorted.end());
  const double first_quartile = std::max(*quartile, 1e-12 * largest);

  const int count = 30 + static_cast<int>(std::sqrt(n));
  std::vector<double> candidates(static_cast<std::size_t>(count));
  for (int j = 0; j < count; ++j) {
    candidates[static_cast<std::size_t>(j)] =
        1 / largest + (1 - std::sqrt(count / (j + 0.5))) / (3 * first_quartile);
  }
  return candidates;
}

}  // namespace

double GeneralisedPareto::probability_above(double excess) const {
  if (std::abs(shape) <= kNearlyZero) return std::exp(-excess / scale);
  const double base = shape * excess / scale;
  return base <= -1 ? 0.0 : std::exp(-std::log1p(base) / shape);
}

double GeneralisedPareto::excess_at(double probability) const {
  if (std::abs(shape) <= kNearlyZero) return -scale * std::log(probability);
  return scale / shape * std::expm1(-shape * std::log(probability));
}

double fit_shape(std::span<const double> excesses) {
  const auto candidates = candidates_for(excesses);
  const auto shapes = shapes_of(candidates, excesses);
  const double n = static_cast<double>(excesses.size());

  std::vector<double> log_likelihood(candidates.size());
  for (std::size_t j = 0; j < candidates.size(); ++j) {
    log_likelihood[j] = n * (std::log(candidates[j] / shapes[j]) + shapes[j] - 1);
  }
  const double best = std::ranges::max(log_likelihood);
  double weights = 0.0;
  double weighted = 0.0;
  for (std::size_t j = 0; j < candidates.size(); ++j) {
    const double weight = std::exp(log_likelihood[j] - best);
    weights += weight;
    weighted += weight * candidates[j];
  }
  const double candidate = weighted / weights;
  return -shapes_of({&candidate, 1}, excesses).front();
}

}  // namespace anomalyd::pipeline
