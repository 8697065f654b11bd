#include <gmock/gmock.h>

#include <cmath>

#include "model_fixtures.hpp"

namespace anomalyd::models::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One window after the other, each in a batch of its own.
std::vector<float> one_by_one(const Trained& model, const Batch& batch) {
  std::vector<float> values;
  std::vector<Memory> memories = model.memories;
  for (const Batch::Window& window : batch.windows) {
    const auto first = (window.end_row + 1 - batch.context) * batch.channels;
    const auto last = (window.end_row + std::size_t{1}) * batch.channels;
    const Batch single{
        batch.channels,
        batch.context,
        {batch.rows.begin() + static_cast<std::ptrdiff_t>(first),
         batch.rows.begin() + static_cast<std::ptrdiff_t>(last)},
        {{static_cast<std::uint32_t>(batch.context - 1), window.slot, &memories.at(window.slot)}}};
    const auto part = model->score(single);
    if (!part) return values;
    values.insert(values.end(), part->values.begin(), part->values.end());
  }
  return values;
}

class EveryKindScores : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryKindScores, every_kind(),
                         [](const auto& kind) { return kind.param; });

TEST_P(EveryKindScores, TheSameHoweverWindowsAreBatched) {
  Options options = small_options(GetParam());
  options.threads = 2;
  const auto scorer = trained(options, training_set(3, {coupled_rows(300, 3, 1)}));
  const Batch batch = batch_of(*scorer, coupled_rows(700, 3, 2));
  EXPECT_THAT(residuals_of(scorer, batch), AllNear(one_by_one(scorer, batch), 1e-5F));
}

TEST_P(EveryKindScores, TheSameWhenSlotsAreMixed) {
  Options options = small_options(GetParam());
  options.scope = ModelScope::kPerSeries;
  options.threads = 2;
  const auto scorer = trained(
      options,
      training_set(2, {coupled_rows(100, 2, 1), coupled_rows(100, 2, 2), coupled_rows(100, 2, 3)}));
  Batch batch = batch_of(*scorer, coupled_rows(400, 2, 4));
  for (std::size_t i = 0; i < batch.windows.size(); ++i) {
    batch.windows[i].slot = static_cast<std::uint32_t>(i * i % 7 % 4);  // unequal shares
  }
  EXPECT_THAT(residuals_of(scorer, batch), AllNear(one_by_one(scorer, batch), 1e-5F));
}

TEST_P(EveryKindScores, TheSameWhenSlotsAreMixedAndShareNetworks) {
  Options options = small_options(GetParam());
  options.scope = ModelScope::kPooledNetworks;
  const auto scorer =
      trained(options, training_set(2, {coupled_rows(100, 2, 1), coupled_rows(100, 2, 2)}));
  Batch batch = batch_of(*scorer, coupled_rows(200, 2, 4));
  for (std::size_t i = 0; i < batch.windows.size(); ++i) {
    batch.windows[i].slot = static_cast<std::uint32_t>(i % 3);
  }
  EXPECT_THAT(residuals_of(scorer, batch), AllNear(one_by_one(scorer, batch), 1e-5F));
}

TEST(Scoring, AcceptsABatchWithoutWindows) {
  const auto scorer = trained(small_options("pca"), training_set(1, {coupled_rows(100, 1, 1)}));
  const auto result = scorer->score({1, scorer->info().context, {}, {}});
  ASSERT_TRUE(result);
  EXPECT_THAT(result->values, IsEmpty());
  EXPECT_EQ(result->members, 1U);
}

TEST(Scoring, RefusesOtherChannelsContextAndSlots) {
  const auto scorer = trained(small_options("pca"), training_set(2, {coupled_rows(100, 2, 1)}));
  const std::vector<float> rows(80);
  const auto failure = [&](const Batch& batch) {
    const auto result = scorer->score(batch);
    return result ? Error{} : result.error();
  };
  EXPECT_EQ(failure({4, 8, rows, {{7, 0}}}).kind, ErrorKind::kIncompatible);
  EXPECT_EQ(failure({2, 9, rows, {{8, 0}}}).message,
            "batch: found 2 channels and context 9; expected 2 and 8");
  EXPECT_THAT(failure({2, 8, rows, {{7, 1}}}).message,
              HasSubstr("found slot 1; expected at most 0"));
  EXPECT_EQ(failure({2, 8, rows, {{6, 0}}}).kind, ErrorKind::kInvalid);
  EXPECT_EQ(failure({2, 8, rows, {{40, 0}}}).kind, ErrorKind::kInvalid);
  EXPECT_TRUE(scorer->score({2, 8, rows, {{39, 0}}})) << "still usable after errors";
}

