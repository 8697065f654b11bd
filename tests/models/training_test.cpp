#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model_fixtures.hpp"

namespace anomalyd::models::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::SizeIs;
using ::testing::Truly;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double rms(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

class EveryKind : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryKind, every_kind(),
                         [](const auto& kind) { return kind.param; });

TEST_P(EveryKind, ExpectsNormalRowsBetterThanZeroDoes) {
  Options options = small_options(GetParam());
  options.epochs = 60;
  options.learning_rate = 1e-2;
  const auto scorer = trained(options, training_set(3, {coupled_rows(600, 3, 1)}));
  const std::vector<float> unseen = coupled_rows(300, 3, 1 + 24);  // other noise, a phase it knows
  EXPECT_LT(rms(residuals_of(scorer, batch_of(*scorer, unseen))), 0.6 * rms(unseen));
}

TEST_P(EveryKind, IsTheSameForTheSameSeedAndRows) {
  const TrainingSet set = training_set(2, {coupled_rows(200, 2, 1)});
  const auto first = trained(small_options(GetParam()), set);
  const auto second = trained(small_options(GetParam()), set);
  EXPECT_EQ(first->info().version, second->info().version);
}

TEST(WarmStart, BeginsAtTheWeightsOfTheModelBefore) {
  Options options = small_options("dense_ae");
  options.epochs = 40;
  TrainingSet set = training_set(3, {coupled_rows(600, 3, 1), coupled_rows(600, 3, 2)});
  const auto before = trained(options, set);
  options.epochs = 1;
  const std::vector<float> unseen = coupled_rows(300, 3, 1 + 24);
  const double cold = rms(residuals_of(trained(options, set), batch_of(*before, unseen)));
  set.start = before.scorer.get();
  const auto warm = trained(options, set);
  EXPECT_LT(rms(residuals_of(warm, batch_of(*before, unseen))), 0.7 * cold);
  EXPECT_NE(warm->info().version, before->info().version);
}

TEST(WarmStart, IsColdWhereShapesDiffer) {
  Options options = small_options("dense_ae");
  TrainingSet set = training_set(3, {coupled_rows(300, 3, 1)});
  const auto fresh = trained(options, set);
  options.latent = 2;
  const auto other = trained(options, set);
  options = small_options("dense_ae");
  set.start = other.scorer.get();
  EXPECT_EQ(trained(options, set)->info().version, fresh->info().version);
}

TEST_P(EveryKind, LearnsFromOneChannel) {
  const auto scorer =
      trained(small_options(GetParam()), training_set(1, {coupled_rows(200, 1, 1)}));
  const auto residuals = residuals_of(scorer, batch_of(*scorer, coupled_rows(100, 1, 2)));
  EXPECT_THAT(residuals, Each(AllOf(Ge(-5), Le(5))));
}

TEST_P(EveryKind, LearnsFromTheFewestRowsThereMayBe) {
  const std::vector<float> rows = coupled_rows(16, 2, 1);
  const auto scorer = trained(small_options(GetParam()), training_set(2, {rows}));
  EXPECT_LE(scorer->info().context, 16U);
  EXPECT_THAT(residuals_of(scorer, batch_of(*scorer, rows)), Each(AllOf(Ge(-9), Le(9))));
}

TEST_P(EveryKind, LearnsFromManyChannels) {
  Options options = small_options(GetParam());
  options.epochs = 1;
  const auto scorer = trained(options, training_set(200, {coupled_rows(100, 200, 1)}));
  const auto residuals = residuals_of(scorer, batch_of(*scorer, coupled_rows(70, 200, 2)));
  EXPECT_THAT(residuals, Each(AllOf(Ge(-20), Le(20))));
}

TEST_P(EveryKind, HasWindowsAsLongAsTheyMayBe) {
  Options options = small_options(GetParam());
  options.window = 1024;
  options.epochs = 1;
  options.batch = 16;
  const std::vector<float> rows = coupled_rows(4200, 1, 1);
  const auto scorer = trained(options, training_set(1, {rows}));
  const std::vector<float> newest(rows.end() - 1100, rows.end());
  EXPECT_THAT(residuals_of(scorer, batch_of(*scorer, newest)), Each(AllOf(Ge(-9), Le(9))));
}

