#include "tools/figures_file.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.hpp"
#include "tools/figures_table.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsNan;

SeriesFigures series_named(const std::string& entity, double f1) {
  SeriesFigures one;
  one.group = "g";
  one.entity = entity;
  one.rows = 7;
  one.normal_rows = 3;
  one.nab = {.gain = 1, .range = 2};
  one.figures.event_f1 = f1;
  return one;
}

std::filesystem::path file_with(const TemporaryFolder& folder, const std::string& name,
                                std::vector<SeriesFigures> series) {
  auto path = folder.path() / name;
  EXPECT_TRUE(
      write_figures(path, {.kind = "pca", .seed = 3, .seconds = 1.5, .series = std::move(series)}));
  return path;
}

TEST(FiguresFile, IsReadAsItWasWritten) {
  TemporaryFolder folder;
  const auto read = read_figures(file_with(folder, "a.json", {series_named("x", 1.0 / 3)}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->kind, "pca");
  EXPECT_EQ(read->seed, 3U);
  EXPECT_EQ(read->seconds, 1.5);
  ASSERT_EQ(read->series.size(), 1U);
  EXPECT_EQ(read->series[0].entity, "x");
  EXPECT_EQ(read->series[0].normal_rows, 3U);
  EXPECT_EQ(read->series[0].nab.score(), 50);
  EXPECT_EQ(read->series[0].figures.event_f1, 1.0 / 3);
  EXPECT_THAT(read->series[0].figures.vus_pr, IsNan());
}

TEST(FiguresFile, WritesUndefinedFiguresAsNull) {
  TemporaryFolder folder;
  std::ifstream file{file_with(folder, "a.json", {series_named("x", 0.5)})};
  const auto json = nlohmann::json::parse(file);
  EXPECT_EQ(json["series"][0]["rows"], 7);
  EXPECT_EQ(json["groups"]["MACRO"]["event_f1"], 0.5);
  EXPECT_EQ(json["interval"]["low"]["event_f1"], 0.5);
  EXPECT_TRUE(json["groups"]["g"]["event_recall"].is_null());
}

TEST(FiguresFile, SaysWhatCannotBeReadOrWritten) {
  TemporaryFolder folder;
  EXPECT_THAT(read_figures(folder.path() / "none.json").error().message,
              HasSubstr("none.json: no such file"));
  EXPECT_THAT(read_figures(folder.write("b.json", "{\"kind\": 1}")).error().message,
              AllOf(HasSubstr("b.json: "), HasSubstr("expected what `evaluate --json` wrote")));
  EXPECT_THAT(write_figures(folder.path() / "no" / "a.json", {}).error().message,
              HasSubstr("cannot be written"));
}

TEST(CompareFiles, PairsSeriesByName) {
  TemporaryFolder folder;
  const auto before = file_with(folder, "a.json", {series_named("x", 0.2), series_named("y", 0.4)});
  const auto after = file_with(folder, "b.json", {series_named("y", 0.6), series_named("x", 0.4)});
  const auto comparison = compare_files(before, after);
  ASSERT_TRUE(comparison) << comparison.error().message;
  EXPECT_NEAR(comparison->difference.low.event_f1, 0.2, 1e-12);
  EXPECT_THAT(
      comparison_table(*comparison),
      HasSubstr("event F1          0.300      0.500      0.200      0.200      0.200  *\n"));
}

TEST(CompareFiles, RefusesOtherSeries) {
  TemporaryFolder folder;
  const auto one = file_with(folder, "a.json", {series_named("x", 0.2)});
  const auto other = file_with(folder, "b.json", {series_named("y", 0.2)});
  const auto two = file_with(folder, "c.json", {series_named("x", 0.2), series_named("y", 0.2)});
  EXPECT_THAT(
      compare_files(one, other).error().message,
      AllOf(HasSubstr("b.json: no g/x; expected the same series as in "), HasSubstr("a.json")));
  EXPECT_THAT(compare_files(one, two).error().message, HasSubstr("c.json: 2 series, not 1"));
  auto longer = series_named("x", 0.2);
  longer.rows = 8;
  EXPECT_THAT(compare_files(one, file_with(folder, "d.json", {longer})).error().message,
              HasSubstr("g/x has 8 rows, not 7"));
}

TEST(FiguresTable, EndsWithTheIntervalsOfTheMean) {
  const std::vector<SeriesFigures> all = {series_named("x", 0.25), series_named("y", 0.75)};
  const std::string table = figures_table(all);
  EXPECT_THAT(table, HasSubstr("MACRO            2"));
  EXPECT_THAT(table, HasSubstr("  95 % from"));
  EXPECT_THAT(table, HasSubstr("      0.500"));
}

TEST(KindsTable, HasMeanAndDeviationOverSeeds) {
  const auto run = [](double f1) {
    Headline one{.macro = {}, .beyond = {.beyond = 2, .of = 9}, .seconds = 4};
    one.macro.event_f1 = f1;
    return one;
  };
  const std::string single = kinds_table(std::vector<KindRuns>{{"pca", {run(0.5)}}});
  EXPECT_THAT(single, HasSubstr("      0.500"));
  EXPECT_THAT(single, Not(HasSubstr("sd")));
  const std::string two = kinds_table(std::vector<KindRuns>{{"vae", {run(0.4), run(0.6)}}});
  EXPECT_THAT(two, HasSubstr("      0.500"));
  EXPECT_THAT(two, HasSubstr("      0.141")) << "the sample's, by n - 1";
  EXPECT_THAT(kinds_table(std::vector<KindRuns>{{"vae", {run(0.4), run(Figures::kNone)}}}),
              HasSubstr("      0.400"))
      << "of the runs that have one";
  EXPECT_THAT(headline_text(run(0.5)),
              HasSubstr("event F1 0.500, NAB -, 2 of 9 series beyond 10 alpha"));
}

}  // namespace
}  // namespace anomalyd::tools
