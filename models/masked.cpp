#include <algorithm>
#include <cmath>

#include "models/masked_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kHiddenShare = 0.5;  // of the windows, while training
// As for networks of one channel, half as many: 500 for the 40 epochs of the default.
constexpr double kStepsPerEpoch = 12.5;
constexpr std::int64_t kBatch = 128;
constexpr double kLearningRate = 3e-3;
constexpr double kTrimmed = 0.05;
constexpr std::int64_t kMostWindows = 20000;  // that codes are scaled by

// Windows [..., n, window x channels] and the flag, the newest row hidden where `hidden` [n, 1]
// is 1.
at::Tensor with_flag(const at::Tensor& windows, const at::Tensor& hidden, std::int64_t channels) {
  std::vector<std::int64_t> sizes = windows.sizes().vec();
  sizes.back() = 1;
  const std::int64_t past = windows.size(-1) - channels;
  return at::cat({windows.narrow(-1, 0, past), windows.narrow(-1, past, channels) * (1 - hidden),
                  hidden.expand(sizes)},
                 -1);
}

// The newest rows of what a batch has to restore.
TrainingBatch newest_of(const TrainingBatch& batch, std::int64_t channels) {
  const std::int64_t past = batch.windows.size(2) - channels;
  TrainingBatch newest;
  newest.windows = batch.windows.narrow(2, past, channels);
  if (batch.observed.defined()) newest.observed = batch.observed.narrow(2, past, channels);
  return newest;
}

// Random, but the same in every slot. As large as keeps the size of what goes through (He et al.
// 2015): there are few steps to grow in.
std::vector<at::Tensor> start(const std::vector<LayerPlan>& plan, const TrainingRows& rows,
                              std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  std::vector<at::Tensor> weights;
  for (const LayerPlan& layer : plan) {
    const double gain = layer.relu ? 1.4 : 1.0;
    const at::Tensor weight =
        at::randn({1, layer.inputs, layer.outputs}, generator, at::TensorOptions{at::kFloat}) *
        (gain / std::sqrt(static_cast<double>(layer.inputs)));
    weights.push_back(weight.repeat({rows.num_slots(), 1, 1}).to(rows.values.device()));
    weights.push_back(at::zeros_like(weights.back().narrow(1, 0, 1)));
  }
  return weights;
}

}  // namespace

Result<MaskedNetwork> MaskedNetwork::parse(const MemberOptions& options) {
  auto trunk = Trunk::parse(Trunk::Form::kDense, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  return MaskedNetwork{std::move(*trunk)};
}

std::vector<LayerPlan> MaskedNetwork::plan(std::int64_t channels) const {
  std::vector<LayerPlan> layers = trunk.encoder(channels, 1, trunk.latent);
  const std::vector<LayerPlan> decoder = trunk.decoder(channels, trunk.latent);
  layers.insert(layers.end(), decoder.begin(), decoder.end());
  return layers;
}

std::vector<WeightShape> MaskedNetwork::shapes(const ModelShape& shape) const {
  return shapes_of(plan(shape.channels), shape.slots);
}

std::vector<Layer> MaskedNetwork::encoder(const std::vector<at::Tensor>& weights,
                                          std::int64_t channels) const {
  return with_weights(trunk.encoder(channels, 1, trunk.latent), weights);
}

std::vector<Layer> MaskedNetwork::all_layers(const std::vector<at::Tensor>& weights,
                                             std::int64_t channels) const {
  return with_weights(plan(channels), weights);
}

at::Tensor MaskedNetwork::inputs(const at::Tensor& windows, Newest newest) const {
  const double flag = newest == Newest::kHidden ? 1 : 0;
  return with_flag(windows, at::full({1, 1}, flag, windows.options()),
                   windows.size(-1) / trunk.window);
}

at::Tensor MaskedNetwork::loss(const std::vector<at::Tensor>& weights,
                               const TrainingBatch& batch) const {
  const std::int64_t n = batch.windows.size(1);
  const std::int64_t channels = batch.windows.size(2) / trunk.window;
  // The draws are the same in every slot. Validation asks for what is hardest.
  at::Tensor hidden = at::ones({n, 1});
  if (batch.noise != nullptr) {
    hidden = (at::rand({n, 1}, *batch.noise, at::TensorOptions{at::kFloat}) < kHiddenShare)
                 .to(at::kFloat);
  }
  const at::Tensor output =
      forward(all_layers(weights, channels),
              with_flag(batch.windows, hidden.to(batch.windows.device()), channels));
  const TrainingBatch newest = newest_of(batch, channels);
  const at::Tensor error =
      masked_square_error(output.narrow(2, output.size(2) - channels, channels), newest);
  if (batch.noise == nullptr) return error;
  return (masked_square_error(output, batch) + error) / 2;
}

Result<Fitted> MaskedNetwork::fit(const TrainingRows& rows, const FitRun& run) {
  trunk.fit_to(rows.longest(0), rows.channels());
  FitRun ours = run;
  ours.options.steps =
      static_cast<std::int64_t>(kStepsPerEpoch * static_cast<double>(run.options.epochs));
  ours.options.batch = kBatch;
  ours.options.learning_rate = kLearningRate;
  ours.options.trimmed = kTrimmed;
  auto fitted =
      minimise([this](const auto& weights, const auto& batch) { return loss(weights, batch); },
               start(plan(rows.channels()), rows, run.options.seed), rows, trunk.window, ours);
  if (fitted) whiten(fitted->weights, rows);
  return fitted;
}

// Scales the code layer, and the one behind it the other way.
void MaskedNetwork::whiten(std::vector<at::Tensor>& weights, const TrainingRows& rows) const {
  const std::size_t code = 2 * trunk.hidden.size();
  for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
    const at::Tensor ends =
        thin_out(rows.window_ends(slot, trunk.window), kMostWindows).to(rows.values.device());
    if (ends.size(0) < 2) continue;
    const at::Tensor windows = gather(rows.values, ends, window_lags(trunk.window));
    const at::Tensor codes = forward(encoder(weights, rows.channels()),
                                     inputs(windows, Newest::kSeen), SlotChoice{slot});
    const at::Tensor floor = codes.std() * 1e-3 + 1e-6;
    const at::Tensor deviation = at::maximum(codes.std(0, /*unbiased=*/true, true), floor);
    weights[code].select(0, slot).div_(deviation);
    weights[code + 1].select(0, slot).div_(deviation);
    weights[code + 2].select(0, slot).mul_(deviation.t());
  }
}

}  // namespace anomalyd::models
