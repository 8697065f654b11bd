#include "tools/evaluation.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "tests/support/persistence_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/drifting_set.hpp"
#include "tools/evaluator.hpp"
#include "tools/pipeline_run.hpp"
#include "tools/pooled_learning.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::PersistenceFactory;
using ::anomalyd::testing::TemporaryFolder;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::Not;
using ::testing::Pair;

constexpr std::size_t kTrainEnd = 400;

/// A noisy wave with a jump at row 500.
SeriesRows wave(int num_rows = 600) {
  SeriesRows rows;
  rows.channels = {{"x", ""}, {"y", ""}};
  std::mt19937_64 random{5};
  std::normal_distribution<double> noise{0, 0.1};
  for (int i = 0; i < num_rows; ++i) {
    rows.t.push_back(1'700'000'000 + 60 * i);
    rows.times.push_back(EventTime{seconds{rows.t.back()}});
    rows.values.push_back(std::sin(i * 0.1) + noise(random) + (i == 500 ? 20 : 0));
    rows.values.push_back(std::cos(i * 0.1) + noise(random));
  }
  return rows;
}

ScoredRows scored(const SeriesRows& rows, const EvaluationOptions& options) {
  PersistenceFactory factory;
  auto result = score_series(rows, "g/a", kTrainEnd, options, factory, [](std::size_t) {});
  EXPECT_TRUE(result) << result.error().message;
  return result ? *std::move(result) : ScoredRows{};
}

std::vector<double> part(const std::vector<double>& values, std::size_t begin, std::size_t end) {
  return {values.begin() + static_cast<std::ptrdiff_t>(begin),
          values.begin() + static_cast<std::ptrdiff_t>(end)};
}

TEST(ScoreSeries, JudgesEveryRowBehindTheTrainingRows) {
  const auto rows = scored(wave(), {});
  EXPECT_THAT(part(rows.scores, 0, kTrainEnd), Each(IsNan()));
  EXPECT_THAT(part(rows.scores, kTrainEnd, 600), Each(Not(IsNan())));
  EXPECT_GT(rows.scores[500], 3 * rows.scores[499]) << "the jump";
  EXPECT_LT(rows.p_values[500], 1e-3);
}

TEST(ScoreSeries, GivesTheSameScoresWhateverTheBlocks) {
  const auto whole = scored(wave(), {.block_rows = 4096});
  const auto single = scored(wave(), {.block_rows = 1});
  EXPECT_EQ(part(whole.scores, kTrainEnd, 600), part(single.scores, kTrainEnd, 600));
  EXPECT_EQ(whole.alerts, single.alerts);
}

TEST(ScoreSeries, IsCausal) {
  const auto whole = scored(wave(), {});
  SeriesRows cut = wave();
  cut.t.resize(550);
  cut.times.resize(550);
  cut.values.resize(550 * 2);
  const auto first = scored(cut, {});
  EXPECT_EQ(part(first.scores, kTrainEnd, 550), part(whole.scores, kTrainEnd, 550));
}

TEST(ScoreSeries, CountsTrainingRowsWithoutDoubledOnes) {
  SeriesRows rows = wave();
  rows.times[100] = rows.times[99];  // dropped, so one row less to learn from
  rows.t[100] = rows.t[99];
  const auto result = scored(rows, {});
  EXPECT_TRUE(std::isnan(result.scores[kTrainEnd - 1]));
  EXPECT_FALSE(std::isnan(result.scores[kTrainEnd])) << "no test row was learned from";
}

TEST(ScoreSeries, RetrainsAtEqualDistancesAndSaysWhatCameOfIt) {
  EvaluationOptions options{.retrainings = 2};
  options.gate.min_rows = 150;
  const ScoredRows rows = scored(wave(3400), options);
  ASSERT_EQ(rows.retrainings.size(), 2U);
  EXPECT_EQ(rows.retrainings[0].outcome, "promoted") << rows.retrainings[0].why;
  EXPECT_EQ(rows.retrainings[0].row, kTrainEnd + 1000 + 250) << "behind the shadow";
  EXPECT_EQ(rows.retrainings[1].row, kTrainEnd + 2000 + 250);
  EXPECT_EQ(rows.retrainings[1].series, "g/a");
  EXPECT_THAT(part(rows.scores, kTrainEnd, 3400), Each(Not(IsNan()))) << "no row goes unjudged";

  const ScoredRows untouched = scored(wave(3400), {});
  EXPECT_THAT(untouched.retrainings, ::testing::IsEmpty());
  EXPECT_EQ(part(rows.scores, kTrainEnd, 1650), part(untouched.scores, kTrainEnd, 1650));
  EXPECT_NE(part(rows.scores, 1650, 3400), part(untouched.scores, 1650, 3400));
}

TEST(ScoreSeries, KeepsTheChampionWhereTheGateRefuses) {
  EvaluationOptions options{.retrainings = 1};
  options.gate.min_rows = 5000;
  const ScoredRows rows = scored(wave(2000), options);
  ASSERT_EQ(rows.retrainings.size(), 1U);
  EXPECT_EQ(rows.retrainings[0].outcome, "too_few_unseen_rows");
  EXPECT_EQ(part(rows.scores, kTrainEnd, 2000),
            part(scored(wave(2000), {}).scores, kTrainEnd, 2000));
}

TEST(DriftingSet, HasFaultsBehindTheRowsLearnedFromOnly) {
  const LabelledSet set = drifting_set();
  std::map<std::string, std::size_t> machines;
  for (const auto& entry : set.entries) ++machines[entry.group];
  EXPECT_THAT(machines,
              ElementsAre(Pair("level_shift", 6), Pair("slow_drift", 6), Pair("steady", 6)));
  for (const auto& entry : set.entries) {
    const auto series = set.read(entry);
    ASSERT_TRUE(series);
    EXPECT_GT(series->size(), entry.rows - entry.rows / 100) << "some rows are lost";
    const auto first_fault = std::ranges::find(series->labels, 1) - series->labels.begin();
    EXPECT_GE(static_cast<std::size_t>(first_fault), entry.train_end - 30) << entry.id();
    EXPECT_LT(static_cast<std::size_t>(first_fault), series->size()) << entry.id();
  }
}

LabelledSeries labelled(std::vector<std::int64_t> t) {
  LabelledSeries series;
  series.channels = {{"x", ""}};
  for (const std::int64_t at : t) {
    series.t.push_back(at);
    series.times.push_back(EventTime{seconds{at}});
    series.values.push_back(0);
    series.labels.push_back(0);
  }
  return series;
}

TEST(JudgedRows, KeepTheNewestScoreWhereThereIsNone) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const ScoredRows scored{.scores = {kNone, kNone, 1, kNone, 2},
                          .p_values = {},
                          .thresholds = {},
                          .alerts = {0, 0, 1, 0, 0},
                          .incidents = {}};
  const JudgedRows rows = judged_rows(labelled({10, 20, 30, 40, 50}), scored, 1);
  EXPECT_THAT(rows.scores, ElementsAre(IsNan(), 1, 1, 2));
  EXPECT_THAT(rows.alerts, ElementsAre(0, 1, 0, 0)) << "no verdict is no alert";
  const JudgedRows repeated = judged_rows(labelled({10, 20, 30, 30, 25}), scored, 1);
  EXPECT_THAT(repeated.scores, ElementsAre(IsNan(), 1, 1, 2));
  EXPECT_THAT(repeated.alerts, ElementsAre(0, 1, 1, 0)) << "a time repeated is the same row";
}

