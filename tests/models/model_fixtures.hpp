#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models::testing {

using Options = TorchModelFactory::Options;

/// A row for each kind, for all that every one of them has to do.
inline auto every_kind() {
  return ::testing::Values("pca", "dense_ae", "conv_ae", "channel_ae", "masked_ae", "vae",
                           "conv_vae", "cvae", "aae", "aae_supervised", "aae_semi", "aae_cluster", "predictor",
                           "memory", "latent", "wbank", "auto");
}
/// Those that reconstruct windows, and say of the newest row just what they make of the window.
inline auto autoencoders() {
  return ::testing::Values("pca", "dense_ae", "conv_ae", "channel_ae", "masked_ae", "vae",
                           "conv_vae", "cvae");
}

/// Small and quick to train; tests change what they are about.
inline Options small_options(std::string kind) {
  return {.kind = std::move(kind),
          .window = 8,
          .hidden = {12},
          .latent = 3,
          .epochs = 4,
          .batch = 64,
          .device = "cpu",
          .threads = 1};
}

inline std::unique_ptr<TorchModelFactory> factory(const Options& options) {
  auto result = TorchModelFactory::create(options);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? std::move(*result) : nullptr;
}

/// Rows of channels that move together with some noise of their own: [num_rows x channels].
inline std::vector<float> coupled_rows(std::size_t num_rows, std::size_t channels, unsigned seed) {
  std::mt19937 random{seed};
  std::normal_distribution<float> noise{0, 0.2F};
  std::vector<float> rows;
  for (std::size_t t = 0; t < num_rows; ++t) {
    const double phase = 2 * std::numbers::pi * static_cast<double>(t) / 24;
    for (std::size_t c = 0; c < channels; ++c) {
      rows.push_back(static_cast<float>(std::sin(phase + static_cast<double>(c + seed))) +
                     noise(random));
    }
  }
  return rows;
}

inline TrainingSet training_set(std::size_t channels, std::vector<std::vector<float>> series) {
  TrainingSet set;
  for (std::size_t c = 0; c < channels; ++c) set.channels.push_back({"c" + std::to_string(c), ""});
  for (std::vector<float>& rows : series) {
    set.series.push_back({"s" + std::to_string(set.series.size()), std::move(rows)});
  }
  set.classes = {"normal"};
  return set;
}

/// A scorer, and by slot the memory of a series that it was trained on.
struct Trained {
  std::unique_ptr<Scorer> scorer;
  std::vector<Memory> memories;

  Scorer& operator*() const { return *scorer; }
  Scorer* operator->() const { return scorer.get(); }
  explicit operator bool() const { return scorer != nullptr; }
};

/// The memory of a series that begins with `rows`; a failure fails the test.
inline Memory memory_of(Scorer& scorer, std::vector<float> rows, std::uint32_t slot = 0) {
  const std::size_t channels = scorer.info().channels.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {  // a missing cell holds the last value
    if (std::isnan(rows[i])) rows[i] = i < channels ? 0 : rows[i - channels];
  }
  auto memory = scorer.memorize(rows, slot, rows.size() / channels);
  EXPECT_TRUE(memory) << (memory ? "" : memory.error().message);
  return memory ? *std::move(memory) : Memory{};
}

/// Trains; a failure fails the test and gives nothing.
inline Trained trained(const Options& options, const TrainingSet& set,
                       TrainingReport* report = nullptr, const ProgressFn& progress = {}) {
  TrainingReport unused;
  auto scorer = factory(options)->train(set, progress, {}, report == nullptr ? unused : *report);
  EXPECT_TRUE(scorer) << (scorer ? "" : scorer.error().message);
  if (!scorer) return {};
  Trained result{std::move(*scorer), {}};
  const std::vector<std::string>& slots = result->info().slots;
  result.memories.push_back(memory_of(*result, set.series.front().rows));
  for (std::uint32_t slot = 1; slot <= slots.size(); ++slot) {
    const auto of_slot = std::ranges::find(set.series, slots[slot - 1], &TrainingSet::Series::id);
    result.memories.push_back(memory_of(*result, of_slot->rows, slot));
  }
  return result;
}

/// All windows of `rows` for this scorer, in one slot.
inline Batch batch_of(const Scorer& scorer, const std::vector<float>& rows,
                      std::uint32_t slot = 0) {
  Batch batch{scorer.info().channels.size(), scorer.info().context, rows, {}};
  for (std::size_t end = batch.context - 1; end < batch.num_rows(); ++end) {
    batch.windows.push_back({static_cast<std::uint32_t>(end), slot});
  }
  return batch;
}

/// The residuals of a batch; a failure fails the test and gives none. Windows have the memory of
/// their slot, as it is at first.
inline std::vector<float> residuals_of(Scorer& scorer, Batch batch, std::vector<Memory> memories) {
  for (Batch::Window& window : batch.windows) window.memory = &memories.at(window.slot);
  auto result = scorer.score(batch);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? std::move(result->values) : std::vector<float>{};
}

inline std::vector<float> residuals_of(const Trained& model, const Batch& batch) {
  return residuals_of(*model, batch, model.memories);
}

/// Compares element by element: EXPECT_THAT(values, AllNear(expected, 1e-5)).
inline auto AllNear(const std::vector<float>& expected, float tolerance) {
  return ::testing::Pointwise(::testing::FloatNear(tolerance), expected);
}

}  // namespace anomalyd::models::testing
