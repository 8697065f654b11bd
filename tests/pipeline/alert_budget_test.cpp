#include "daemon/pipeline/alert_budget.hpp"

#include <gmock/gmock.h>

namespace anomalyd::pipeline {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(AlertBudget, SpreadsAWeeklyBudgetOverTheRowsOfAWeek) {
  const auto budget = AlertBudget::parse("1 per series per week");
  ASSERT_TRUE(budget);
  EXPECT_DOUBLE_EQ(budget->per_row(1min, 500), 1.0 / (7 * 24 * 60));
}

TEST(AlertBudget, SharesAFleetBudgetAmongItsSeries) {
  const auto budget = AlertBudget::parse("20 per fleet per day");
  ASSERT_TRUE(budget);
  EXPECT_DOUBLE_EQ(budget->per_row(1min, 100), 20.0 / (24 * 60) / 100);
}

TEST(AlertBudget, CountsInRowsWithoutAPeriod) {
  const auto budget = AlertBudget::parse("1 per series per 1000 rows");
  ASSERT_TRUE(budget);
  EXPECT_TRUE(budget->rows.has_value());
  EXPECT_DOUBLE_EQ(budget->per_row(1h, 7), 1e-3);
}

TEST(AlertBudget, AcceptsFractionsCapitalsAndExtraBlanks) {
  const auto budget = AlertBudget::parse("  0.5 per Series  per Day ");
  ASSERT_TRUE(budget);
  EXPECT_EQ(budget->alerts, 0.5);
}

TEST(AlertBudget, WritesItselfAsItIsRead) {
  for (const char* text : {"1 per series per week", "0.5 per series per day",
                           "20 per fleet per hour", "1 per series per 1000 rows"}) {
    const auto budget = AlertBudget::parse(text);
    ASSERT_TRUE(budget) << text;
    EXPECT_EQ(budget->text(), text);
  }
}

class UnusableBudget : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(UnusableBudget, IsRejectedWithWhatWasFoundAndWhatIsExpected) {
  const auto budget = AlertBudget::parse(GetParam().first);
  ASSERT_FALSE(budget);
  EXPECT_EQ(budget.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(budget.error().message, HasSubstr(GetParam().second));
  EXPECT_THAT(budget.error().message, HasSubstr("expected '<number> per series|fleet"));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, UnusableBudget,
    ::testing::Values(std::pair{"", "not a budget"}, std::pair{"few per series per day", "'few'"},
                      std::pair{"0 per series per day", "'0' is not a positive number"},
                      std::pair{"-1 per series per day", "'-1'"},
                      std::pair{"nan per series per day", "'nan'"},
                      std::pair{"1 per host per day", "'host' is not a scope"},
                      std::pair{"1 per series per fortnight", "'fortnight' is not a unit"},
                      std::pair{"1 per series per x rows", "'x'"},
                      std::pair{"1 per series per day or so", "not a budget"}));

}  // namespace
}  // namespace anomalyd::pipeline
