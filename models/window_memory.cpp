// A memory of codes of whole windows: all channels make one code, so it knows which states of the
// channels go together.
//
//   residual_c = sqrt( min_b |code - b|^2 / W )   for every channel c, codes of variance 1
//
// The distance belongs to no channel more than to another: each has it in full, and so an equal
// share of what this member says. Codes come from a fully connected autoencoder that learned with
// the newest row hidden in half of the windows, as channel_ae does for one channel.

#include <algorithm>

#include "models/gradient_torch.hpp"
#include "models/memory_torch.hpp"
#include "models/registry_torch.hpp"
#include "models/trunk_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kHiddenShare = 0.5;  // of the windows, while training
constexpr double kStepsPerEpoch = 12.5;
constexpr std::int64_t kBatch = 128;
constexpr double kLearningRate = 3e-3;
constexpr double kTrimmed = 0.05;
constexpr std::int64_t kMostWindows = 20000;  // that codes are scaled by

class WholeWindowMemory final : public MemoryMember {
 public:
  WholeWindowMemory(Trunk trunk, std::int64_t values) : trunk_{std::move(trunk)}, values_{values} {}

  std::string_view kind() const override { return "window_memory"; }
  MemberOptions options() const override {
    MemberOptions options = trunk_.to_options();
    options["values"] = {static_cast<double>(values_)};
    return options;
  }
  std::vector<std::int64_t> lags() const override { return window_lags(trunk_.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return shapes_of(all_layers(shape.channels), shape.slots);
  }
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override;

  bool is_whole() const override { return true; }
  std::int64_t code_width(std::int64_t channels) const override {
    return (trunk_.latent + channels - 1) / channels;
  }
  std::int64_t bank_windows(std::int64_t /*channels*/) const override {
    return windows_in_bank(values_, trunk_.window);
  }
  at::Tensor codes(const at::Tensor& inputs, const SlotChoice& choice) const override;

 private:
  // One more input says that the newest row is hidden.
  std::vector<LayerPlan> encoder(std::int64_t channels) const {
    return trunk_.encoder(channels, 1, trunk_.latent);
  }
  std::vector<LayerPlan> all_layers(std::int64_t channels) const {
    std::vector<LayerPlan> layers = encoder(channels);
    const std::vector<LayerPlan> decoder = trunk_.decoder(channels, trunk_.latent);
    layers.insert(layers.end(), decoder.begin(), decoder.end());
    return layers;
  }
  at::Tensor loss(const std::vector<at::Tensor>& parameters, const TrainingBatch& batch) const;
  void whiten(std::vector<at::Tensor>& parameters, const TrainingRows& rows) const;

  Trunk trunk_;
  std::int64_t values_;
};

// Windows [..., n, inputs] with the flag, the newest row hidden where `hidden` [n, 1] is 1.
at::Tensor with_flag(const at::Tensor& windows, const at::Tensor& hidden, std::int64_t channels) {
  std::vector<std::int64_t> sizes = windows.sizes().vec();
  sizes.back() = 1;
  const std::int64_t past = windows.size(-1) - channels;
  return at::cat({windows.narrow(-1, 0, past), windows.narrow(-1, past, channels) * (1 - hidden),
                  hidden.expand(sizes)},
                 -1);
}

at::Tensor WholeWindowMemory::loss(const std::vector<at::Tensor>& parameters,
                                   const TrainingBatch& batch) const {
  const std::int64_t n = batch.windows.size(1);
  const std::int64_t channels = batch.windows.size(2) / trunk_.window;
  // The draws are the same in every slot. Validation asks for what is hardest.
  at::Tensor hidden = at::ones({n, 1});
  if (batch.noise != nullptr) {
    hidden = (at::rand({n, 1}, *batch.noise, at::TensorOptions{at::kFloat}) < kHiddenShare)
                 .to(at::kFloat);
  }
  const at::Tensor inputs = with_flag(batch.windows, hidden.to(batch.windows.device()), channels);
  const at::Tensor output = forward(with_weights(all_layers(channels), parameters), inputs);
  TrainingBatch newest = batch;
  newest.windows = batch.windows.narrow(2, batch.windows.size(2) - channels, channels);
  if (batch.observed.defined()) {
    newest.observed = batch.observed.narrow(2, batch.windows.size(2) - channels, channels);
  }
  const at::Tensor error =
      masked_square_error(output.narrow(2, output.size(2) - channels, channels), newest);
  if (batch.noise == nullptr) return error;
  return (masked_square_error(output, batch) + error) / 2;
}

Result<Fitted> WholeWindowMemory::fit(const TrainingRows& rows, const FitRun& run) {
  trunk_.fit_to(rows.longest(0));
  FitRun ours = run;
  ours.options.steps =
      static_cast<std::int64_t>(kStepsPerEpoch * static_cast<double>(run.options.epochs));
  ours.options.batch = kBatch;
  ours.options.learning_rate = kLearningRate;
  ours.options.trimmed = kTrimmed;
  auto fitted = minimise(
      [this](const auto& parameters, const auto& batch) { return loss(parameters, batch); },
      starting_weights(all_layers(rows.channels()), rows, run.options.seed), rows, trunk_.window,
      ours);
  if (fitted) whiten(fitted->weights, rows);
  return fitted;
}

// Scales the code layer, and the one behind it the other way.
void WholeWindowMemory::whiten(std::vector<at::Tensor>& parameters,
                               const TrainingRows& rows) const {
  const std::size_t code = 2 * (encoder(rows.channels()).size() - 1);
  for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
    const at::Tensor ends =
        thin_out(rows.window_ends(slot, trunk_.window), kMostWindows).to(rows.values.device());
    if (ends.size(0) < 2) continue;
    const at::Tensor windows = gather(rows.values, ends, window_lags(trunk_.window));
    const at::Tensor seen = at::zeros({1, 1}, windows.options());
    const at::Tensor codes = forward(with_weights(encoder(rows.channels()), parameters),
                                     with_flag(windows, seen, rows.channels()), SlotChoice{slot});
    const at::Tensor floor = codes.std() * 1e-3 + 1e-6;
    const at::Tensor deviation = at::maximum(codes.std(0, /*unbiased=*/true, true), floor);
    parameters[code].select(0, slot).div_(deviation);
    parameters[code + 1].select(0, slot).div_(deviation);
    parameters[code + 2].select(0, slot).mul_(deviation.t());
  }
}

// A code is laid out as if each channel had a part of it, and filled up with zeros.
at::Tensor WholeWindowMemory::codes(const at::Tensor& inputs, const SlotChoice& choice) const {
  const std::int64_t channels = inputs.size(-1) / trunk_.window;
  const at::Tensor flat = inputs.dim() == 2 ? inputs : inputs.flatten(0, 1);
  const at::Tensor seen = at::zeros({1, 1}, flat.options());
  const at::Tensor code =
      forward(with_weights(encoder(channels), weights()), with_flag(flat, seen, channels), choice);
  const std::int64_t width = code_width(channels);
  return at::constant_pad_nd(code, {0, channels * width - trunk_.latent})
      .view({code.size(0), channels, width})
      .transpose(0, 1)
      .contiguous();
}

}  // namespace

Result<std::unique_ptr<Member>> make_window_memory(const MemberOptions& options) {
  auto trunk = Trunk::parse(Trunk::Form::kDense, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  const auto values = whole_number(options, "values", kBankValues);
  if (!values) return Failure{values.error()};
  return std::make_unique<WholeWindowMemory>(std::move(*trunk), *values);
}

}  // namespace anomalyd::models
