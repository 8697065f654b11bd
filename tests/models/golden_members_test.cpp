#include <gmock/gmock.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "model_fixtures.hpp"

namespace anomalyd::models::testing {
namespace {

constexpr std::size_t kMembers = 4;
constexpr std::size_t kFirstRow = 64;  // the reference repeats its first full row before

struct Golden {
  std::size_t channels = 0;
  std::size_t fitted_rows = 0;
  std::size_t learned_rows = 0;  // of those of members with a memory
  std::vector<float> rows;       // [rows x channels]
  std::vector<float> residuals;  // [rows x members x channels]
};

std::vector<float> numbers_in(const std::string& line) {
  std::vector<float> numbers;
  std::istringstream cells{line};
  for (std::string cell; std::getline(cells, cell, ',');) numbers.push_back(std::stof(cell));
  return numbers;
}

Golden read_golden(const std::string& name) {
  std::ifstream file{"tests/golden/" + name + ".csv"};
  std::string line;
  std::getline(file, line);
  Golden golden;
  const std::vector<float> header = numbers_in(line);
  golden.channels = static_cast<std::size_t>(header.at(0));
  golden.fitted_rows = static_cast<std::size_t>(header.at(1));
  golden.learned_rows = static_cast<std::size_t>(header.back());
  const auto width = static_cast<std::ptrdiff_t>(golden.channels);
  while (std::getline(file, line)) {
    const std::vector<float> cells = numbers_in(line);
    golden.rows.insert(golden.rows.end(), cells.begin(), cells.begin() + width);
    golden.residuals.insert(golden.residuals.end(), cells.begin() + width, cells.end());
  }
  return golden;
}

class GoldenMembers : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenMembers, ResidualsEqualTheReferenceOnEveryRowWithFullContext) {
  const Golden golden = read_golden("members_" + GetParam());
  ASSERT_FALSE(golden.rows.empty());
  const auto fitted = static_cast<std::ptrdiff_t>(golden.fitted_rows * golden.channels);
  const auto scorer =
      trained({.kind = "linear", .device = "cpu", .threads = 1},
              training_set(golden.channels, {{golden.rows.begin(), golden.rows.begin() + fitted}}));
  ASSERT_TRUE(scorer);

  Batch batch = batch_of(*scorer, golden.rows);
  std::erase_if(batch.windows, [](const auto& window) { return window.end_row < kFirstRow; });
  const auto skipped = static_cast<std::ptrdiff_t>(kFirstRow * kMembers * golden.channels);
  const std::vector<float> expected{golden.residuals.begin() + skipped, golden.residuals.end()};
  EXPECT_THAT(residuals_of(scorer, batch), AllNear(expected, 1e-4F));
}

class GoldenMemory : public ::testing::TestWithParam<std::string> {};

// The bank takes the calibration rows in, then follows a drift; an anomaly stays out.
TEST_P(GoldenMemory, DistancesEqualTheReferenceOnEveryRowThatWasNotFitted) {
  const Golden golden = read_golden("memory_" + GetParam());
  ASSERT_FALSE(golden.rows.empty());
  const auto fitted = static_cast<std::ptrdiff_t>(golden.fitted_rows * golden.channels);
  const std::vector<float> fitted_rows{golden.rows.begin(), golden.rows.begin() + fitted};
  const auto scorer = trained({.kind = "bank16+bank32+bank32c", .device = "cpu", .threads = 1},
                              training_set(golden.channels, {fitted_rows}));
  ASSERT_TRUE(scorer);
  const auto memory = scorer->memorize(fitted_rows, 0, golden.learned_rows);
  ASSERT_TRUE(memory) << memory.error().message;

  Batch batch = batch_of(*scorer, golden.rows);
  std::erase_if(batch.windows,
                [&](const auto& window) { return window.end_row < golden.fitted_rows; });
  const auto skipped = static_cast<std::ptrdiff_t>(golden.fitted_rows * 3 * golden.channels);
  const std::vector<float> expected{golden.residuals.begin() + skipped, golden.residuals.end()};
  EXPECT_THAT(residuals_of(*scorer, batch, {*memory}), AllNear(expected, 1e-4F));
}

INSTANTIATE_TEST_SUITE_P(Shapes, GoldenMemory, ::testing::Values("three", "one", "few"),
                         [](const auto& kind) { return kind.param; });

INSTANTIATE_TEST_SUITE_P(Shapes, GoldenMembers, ::testing::Values("three", "one", "few"),
                         [](const auto& kind) { return kind.param; });

TEST(AutoModel, NamesItsMembersAndTheContextOfTheLongestLag) {
  const auto scorer = trained({.kind = "auto", .device = "cpu", .threads = 1},
                              training_set(2, {coupled_rows(400, 2, 1)}));
  ASSERT_TRUE(scorer);
  EXPECT_EQ(scorer->info().kind, "ensemble");
  EXPECT_THAT(scorer->info().members,
              ::testing::ElementsAre("var4", "bank16", "bank32c", "vard", "ar16", "pca", "bank32"));
  EXPECT_EQ(scorer->info().context, 65U);
  EXPECT_THAT(scorer->info().version, ::testing::MatchesRegex("[0-9a-f]{12}"));
}

TEST(AutoModel, RemembersCodesForMoreSeriesAndNothingForAFleet) {
  const Options options{.kind = "auto", .epochs = 1, .device = "cpu", .threads = 1};
  const auto members = [&](std::size_t num_series) {
    const std::vector<std::vector<float>> series(num_series, coupled_rows(16, 1, 1));
    TrainingReport report;
    const auto scorer = factory(options)->train(training_set(1, series), {}, {}, report);
    return scorer ? (*scorer)->info().members : std::vector<std::string>{};
  };
  EXPECT_THAT(members(65), ::testing::ElementsAre("var4", "vard", "ar16", "pca", "latent"));
  EXPECT_THAT(members(1001), ::testing::ElementsAre("var4", "vard", "ar16", "pca"));
}

}  // namespace
}  // namespace anomalyd::models::testing
