#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

// Synthetic score streams with fixed seeds, shared by the tests of the judging half.
namespace anomalyd::testing {

inline std::vector<double> exponential_scores(std::size_t rows, unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::exponential_distribution<double> distribution;
  std::vector<double> scores(rows);
  for (double& score : scores) score = distribution(random);
  return scores;
}

inline std::vector<double> lognormal_scores(std::size_t rows, unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::lognormal_distribution<double> distribution{0, 0.5};
  std::vector<double> scores(rows);
  for (double& score : scores) score = distribution(random);
  return scores;
}

/// Pareto excesses of shape 0.3 over 1: a heavy tail.
inline std::vector<double> pareto_scores(std::size_t rows, unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> uniform{1e-12, 1};
  std::vector<double> scores(rows);
  for (double& score : scores) score = std::pow(uniform(random), -0.3);
  return scores;
}

/// The exponential of an autoregressive process with this correlation between neighbours.
inline std::vector<double> correlated_scores(std::size_t rows, double correlation,
                                             unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::normal_distribution<double> normal;
  std::vector<double> scores(rows);
  double state = normal(random);
  for (double& score : scores) {
    state = correlation * state + std::sqrt(1 - correlation * correlation) * normal(random);
    score = std::exp(state);
  }
  return scores;
}

}  // namespace anomalyd::testing
