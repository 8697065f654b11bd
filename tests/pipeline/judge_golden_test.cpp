#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/pipeline/adaptive_tail.hpp"
#include "daemon/pipeline/detector.hpp"
#include "daemon/pipeline/governor.hpp"

// The reference implementations keep float64 histograms and interpolate tail costs linearly
// between 8001 points; here bins are floats and the cost is exact to 1e-6. Hence the tolerances.
namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kCalibrationRows = 600;
constexpr double kTailStarts = 0.0199;  // p-values are recorded below this only
constexpr double kScoreTolerance = 1e-5;
constexpr double kPValueTolerance = 1e-3;

struct GoldenRow {
  std::vector<double> inputs;
  double score = 0;
  double p_value = 1;
  bool alert = false;
};

std::vector<GoldenRow> read_golden(const std::string& name, std::size_t num_inputs) {
  std::ifstream file{"tests/golden/" + name + ".csv"};
  std::string line;
  std::getline(file, line);  // the header
  std::vector<GoldenRow> rows;
  while (std::getline(file, line)) {
    std::istringstream cells{line};
    const auto next = [&cells] {
      std::string cell;
      std::getline(cells, cell, ',');
      return cell;
    };
    GoldenRow row;
    for (std::size_t i = 0; i < num_inputs; ++i) row.inputs.push_back(std::stod(next()));
    row.score = std::stod(next());
    const std::string p_value = next();
    row.p_value = p_value.empty() ? 1.0 : std::stod(p_value);
    row.alert = next() == "1";
    rows.push_back(row);
  }
  return rows;
}

// Both sides agree that a row is not in the tail, or agree on its probability.
void expect_same_p_value(double p_value, double golden, std::size_t row) {
  const double floor = 1e-12;
  if (golden >= kTailStarts) {
    EXPECT_GE(p_value, kTailStarts * (1 - kPValueTolerance)) << "row " << row;
    return;
  }
  EXPECT_NEAR(p_value / std::max(golden, floor), 1.0, kPValueTolerance) << "row " << row;
}

class TailGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(TailGolden, GivesTheProbabilitiesAndAlertsOfTheReference) {
  const auto rows = read_golden(std::string{"tail_"} + GetParam(), 0);
  ASSERT_EQ(rows.size(), 2400U);
  std::vector<double> scores;
  for (const auto& row : rows) scores.push_back(row.score);

  AdaptiveTail tail{std::span{scores}.first(kCalibrationRows),
                    {.trim = 1e-3,
                     .refit_excesses = 0,
                     .bins = 4096,
                     .drift_rows = GetParam() == std::string_view{"followed"} ? 400.0 : 0.0}};
  Governor governor{1e-3, {}};
  for (std::size_t i = kCalibrationRows; i < rows.size(); ++i) {
    const double p_value = tail.observe(scores[i]);
    const bool alert = p_value < governor.alpha();
    alert ? governor.on_alert_row() : governor.on_quiet_row();
    expect_same_p_value(p_value, rows[i].p_value, i);
    EXPECT_EQ(alert, rows[i].alert) << "row " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Streams, TailGolden,
                         ::testing::Values("exponential", "correlated", "drifting", "shifted",
                                           "spiky", "ties", "dirty", "followed"));

class DetectorGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(DetectorGolden, GivesTheScoresProbabilitiesAndAlertsOfTheReference) {
  const auto rows = read_golden(std::string{"detector_"} + GetParam(), 4);
  ASSERT_EQ(rows.size(), 1800U);
  std::vector<float> residuals;
  for (const auto& row : rows) {
    std::ranges::transform(row.inputs, std::back_inserter(residuals),
                           [](double value) { return static_cast<float>(value); });
  }
  const std::span<const float> all{residuals};
  Detector::Options options;
  options.alpha = 1e-3;
  options.threshold.tail.refit_excesses = 0;
  options.threshold.tail.bins = 4096;
  Detector detector = Detector::calibrate(all.first(kCalibrationRows * 4), 2, 2, options);
  for (std::size_t i = kCalibrationRows; i < rows.size(); ++i) {
    const Verdict verdict = detector.judge(all.subspan(i * 4, 4));
    EXPECT_NEAR(verdict.score / rows[i].score, 1.0, kScoreTolerance) << "row " << i;
    expect_same_p_value(verdict.p_value, rows[i].p_value, i);
    EXPECT_EQ(verdict.alert, rows[i].alert) << "row " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Streams, DetectorGolden,
                         ::testing::Values("incidents", "level", "returning"));

}  // namespace
}  // namespace anomalyd::pipeline
