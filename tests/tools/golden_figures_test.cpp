#include <gmock/gmock.h>

#include <map>

#include "tools/csv_file.hpp"
#include "tools/events.hpp"
#include "tools/figures.hpp"
#include "tools/ranking.hpp"

namespace anomalyd::tools {
namespace {

using ::testing::IsNan;

/// Cases of tests/golden/make_figures.py.
std::map<std::string, JudgedRows> golden_rows() {
  std::map<std::string, JudgedRows> cases;
  auto csv = CsvFile::open("tests/golden/figures_rows.csv");
  EXPECT_TRUE(csv);
  while (csv && *csv->next()) {
    JudgedRows& rows = cases[std::string{csv->fields()[0]}];
    rows.labels.push_back(csv->fields()[1] == "1" ? 1 : 0);
    rows.scores.push_back(*parse_cell(csv->fields()[2]));
    rows.alerts.push_back(csv->fields()[3] == "1" ? 1 : 0);
  }
  return cases;
}

TEST(GoldenFigures, AreThoseOfTheDefinitions) {
  const auto cases = golden_rows();
  auto golden = CsvFile::open("tests/golden/figures_golden.csv");
  ASSERT_TRUE(golden);
  std::size_t compared = 0;
  while (*golden->next()) {
    const std::string name{golden->fields()[0]};
    const JudgedRows& rows = cases.at(name);
    const auto [vus_pr, auc_pr] = rank(rows.labels, rows.scores);
    const auto [gain, range] = nab_points(rows.labels, rows.alerts);
    EXPECT_NEAR(vus_pr, *parse_cell(golden->fields()[1]), 1e-9) << name;
    EXPECT_NEAR(auc_pr, *parse_cell(golden->fields()[2]), 1e-9) << name;
    EXPECT_NEAR(gain, *parse_cell(golden->fields()[3]), 1e-9) << name;
    EXPECT_NEAR(range, *parse_cell(golden->fields()[4]), 1e-9) << name;
    ++compared;
  }
  EXPECT_EQ(compared, cases.size());
}

TEST(Rank, IsUndefinedWithoutEvents) {
  const auto [vus_pr, auc_pr] = rank(std::vector<std::uint8_t>(9, 0), std::vector<double>(9, 1.0));
  EXPECT_THAT(vus_pr, IsNan());
  EXPECT_THAT(auc_pr, IsNan());
  EXPECT_THAT(rank({}, {}).vus_pr, IsNan());
}

TEST(Rank, TakesInfiniteScoresForTheLargest) {
  const std::vector<std::uint8_t> labels = {0, 1, 0, 0};
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_DOUBLE_EQ(rank(labels, std::vector<double>{1, infinity, 3, 2}).auc_pr, 1);
  EXPECT_DOUBLE_EQ(rank(labels, std::vector<double>{1, -infinity, 3, 2}).auc_pr, 0.25);
  const double none = Figures::kNone;
  EXPECT_DOUBLE_EQ(rank(labels, std::vector<double>(4, none)).auc_pr, 0.25) << "nothing is known";
}

TEST(NabPoints, GiveAPerfectDetectorNearlyAHundred) {
  std::vector<std::uint8_t> labels(1000, 0);
  std::fill(labels.begin() + 400, labels.begin() + 500, std::uint8_t{1});
  std::vector<std::uint8_t> alerts(1000, 0);
  EXPECT_DOUBLE_EQ(nab_points(labels, alerts).score(), 0);
  alerts[400] = 1;
  EXPECT_DOUBLE_EQ(nab_points(labels, alerts).score(), 100);
  alerts[401] = alerts[450] = 1;
  EXPECT_DOUBLE_EQ(nab_points(labels, alerts).score(), 100) << "the first alert decides";
  alerts[100] = 1;
  EXPECT_DOUBLE_EQ(nab_points(labels, alerts).score(), 100 - 5.5);
  EXPECT_THAT(nab_points(std::vector<std::uint8_t>(9, 0), std::vector<std::uint8_t>(9, 0)).score(),
              IsNan());
}

}  // namespace
}  // namespace anomalyd::tools
