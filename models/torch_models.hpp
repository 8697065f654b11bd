#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::models {

/// Which series share weights.
enum class ModelScope : std::uint8_t {
  /// kPerSeries for up to 64 series; beyond, kPooledNetworks for up to 1000 if `auto` has low
  /// effort, and else kPooled.
  kAuto,
  kPooled,          ///< One model for all series of the group.
  kPooledNetworks,  ///< As kPerSeries for what has a closed form, and one network for all.
  kPerSeries,  ///< Each series with enough rows has weights of its own; others use the pooled ones.
};

/// How much work `auto` may make of a window.
enum class Effort : std::uint8_t { kLow, kNormal, kHigh };

/// How a variational autoencoder scores a window; formulas in vae.cpp.
enum class VaeScore : std::uint8_t { kMean, kProbability, kElbo };

/// What is done to training windows so that a network learns to restore them: denoising
/// autoencoders (Vincent et al., Stacked denoising autoencoders, 2010). A hidden cell holds the
/// last value of its channel, as a missing one does.
enum class Corruption : std::uint8_t {
  kNone,
  kGaussian,  ///< Noise of deviation `amount` in every cell.
  kMasking,   ///< Each cell is hidden with probability `amount`.
  kBlocks,    ///< In each channel with probability `amount`, up to half of the window is hidden.
  kFeatures,  ///< Each channel is hidden, all of it, with probability `amount`.
};

/// Trains and scores models with LibTorch.
///
/// Rows of a training set become members' weights: one pooled slot, and one slot per series where
/// the scope says so. All slots of a member have one shape and are stacked, so windows of many
/// series are scored by one batched product.
///
/// Threads  as ModelFactory says. Scoring uses `threads` threads, its caller's included; training
///          uses as many of LibTorch's own.
class TorchModelFactory final : public ModelFactory {
 public:
  struct Options {
    /// A name of docs/models.md, or several joined by '+' for an ensemble.
    std::string kind = "auto";
    Effort effort = Effort::kNormal;  ///< Of `auto`; other kinds have none but kNormal.
    ModelScope scope = ModelScope::kAuto;
    std::size_t window = 32;                      ///< Rows, 8..1024. Short series get less.
    double variance = 0.90;                       ///< Of pca's components, 0.5..0.999.
    std::vector<std::size_t> hidden = {128, 64};  ///< Widths to the code, 1..8 of 1..8192.
    std::size_t latent = 16;  ///< Width of the code, 1..1024; a quarter of a window at most.
    /// What cvae knows of a window beside its rows: hour, weekday, holiday, entity, or channels.
    std::vector<std::string> conditions = {"hour", "weekday"};
    std::vector<std::string> holidays{};        ///< Dates such as 2026-12-25.
    std::chrono::minutes utc_offset{0};         ///< Of the calendar, -1 to 1 days.
    VaeScore vae_score = VaeScore::kMean;       ///< Of vae, conv_vae and cvae.
    std::size_t regimes = 8;                    ///< Of aae_cluster, at most, 1..64.
    Corruption corruption = Corruption::kNone;  ///< Of the windows that autoencoders learn from.
    double corruption_amount = 0.2;             ///< 0..1. See Corruption.
    std::size_t epochs = 40;                    ///< At most, 1..10000.
    std::size_t patience = 6;                   ///< Epochs without improvement, 1..1000.
    std::size_t batch = 256;                    ///< Windows per step and slot, 16..65536.
    std::size_t max_windows = 20'000;           ///< Windows to learn from per slot, 64..10^6.
    double learning_rate = 1e-3;                ///< Of Adam, 1e-6..0.1.
    std::uint64_t seed = 1;                     ///< Same seed and rows, same weights (on a CPU).
    std::string device = "auto";                ///< auto, cpu, cuda or cuda:N.
    std::size_t threads = 0;                    ///< 0..256; 0 is half of the cores.
  };

  /// Errors: kInvalid, naming the first option out of range, or the device that is not there.
  [[nodiscard]] static Result<std::unique_ptr<TorchModelFactory>> create(Options options);

  [[nodiscard]] Result<std::unique_ptr<Scorer>> train(const TrainingSet& set,
                                                      const ProgressFn& progress,
                                                      std::stop_token stop,
                                                      TrainingReport& report) override;
  [[nodiscard]] Status save(const Scorer& scorer, const CheckpointExtras& extras,
                            const std::filesystem::path& path) override;
  [[nodiscard]] Result<LoadedModel> load(const std::filesystem::path& path) override;

 private:
  explicit TorchModelFactory(Options options) : options_{std::move(options)} {}

  Options options_;  // device and threads resolved
};

/// Windows as an autoencoder member sees them.
struct Reconstruction {
  std::size_t window = 0;  ///< Rows, at most the model's context.
  /// [windows x window x channels], in scaled units, oldest row first.
  std::vector<float> expected;
};

/// Reconstructs whole windows with member `member` of `scorer`: evidence for alerts, gap filling.
/// Errors: as Scorer::score; kInvalid when the member only predicts the newest row.
[[nodiscard]] Result<Reconstruction> reconstruct(Scorer& scorer, const Batch& batch,
                                                 std::size_t member);

/// Codes of windows: what an autoencoder makes of them, and can make windows of.
struct Codes {
  std::size_t width = 0;      ///< Numbers of each: the code, classes if it tells any, conditions.
  std::size_t latent = 0;     ///< Of them without the conditions, which come last.
  std::vector<float> values;  ///< [windows x width]
};

/// Codes of all windows by member `member`. Errors: as Scorer::score; kInvalid when it has none.
[[nodiscard]] Result<Codes> encode(Scorer& scorer, const Batch& batch, std::size_t member);

/// The windows that codes stand for, [codes x window x channels] in scaled units, with the weights
/// of `slot`. Errors: as `encode`.
[[nodiscard]] Result<std::vector<float>> decode(Scorer& scorer, const Codes& codes,
                                                std::uint32_t slot, std::size_t member);

/// The mean squared reconstruction error of whole windows, [windows], without bringing the
/// reconstruction itself back from the device. Errors: as `reconstruct`.
[[nodiscard]] Result<std::vector<float>> reconstruction_errors(Scorer& scorer, const Batch& batch,
                                                               std::size_t member);

}  // namespace anomalyd::models