TEST(WriteScores, WritesALineForEachScore) {
  TemporaryFolder folder;
  const SeriesRows rows = wave();
  ASSERT_TRUE(write_scores(folder.path() / "g" / "a.csv", rows, scored(rows, {})));
  std::ifstream file{folder.path() / "g" / "a.csv"};
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("t,score,alert,pvalue\n1700024000,"));
  EXPECT_EQ(std::ranges::count(text.str(), '\n'), 201);
}

/// A set of one series: the wave, its jump labelled.
LabelledSet wave_set() {
  return {
      .entries = {{.file = {}, .group = "g", .entity = "a/b", .rows = 600, .train_end = kTrainEnd}},
      .read = [](const Dataset::Entry&) -> Result<LabelledSeries> {
        LabelledSeries series{wave(), std::vector<std::uint8_t>(600, 0)};
        series.labels[500] = 1;
        return series;
      }};
}

Evaluator::MakeFactory persistence() {
  return [] { return std::make_unique<PersistenceFactory>(); };
}

TEST(Evaluator, MeasuresEverySeriesAndWritesItsScores) {
  TemporaryFolder folder;
  const LabelledSet set = wave_set();
  std::size_t seen = 0;
  Evaluator evaluator{{.each = {}, .out = folder.path(), .jobs = 2},
                      set,
                      persistence(),
                      [&](std::size_t index, const auto&, const auto& rows, const auto& figures) {
                        EXPECT_EQ(index, 0U);
                        EXPECT_EQ(rows.thresholds.size(), 600U);
                        EXPECT_EQ(figures.rows, 200U);
                        ++seen;
                      }};
  const auto figures = evaluator.run();
  ASSERT_TRUE(figures) << figures.error().message;
  ASSERT_EQ(figures->size(), 1U);
  EXPECT_EQ(figures->front().figures.event_recall, 1);
  EXPECT_GE(figures->front().figures.auc_pr, 0.25) << "the jump has one of the highest scores";
  EXPECT_EQ(seen, 1U);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "g" / "a_b.csv")) << "one file, no folder";
}