TEST_P(EveryKind, LearnsBesideAChannelThatIsAllMissing) {
  std::vector<float> rows = coupled_rows(200, 2, 1);
  for (std::size_t i = 1; i < rows.size(); i += 2) rows[i] = kNan;
  const auto scorer = trained(small_options(GetParam()), training_set(2, {rows}));
  EXPECT_THAT(residuals_of(scorer, batch_of(*scorer, coupled_rows(80, 2, 2))),
              Each(Truly([](float residual) { return std::isfinite(residual); })));
}

TEST_P(EveryKind, FindsTheDepartureOfAConstantChannel) {
  std::vector<float> rows = coupled_rows(200, 2, 1);
  for (std::size_t i = 1; i < rows.size(); i += 2) rows[i] = 0;
  const auto scorer = trained(small_options(GetParam()), training_set(2, {rows}));
  rows.back() = 5;
  const auto residuals = residuals_of(scorer, batch_of(*scorer, rows));
  float largest = 0;  // of the members, in the constant channel of the newest row
  for (std::size_t m = 0; m < scorer->info().members.size(); ++m) {
    largest = std::max(largest, std::abs(residuals[residuals.size() - 1 - 2 * m]));
  }
  EXPECT_GT(largest, 1);
}

TEST_P(EveryKind, LearnsNothingFromMissingCells) {
  // A third of the cells of one channel are missing; what stands there in the other set is absurd
  // to a model that learned it, and held values are no evidence either.
  std::vector<float> rows = coupled_rows(600, 2, 1);
  std::vector<float> gaps = rows;
  for (std::size_t i = 0; i < gaps.size(); i += 6) gaps[i] = kNan;
  Options options = small_options(GetParam());
  options.epochs = 30;
  const auto whole = trained(options, training_set(2, {rows}));
  const auto gappy = trained(options, training_set(2, {gaps}));
  const std::vector<float> unseen = coupled_rows(300, 2, 1 + 24);
  const double with_all = rms(residuals_of(whole, batch_of(*whole, unseen)));
  const double with_gaps = rms(residuals_of(gappy, batch_of(*gappy, unseen)));
  EXPECT_LT(with_gaps, 1.25 * with_all);
}

TEST_P(EveryKind, GivesEachSeriesTheWeightsItWouldHaveAlone) {
  const std::vector<std::vector<float>> series = {coupled_rows(160, 2, 1), coupled_rows(160, 2, 2),
                                                  coupled_rows(160, 2, 3)};
  Options options = small_options(GetParam());
  options.scope = ModelScope::kPerSeries;
  const auto stacked = trained(options, training_set(2, series));
  ASSERT_THAT(stacked->info().slots, ElementsAre("s0", "s1", "s2"));
  for (std::uint32_t i = 0; i < series.size(); ++i) {
    const auto alone = trained(options, training_set(2, {series[i]}));
    EXPECT_THAT(residuals_of(stacked, batch_of(*stacked, series[i], i + 1)),
                AllNear(residuals_of(alone, batch_of(*alone, series[i])), 2e-3F));
  }
}

TEST_P(EveryKind, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  TrainingReport report;
  const auto result =
      factory(small_options(GetParam()))
          ->train(training_set(2, {coupled_rows(200, 2, 1)}), {}, stop.get_token(), report);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCancelled);
}

TEST_P(EveryKind, ReportsProgressFromZeroToOneWithoutGoingBack) {
  std::vector<double> shares;
  trained(small_options(GetParam()), training_set(2, {coupled_rows(200, 2, 1)}), nullptr,
          [&](const TrainingProgress& progress) { shares.push_back(progress.share); });
  ASSERT_THAT(shares, SizeIs(Ge(2U)));
  EXPECT_EQ(shares.front(), 0);
  EXPECT_EQ(shares.back(), 1);
  EXPECT_TRUE(std::ranges::is_sorted(shares));
}

TEST(Predictor, PredictsMissingTargetsAsIfTheyHadNeverBeenThere) {
  // Each value is half of the one before plus noise; the held value of a gap would say "no change".
  std::mt19937 random{3};
  std::normal_distribution<float> noise;
  std::vector<float> rows{0};
  for (int i = 1; i < 4000; ++i) rows.push_back(0.5F * rows.back() + noise(random));
  std::vector<float> gaps = rows;
  for (std::size_t i = 3; i < gaps.size(); i += 5) gaps[i] = kNan;
  const auto scorer = trained(small_options("var4"), training_set(1, {gaps}));
  // After ..., 0, 0, 0, 1 it expects about a half.
  const Batch batch{1, 5, {0, 0, 0, 1, 0}, {{4, 0}}};
  EXPECT_NEAR(residuals_of(scorer, batch).front(), -0.45, 0.1);
}