TEST(Scoring, RefusesADeviceThatIsNotThereAndStays) {
  const auto scorer = trained(small_options("pca"), training_set(1, {coupled_rows(100, 1, 1)}));
  const Status moved = scorer->move_to("cuda:99");
  ASSERT_FALSE(moved);
  EXPECT_THAT(moved.error().message, HasSubstr("for 'cuda:99'"));
  EXPECT_EQ(scorer->info().device, "cpu");
  EXPECT_TRUE(scorer->move_to("cpu"));
}

class EveryKindOfOneChannelAtATime : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryKindOfOneChannelAtATime,
                         ::testing::Values("ar16", "channel_ae", "memory", "latent"),
                         [](const auto& kind) { return kind.param; });

TEST_P(EveryKindOfOneChannelAtATime, SeesAFaultInTheChannelThatHasIt) {
  const auto scorer =
      trained(small_options(GetParam()), training_set(2, {coupled_rows(300, 2, 1)}));
  const std::vector<float> rows = coupled_rows(300, 2, 25);
  std::vector<float> faulty = rows;
  for (std::size_t i = 400; i < faulty.size(); i += 2) faulty[i] += 3;
  const auto before = residuals_of(scorer, batch_of(*scorer, rows));
  const auto after = residuals_of(scorer, batch_of(*scorer, faulty));
  float changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i % 2 == 0) {
      changed = std::max(changed, std::abs(after[i] - before[i]));
    } else {
      EXPECT_NEAR(after[i], before[i], 1e-5F);
    }
  }
  EXPECT_GT(changed, 0.2F);
}

class EveryAutoencoder : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryAutoencoder, autoencoders(),
                         [](const auto& kind) { return kind.param; });

TEST_P(EveryAutoencoder, ReconstructsTheNewestRowThatItsResidualsAreTakenFrom) {
  const auto scorer =
      trained(small_options(GetParam()), training_set(2, {coupled_rows(200, 2, 1)}));
  const Batch batch = batch_of(*scorer, coupled_rows(100, 2, 2));
  const std::vector<float> residuals = residuals_of(scorer, batch);
  const auto result = reconstruct(*scorer, batch, 0);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->window, 8U);
  ASSERT_THAT(result->expected, SizeIs(batch.windows.size() * 16));
  std::vector<float> from_reconstruction;
  for (std::size_t i = 0; i < batch.windows.size(); ++i) {
    for (std::size_t c = 0; c < 2; ++c) {
      from_reconstruction.push_back(batch.rows[batch.windows[i].end_row * 2 + c] -
                                    result->expected[i * 16 + 14 + c]);
    }
  }
  EXPECT_THAT(residuals, AllNear(from_reconstruction, 1e-5F));
}

TEST_P(EveryAutoencoder, GivesTheErrorOfItsReconstruction) {
  const auto scorer =
      trained(small_options(GetParam()), training_set(1, {coupled_rows(200, 1, 1)}));
  const std::vector<float> window = coupled_rows(8, 1, 2);
  const Batch batch{1, 8, window, {{7, 0}}};
  const auto reconstruction = reconstruct(*scorer, batch, 0);
  const auto errors = reconstruction_errors(*scorer, batch, 0);
  ASSERT_TRUE(reconstruction && errors);
  float sum = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    sum += std::pow(window[i] - reconstruction->expected[i], 2.0F);
  }
  EXPECT_THAT(*errors, ElementsAre(::testing::FloatNear(sum / 8, 1e-5F)));
}

TEST(Scoring, SaysThatAPredictorDoesNotReconstruct) {
  const auto scorer = trained(small_options("var4"), training_set(1, {coupled_rows(100, 1, 1)}));
  const auto result = reconstruct(*scorer, {1, 5, std::vector<float>(5), {{4, 0}}}, 0);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("expected an autoencoder"));
}

}  // namespace
}  // namespace anomalyd::models::testing