TEST(Evaluator, NamesTheSeriesThatFails) {
  TemporaryFolder folder;
  LabelledSet set = wave_set();
  set.read = [](const auto&) { return fail(ErrorKind::kInvalid, "damaged"); };
  Evaluator evaluator{{.each = {}, .out = folder.path()}, set, persistence(), {}};
  EXPECT_EQ(evaluator.run().error().message, "g/a/b: damaged");
}

/// Two series of one group, one of another with the same channels.
LabelledSet three_series() {
  LabelledSet set = wave_set();
  set.entries.push_back(set.entries.front());
  set.entries.back().entity = "c";
  set.entries.push_back(set.entries.front());
  set.entries.back().group = "h";
  return set;
}

TEST(LearnPooled, LearnsAModelForEachGroupThatItsSeriesAreJudgedWith) {
  TemporaryFolder folder;
  const LabelledSet set = three_series();
  PersistenceFactory factory;
  auto learned = learn_pooled(set, {}, factory, folder.path());
  ASSERT_TRUE(learned) << learned.error().message;
  EXPECT_EQ(factory.trained, 2);
  EXPECT_THAT(*learned, ElementsAre(Pair("g/a/b", folder.path() / "g.ckpt"),
                                    Pair("g/c", folder.path() / "g.ckpt"),
                                    Pair("h/a/b", folder.path() / "h.ckpt")));

  std::vector<double> scores;
  Evaluator evaluator{{.learned = *learned, .out = folder.path()},
                      set,
                      [&]() -> Result<std::unique_ptr<ModelFactory>> {
                        return std::make_unique<PersistenceFactory>();
                      },
                      [&](std::size_t, const auto&, const auto& rows, const auto&) {
                        scores = part(rows.scores, kTrainEnd, 600);
                      }};
  ASSERT_TRUE(evaluator.run());
  EXPECT_EQ(scores, part(scored(wave(), {}).scores, kTrainEnd, 600))
      << "each goes on behind the rows it was learned from, on scales of its own";
}

TEST(LearnPooled, NamesASeriesWithTooFewRows) {
  TemporaryFolder folder;
  LabelledSet set = three_series();
  set.entries.back().train_end = 10;
  PersistenceFactory factory;
  EXPECT_EQ(learn_pooled(set, {}, factory, folder.path()).error().message,
            "h/a/b: found too few rows to learn from");
}

TEST(PipelineRun, TakesUpAModelThatWasSaved) {
  TemporaryFolder folder;
  const SeriesRows rows = wave();
  PersistenceFactory factory;
  pipeline::PipelineOptions options;
  options.training.rows = kTrainEnd;
  PipelineRun::Events events;
  events.learned = [&](const pipeline::Learned& learned) {
    const CheckpointExtras extras{"{}", learned.group->calibration()};
    ASSERT_TRUE(factory.save(*learned.scorer, extras, folder.path() / "m.ckpt"));
  };
  PipelineRun run{options, factory, std::move(events)};
  SampleBlock block{{"t", 0}, std::make_shared<const Schema>(Schema{rows.channels})};
  for (std::size_t i = 0; i < kTrainEnd; ++i) block.append("g/a", rows.times[i], 0, rows.row(i));
  ASSERT_TRUE(run.ingest(block));

  const auto live = scored(rows, {});
  const auto resumed = scored(rows, {.checkpoints = {folder.path() / "m.ckpt"}});
  EXPECT_EQ(part(resumed.scores, kTrainEnd, 600), part(live.scores, kTrainEnd, 600));
  EXPECT_EQ(factory.trained, 1);
}

TEST(PipelineRun, SaysWhichModelCannotBeLoaded) {
  PersistenceFactory factory;
  PipelineRun run{{}, factory, {}};
  EXPECT_THAT(run.load("/nonexistent.ckpt").error().message,
              HasSubstr("loading the model /nonexistent.ckpt"));
}

}  // namespace
}  // namespace anomalyd::tools