TEST(Training, KeepsTheWeightsOfTheBestEpochAndStopsAfterPatience) {
  Options options = small_options("dense_ae");
  options.learning_rate = 0.1;  // jumps about, so that the best epoch is not the last
  options.epochs = 200;
  options.patience = 5;
  const TrainingSet set = training_set(2, {coupled_rows(120, 2, 1)});
  std::vector<double> losses;
  TrainingReport report;
  const auto scorer = trained(options, set, &report, [&](const TrainingProgress& progress) {
    if (!std::isnan(progress.loss)) losses.push_back(progress.loss);
  });
  const auto best = std::ranges::min_element(losses) - losses.begin();
  ASSERT_LT(losses.size(), 200U);
  EXPECT_EQ(losses.size(), static_cast<std::size_t>(best) + 1 + options.patience);
  EXPECT_EQ(report.members.front().epochs, static_cast<int>(losses.size()));

  options.epochs = static_cast<std::size_t>(best) + 1;  // ends with its best epoch
  EXPECT_EQ(scorer->info().version, trained(options, set)->info().version);
}

TEST(Training, RefusesTooFewRowsAndSaysHowManyItNeeds) {
  TrainingReport report;
  const auto result = factory(small_options("pca"))
                          ->train(training_set(2, {coupled_rows(15, 2, 1)}), {}, {}, report);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(result.error().message,
            "training set: found 15 rows in the longest series; expected at least 16");
}

TEST(Training, RefusesRowsThatAreNotWhole) {
  TrainingReport report;
  const auto result = factory(small_options("pca"))
                          ->train(training_set(2, {std::vector<float>(41)}), {}, {}, report);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("found 41 values; expected a multiple of 2"));
}

TEST(Training, RefusesLabelsThatAreNotOfEveryRow) {
  TrainingSet set = training_set(2, {coupled_rows(60, 2, 1)});
  set.series[0].labels.assign(61, 0);
  TrainingReport report;
  const auto result = factory(small_options("aae_semi"))->train(set, {}, {}, report);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "series 's0': found 61 times or labels; expected none or one of each row");
}

TEST(Training, TeachesLabelsOnlyToKindsThatTellClassesApart) {
  TrainingSet set = training_set(2, {coupled_rows(200, 2, 1)});
  const std::string without = trained(small_options("dense_ae"), set)->info().version;
  set.classes = {"normal", "fault: pump"};
  set.series[0].labels.assign(200, 1);
  EXPECT_EQ(trained(small_options("dense_ae"), set)->info().version, without);
}

TEST(Training, SaysWhatIsNotAsItWasAskedFor) {
  Options options = small_options("dense_ae");
  options.window = 32;
  TrainingReport report;
  trained(options, training_set(1, {coupled_rows(60, 1, 1)}), &report);
  EXPECT_THAT(report.notes,
              ElementsAre("dense_ae: window 8 instead of 32, for want of rows or channels",
                          "dense_ae: latent 2 instead of 3, for want of rows or channels"));
  trained(options, training_set(2, {coupled_rows(200, 2, 1)}), &report);
  EXPECT_THAT(report.notes, SizeIs(0));
}

TEST(Training, HalvesAWindowToOneThatConvolutionsCanHalve) {
  Options options = small_options("conv_ae");
  options.window = 36;
  const auto scorer = trained(options, training_set(2, {coupled_rows(60, 2, 1)}));
  EXPECT_EQ(scorer->info().context, 8U) << "9 rows, of which two convolutions leave a fourth";
}

TEST(Training, FitsSeriesInTurnWhereTogetherTheyWouldTakeTooMuchMemory) {
  Options options = small_options("dense_ae");
  options.scope = ModelScope::kPerSeries;
  options.batch = 65'536;  // of windows of 8 rows and 160 channels: one series
  const std::vector<std::vector<float>> series = {coupled_rows(64, 160, 1),
                                                  coupled_rows(64, 160, 2)};
  std::vector<double> shares;
  const auto both = trained(options, training_set(160, series), nullptr,
                            [&](const auto& progress) { shares.push_back(progress.share); });
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  ASSERT_THAT(both->info().slots, ElementsAre("s0", "s1"));
  const auto second = trained(options, training_set(160, {series[1]}));
  EXPECT_THAT(residuals_of(both, batch_of(*both, series[1], 2)),
              AllNear(residuals_of(second, batch_of(*second, series[1])), 2e-3F));
}

