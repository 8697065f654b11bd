#include "tools/evaluation_report.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kTrainEnd = 100;

LabelledSeries series_of(std::size_t rows) {
  LabelledSeries series;
  series.channels = {{"quiet", ""}, {"</script>", ""}};
  for (std::size_t i = 0; i < rows; ++i) {
    series.t.push_back(static_cast<std::int64_t>(i));
    series.times.push_back(EventTime{seconds{1'700'000'000 + 60 * i}});
    series.values.insert(series.values.end(), {1.0, i == 150 ? 9.0 : 2.0});
    series.labels.push_back((i >= 148 && i < 152) || i == 180 ? 1 : 0);
  }
  return series;
}

ScoredRows scored_rows(const LabelledSeries& series) {
  ScoredRows scored{.scores = std::vector<double>(series.size(), 0.5),
                    .p_values = std::vector<double>(series.size(), 0.5),
                    .thresholds = std::vector<double>(series.size(), 1),
                    .alerts = std::vector<std::uint8_t>(series.size(), 0),
                    .incidents = {}};
  scored.scores[150] = 3;
  scored.alerts[150] = 1;
  Alert incident;
  incident.start = series.times[150];
  incident.time = incident.start;
  incident.end = series.times[151];
  incident.score = 3;
  incident.threshold = 1;
  incident.features = {
      {.name = "</script>", .unit = "", .observed = 9, .expected = 2, .share = 0.9}};
  scored.incidents = {incident};
  incident.start = incident.time = series.times[120];
  incident.end.reset();
  scored.incidents.push_back(incident);
  return scored;
}

std::string page_of(std::size_t rows) {
  TemporaryFolder folder;
  const LabelledSeries series = series_of(rows);
  const ScoredRows scored = scored_rows(series);
  const SeriesFigures figures = measure("g", "a", judged_rows(series, scored, kTrainEnd));
  EvaluationReport report{1};
  report.add(0, kTrainEnd, series, scored, figures);
  const auto path = folder.path() / "report.html";
  const auto written =
      report.write(path, {.kind = "pca", .seed = 1, .seconds = 2, .series = {figures}}, 1e-3);
  EXPECT_TRUE(written) << written.error().message;
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

nlohmann::json data_of(const std::string& page) {
  const std::string begin = R"(<script type="application/json" id="data">)";
  const std::size_t from = page.find(begin) + begin.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(EvaluationReport, TellsEventsIncidentsAndTheirFeatures) {
  const auto data = data_of(page_of(200));
  EXPECT_EQ(data["head"]["kind"], "pca");
  EXPECT_EQ(data["head"]["macro"]["recall"], 0.5);
  const auto& one = data["series"][0];
  EXPECT_EQ(one["rows"], 100);
  EXPECT_EQ(one["events"], nlohmann::json::parse("[[48, 52, true, 2], [80, 81, false, null]]"));
  ASSERT_EQ(one["incidents"].size(), 2U);
  EXPECT_EQ(one["incidents"][0]["begin"], 50);
  EXPECT_EQ(one["incidents"][0]["end"], 52);
  EXPECT_EQ(one["incidents"][0]["true"], true);
  EXPECT_EQ(one["incidents"][0]["features"],
            nlohmann::json::parse(R"([["</script>", 9, 2, 0.9]])"));
  EXPECT_EQ(one["num_false"], 1);
  EXPECT_EQ(one["channels"][0]["name"], "</script>") << "the one that was blamed comes first";
  EXPECT_EQ(one["score"][50], 3);
  EXPECT_EQ(one["threshold"][50], 1);
}

TEST(EvaluationReport, KeepsExtremesOfMoreRowsThanPixels) {
  const auto one = data_of(page_of(50'000))["series"][0];
  ASSERT_EQ(one["score"].size(), 1200U);
  EXPECT_EQ(one["score"][1], 3) << "a single row";
  EXPECT_EQ(one["channels"][0]["high"][1], 9);
  EXPECT_EQ(one["channels"][0]["low"][1], 2);
}

TEST(EvaluationReport, LoadsNothingFromElsewhere) {
  const std::string page = page_of(200);
  for (const char* link : {"http:", "https:", "//cdn", "src=", "href=", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(link)));
  }
}

TEST(EvaluationReport, StaysSmallForManySeries) {
  TemporaryFolder folder;
  const LabelledSeries series = series_of(2000);
  const ScoredRows scored = scored_rows(series);
  constexpr std::size_t kSeries = 5000;
  EvaluationReport report{kSeries};
  for (std::size_t i = 0; i < kSeries; i += 50) report.add(i, kTrainEnd, series, scored, {});
  ASSERT_TRUE(report.write(folder.path() / "r.html", {}, 1e-3));
  EXPECT_LT(std::filesystem::file_size(folder.path() / "r.html") * 50, 40'000'000U);
}

TEST(EvaluationReport, SaysWhatCannotBeWritten) {
  EXPECT_THAT(EvaluationReport{0}.write("/nonexistent/r.html", {}, 1e-3).error().message,
              HasSubstr("/nonexistent/r.html: cannot be written"));
}

}  // namespace
}  // namespace anomalyd::tools
