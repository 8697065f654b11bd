// What the commands of the latent space promise, on fleets small enough to learn in seconds.

#include <gmock/gmock.h>

#include <cmath>

#include "models/torch_models.hpp"
#include "tools/disentangling.hpp"
#include "tools/fill_check.hpp"
#include "tools/history_collector.hpp"
#include "tools/sample_feed.hpp"
#include "tools/synthesis_check.hpp"

namespace anomalyd::tools {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

constexpr auto kNoProgress = [](const auto&...) {};

Fleet::Options small_fleet() {
  return {.machines = 4,
          .period = minutes{60},
          .span = hours{24 * 60},
          .clean = hours{24 * 60},
          .faults = 0};
}

HistoryCollector::Group rows_of(const Fleet::Options& options) {
  const auto feed = row_feed(fleet_rows(options));
  HistoryCollector collector{{.max_gap = 64}, 50'000};
  EXPECT_TRUE(pump_all(*feed, "reading", [&](const SampleBlock& block) {
    collector.take(block);
    return Status{};
  }));
  auto groups = collector.groups(64);
  EXPECT_EQ(groups.size(), 1U);
  return std::move(groups.begin()->second);
}

struct Trained {
  LatentModel model;
  std::vector<ScaledSeries> series;
};

/// A model of the rows that are not held out, and all rows.
Result<Trained> train(const HistoryCollector::Group& group,
                      models::TorchModelFactory::Options options, LatentModel::Need need) {
  options.threads = 1;
  auto factory = models::TorchModelFactory::create(std::move(options));
  if (!factory) return Failure{factory.error()};
  std::vector<pipeline::History> histories;
  for (const auto& history : group.histories) histories.push_back(without_held_out(history));
  auto learned = learn(histories, group.channels, **factory, {}, kNoProgress, {});
  if (!learned) return Failure{learned.error()};
  auto model = LatentModel::open(std::move(learned->scorer), need);
  if (!model) return Failure{model.error()};
  Trained trained{*std::move(model), {}};
  for (const auto& history : group.histories) {
    const auto& track = learned->group->find(history.series)->track;
    trained.series.push_back(scale(history, track.scaler));
    trained.series.back().slot = track.slot;
  }
  return trained;
}

FillCheck::Errors errors_of_filling(Trained& trained, std::size_t coarse) {
  FillCheck check{trained.model.info().channels, coarse};
  for (const ScaledSeries& series : trained.series) {
    EXPECT_TRUE(check.add(trained.model, series, {.window = trained.model.window()}));
  }
  return check.total();
}

TEST(Filling, BeatsInterpolationOfACoupledChannel) {
  auto trained =
      train(rows_of(small_fleet()), {.kind = "pca", .corruption = models::Corruption::kBlocks},
            LatentModel::Need::kReconstruction);
  ASSERT_TRUE(trained) << trained.error().message;
  const FillCheck::Errors gaps = errors_of_filling(*trained, 1);
  EXPECT_THAT(gaps.model, Le(0.6 * gaps.linear));
  EXPECT_THAT(gaps.model, Le(0.6 * gaps.spline));
  const FillCheck::Errors between = errors_of_filling(*trained, 6);
  EXPECT_THAT(between.model, Le(0.9 * between.linear));
  EXPECT_THAT(between.model, Le(0.9 * between.spline));
}

TEST(Generating, PassesForRealAndNotWithoutItsNoise) {
  Fleet::Options fleet = small_fleet();
  fleet.machines = 3;
  fleet.period = minutes{10};
  fleet.span = fleet.clean = hours{24 * 20};
  auto trained = train(rows_of(fleet), {.kind = "dense_ae", .epochs = 8, .learning_rate = 3e-3},
                       LatentModel::Need::kCodes);
  ASSERT_TRUE(trained) << trained.error().message;
  const auto check = check_synthesis(trained->model, trained->series, {}, kNoProgress);
  ASSERT_TRUE(check) << check.error().message;
  EXPECT_THAT(check->windows_apart, Le(0.75));
  EXPECT_THAT(check->rows_apart, Le(0.8));
  EXPECT_THAT(check->without_noise, Ge(0.9));
}

TEST(Generating, GivesTheRowsThatWereAskedForAndTheSameOnesForTheSameSeed) {
  Fleet::Options fleet = small_fleet();
  fleet.machines = 1;
  auto trained =
      train(rows_of(fleet), {.kind = "dense_ae", .epochs = 1}, LatentModel::Need::kCodes);
  ASSERT_TRUE(trained) << trained.error().message;
  const ScaledSeries& series = trained->series.front();
  const auto ends = series.window_ends(trained->model.window(), 0, series.size());
  const auto rows = [&] {
    auto synthesis = Synthesis::learn(trained->model, series, ends, {.seed = 3});
    EXPECT_TRUE(synthesis);
    return *synthesis->rows(100, series.times.back());
  };
  const std::vector<float> first = rows();
  EXPECT_EQ(first.size(), 100 * Fleet::kNumChannels);
  EXPECT_THAT(first, Each(::testing::Truly([](float value) { return std::isfinite(value); })));
  EXPECT_EQ(first, rows());
}

TEST(Generating, WantsWindowsWithAllTheirCells) {
  Fleet::Options fleet = small_fleet();
  fleet.machines = 1;
  fleet.missing = 0.3;
  auto trained =
      train(rows_of(fleet), {.kind = "dense_ae", .epochs = 1}, LatentModel::Need::kCodes);
  ASSERT_TRUE(trained) << trained.error().message;
  const ScaledSeries& series = trained->series.front();
  const auto synthesis = Synthesis::learn(
      trained->model, series, series.window_ends(trained->model.window(), 0, series.size()), {});
  ASSERT_FALSE(synthesis);
  EXPECT_THAT(synthesis.error().message, HasSubstr("anomalyctl fill"));
}

TEST(LatentModel, NamesTheMembersWhereNoneHasCodes) {
  Fleet::Options fleet = small_fleet();
  fleet.machines = 1;
  const auto trained = train(rows_of(fleet), {.kind = "predictor"}, LatentModel::Need::kCodes);
  ASSERT_FALSE(trained);
  EXPECT_THAT(trained.error().message, HasSubstr("the model has the members var4, vard, ar16; "
                                                 "expected an autoencoder"));
}

Result<Disentangling> disentangle(const HistoryCollector::Group& group,
                                  std::span<const pipeline::Label> labels = {}) {
  auto factory = models::TorchModelFactory::create({.kind = "aae_supervised",
                                                    .scope = models::ModelScope::kPooled,
                                                    .latent = 2,
                                                    .epochs = 15,
                                                    .patience = 15,
                                                    .learning_rate = 3e-3,
                                                    .threads = 1});
  EXPECT_TRUE(factory);
  return Disentangling::learn(group, labels, **factory, kNoProgress, {});
}

TEST(Disentangling, LeavesTheSeriesInTheStyleAndNotInTheContent) {
  Fleet::Options fleet = small_fleet();
  fleet.diversity = 0.15;
  auto disentangling = disentangle(rows_of(fleet));
  ASSERT_TRUE(disentangling) << disentangling.error().message;
  const auto figures = disentangling->figures();
  ASSERT_TRUE(figures) << figures.error().message;
  EXPECT_THAT(figures->from_style, Ge(0.9));
  EXPECT_THAT(figures->from_content, Le(figures->chance + 0.15));
  EXPECT_THAT(figures->swapped, Ge(0.9));

  // The memory of a machine that uses more is that of one that uses less, in its style.
  const auto mean_memory = [](std::span<const double> rows) {
    double sum = 0, count = 0;
    for (std::size_t i = 2; i < rows.size(); i += Fleet::kNumChannels) {
      if (std::isnan(rows[i])) continue;
      sum += rows[i], count += 1;
    }
    return sum / count;
  };
  const auto& all = disentangling->series();
  const auto by_memory = [&](const ScaledSeries& a, const ScaledSeries& b) {
    return mean_memory(a.raw) < mean_memory(b.raw);
  };
  const auto most = std::ranges::max_element(all, by_memory);
  const auto least = std::ranges::min_element(all, by_memory);
  const auto restyled =
      disentangling->restyled(*most, static_cast<std::size_t>(least - all.begin()));
  ASSERT_TRUE(restyled);
  EXPECT_NEAR(mean_memory(*restyled), mean_memory(least->raw),
              0.2 * (mean_memory(most->raw) - mean_memory(least->raw)));
}

TEST(Disentangling, WantsTwoStylesThatAreNoFaults) {
  Fleet::Options fleet = small_fleet();
  fleet.machines = 1;
  const HistoryCollector::Group group = rows_of(fleet);
  EXPECT_THAT(disentangle(group).error().message, HasSubstr("1 styles; expected 2 to 64"));
  const std::vector<pipeline::Label> labels{{"", EventTime{}, EventTime::max(), "fault: leak"}};
  EXPECT_THAT(disentangle(group, labels).error().message, HasSubstr("style 'fault: leak'"));
}

}  // namespace
}  // namespace anomalyd::tools