TEST(Training, ReportsEachMember) {
  TrainingReport report;
  trained(small_options("pca+dense_ae"), training_set(2, {coupled_rows(400, 2, 1)}), &report);
  ASSERT_THAT(report.members, SizeIs(2));
  EXPECT_EQ(report.members[0].name, "pca");
  EXPECT_EQ(report.members[0].epochs, 0);
  EXPECT_TRUE(std::isnan(report.members[0].validation_loss));
  EXPECT_EQ(report.members[1].name, "dense_ae");
  EXPECT_EQ(report.members[1].parameters, 2U * (16 * 12 + 12 * 3) + 12 + 3 + 12 + 16);
  EXPECT_THAT(report.members[1].validation_loss, AllOf(Ge(0.01), Le(2)));
  EXPECT_EQ(report.windows, 400U - 8 + 1);
}

// The operations of one window of 32 rows and 4 channels, by member.
std::vector<double> operations_of(const std::string& kind, Options options = {}) {
  options.kind = kind;
  options.epochs = 1;
  options.device = "cpu";
  TrainingReport report;
  trained(options, training_set(4, {coupled_rows(400, 4, 1)}), &report);
  std::vector<double> operations;
  for (const auto& member : report.members) operations.push_back(member.operations);
  return operations;
}

TEST(Training, CountsTheOperationsOfAWindow) {
  EXPECT_THAT(operations_of("var4+ar16"), ElementsAre(2 * 16 * 4, 2 * 16 * 4));
  EXPECT_THAT(operations_of("dense_ae"),
              ElementsAre(2 * (128 * 128 + 128 * 64 + 64 * 16 + 16 * 64 + 64 * 128 + 128 * 4)));
  EXPECT_THAT(operations_of("conv_ae"),
              ElementsAre(2 * (16 * 20 * 32 + 8 * 160 * 64 + 512 * 16 +  // to the code
                               16 * 512 + 16 * 320 * 32 + 160 * 4)));
  EXPECT_THAT(operations_of("channel_ae"), ElementsAre(2 * 4 * (33 * 32 + 2 * 32 * 8 + 32 * 32)));
  EXPECT_THAT(operations_of("bank16"), ElementsAre(2 * 4 * 16 * 2048));
  EXPECT_THAT(operations_of("wbank"), ElementsAre(2 * (65 * 128 + 128 * 64 + 64 * 16 + 16 * 4096)));
}

TEST(Training, TakesFewOperationsAWindowAtLowEffort) {
  EXPECT_THAT(operations_of("auto", {.effort = Effort::kLow}),
              ElementsAre(2 * 48 * 4, 2 * 4 * (33 * 32 + 32 * 8 + 8 * 1024)));
}

TEST(Scope, PoolsManySeriesAndStacksFew) {
  std::vector<std::vector<float>> few(3, coupled_rows(100, 1, 1));
  std::vector<std::vector<float>> many(65, coupled_rows(40, 1, 1));
  EXPECT_THAT(trained(small_options("pca"), training_set(1, few))->info().slots, SizeIs(3));
  EXPECT_THAT(trained(small_options("pca"), training_set(1, many))->info().slots, SizeIs(0));
}

TEST(Scope, PoolsTheNetworksAloneOfManySeriesAtLowEffort) {
  std::vector<std::vector<float>> many;
  for (unsigned i = 0; i < 65; ++i) many.push_back(coupled_rows(40, 1, i));
  Options options = small_options("auto");
  options.effort = Effort::kLow;
  TrainingReport report;
  const auto scorer = trained(options, training_set(1, many), &report);
  EXPECT_THAT(scorer->info().slots, SizeIs(65));
  ASSERT_THAT(report.members, SizeIs(2));
  EXPECT_GT(report.members[0].parameters, 65U) << "vard";
  EXPECT_EQ(report.members[1].parameters, 9U * 32 + 2 * 32 * 8 + 32 * 8 + 32 + 8 + 32 + 8)
      << "latent";
}

TEST(Scope, LeavesShortSeriesToThePooledModel) {
  const auto scorer = trained(
      small_options("pca"),
      training_set(1, {coupled_rows(100, 1, 1), coupled_rows(20, 1, 2), coupled_rows(100, 1, 3)}));
  EXPECT_THAT(scorer->info().slots, ElementsAre("s0", "s2"));
}

}  // namespace
}  // namespace anomalyd::models::testing
