// A memory of codes of whole windows: all channels make one code, so it knows which states of the
// channels go together.
//
//   residual_c = sqrt( min_b |code - b|^2 / W )   for every channel c, codes of variance 1
//
// The distance belongs to no channel more than to another: each has it in full, and so an equal
// share of what this member says. Codes come from a fully connected autoencoder that learned with
// the newest row hidden in half of the windows, as channel_ae does for one channel; one more input
// says that it is.
//
//   loss = (mean over cells of (x - x')^2 + mean over channels of (newest x - newest x')^2) / 2

#include <algorithm>
#include <cmath>

#include "models/gradient_torch.hpp"
#include "models/memory_torch.hpp"
#include "models/registry_torch.hpp"
#include "models/trunk_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kHiddenShare = 0.5;  // of the windows, while training
// Half as many as for networks of one channel: 500 for the 40 epochs of the default.
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

// The same with nothing hidden.
at::Tensor all_seen(const at::Tensor& windows, std::int64_t channels) {
  return with_flag(windows, at::zeros({1, 1}, windows.options()), channels);
}

// The newest rows of what a batch has to restore.
TrainingBatch newest_of(const TrainingBatch& batch, std::int64_t channels) {
  const std::int64_t past = batch.windows.size(2) - channels;
  TrainingBatch newest;
  newest.windows = batch.windows.narrow(2, past, channels);
  if (batch.observed.defined()) newest.observed = batch.observed.narrow(2, past, channels);
  return newest;
}

// Random, but the same in every slot, and so large that what goes through keeps its size (He et al.
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

class WindowMemory final : public MemoryMember {
 public:
  WindowMemory(Trunk trunk, std::int64_t values) : trunk_{std::move(trunk)}, values_{values} {}

  std::string_view kind() const override { return "window_memory"; }
  MemberOptions options() const override {
    MemberOptions options = trunk_.to_options();
    options["values"] = {static_cast<double>(values_)};
    return options;
  }
  std::vector<std::int64_t> lags() const override { return window_lags(trunk_.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    return shapes_of(plan(shape.channels), shape.slots);
  }

  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    trunk_.window = fit_window(trunk_.window, rows.longest(0));
    trunk_.latent = std::min(trunk_.latent, trunk_.window * rows.channels() / 2);
    FitRun ours = run;
    ours.options.steps =
        static_cast<std::int64_t>(kStepsPerEpoch * static_cast<double>(run.options.epochs));
    ours.options.batch = kBatch;
    ours.options.learning_rate = kLearningRate;
    ours.options.trimmed = kTrimmed;
    auto fitted =
        minimise([this](const auto& weights, const auto& batch) { return loss(weights, batch); },
                 start(plan(rows.channels()), rows, run.options.seed), rows, trunk_.window, ours);
    if (fitted) whiten(fitted->weights, rows);
    return fitted;
  }

  BankShape bank(std::int64_t channels) const override {
    const std::int64_t part = (trunk_.latent + channels - 1) / channels;
    return {static_cast<std::size_t>(trunk_.window), static_cast<std::size_t>(part),
            windows_in_bank(values_, trunk_.window)};
  }
  std::int64_t shared_width() const override { return trunk_.latent; }

  // Laid out as if each channel had a part of the code, and filled up with zeros.
  at::Tensor codes(const at::Tensor& inputs, const SlotChoice& choice) const override {
    const std::int64_t channels = inputs.size(-1) / trunk_.window;
    const auto part = static_cast<std::int64_t>(bank(channels).width);
    const at::Tensor code = forward(encoder_, all_seen(inputs, channels), choice);
    return at::constant_pad_nd(code, {0, channels * part - trunk_.latent})
        .view({code.size(0), channels, part})
        .transpose(0, 1)
        .contiguous();
  }

 protected:
  double operations_to_encode() const override { return operations_of(encoder_); }
  void prepare() override { encoder_ = with_weights(encoder(shape().channels), weights()); }

 private:
  std::vector<LayerPlan> encoder(std::int64_t channels) const {
    return trunk_.encoder(channels, /*extra=*/1, trunk_.latent);
  }
  std::vector<LayerPlan> plan(std::int64_t channels) const {
    std::vector<LayerPlan> layers = encoder(channels);
    const std::vector<LayerPlan> decoder = trunk_.decoder(channels, trunk_.latent);
    layers.insert(layers.end(), decoder.begin(), decoder.end());
    return layers;
  }

  at::Tensor loss(const std::vector<at::Tensor>& weights, const TrainingBatch& batch) const {
    const std::int64_t n = batch.windows.size(1);
    const std::int64_t channels = batch.windows.size(2) / trunk_.window;
    // The draws are the same in every slot. Validation asks for what is hardest.
    at::Tensor hidden = at::ones({n, 1});
    if (batch.noise != nullptr) {
      hidden = (at::rand({n, 1}, *batch.noise, at::TensorOptions{at::kFloat}) < kHiddenShare)
                   .to(at::kFloat);
    }
    const at::Tensor output =
        forward(with_weights(plan(channels), weights),
                with_flag(batch.windows, hidden.to(batch.windows.device()), channels));
    at::Tensor newest = masked_square_error(output.narrow(2, output.size(2) - channels, channels),
                                            newest_of(batch, channels));
    if (batch.noise == nullptr) return newest;
    return (masked_square_error(output, batch) + newest) / 2;
  }

  // Scales the code layer, and the one behind it the other way.
  void whiten(std::vector<at::Tensor>& weights, const TrainingRows& rows) const {
    const std::size_t code = 2 * trunk_.hidden.size();
    for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
      const at::Tensor ends =
          thin_out(rows.window_ends(slot, trunk_.window), kMostWindows).to(rows.values.device());
      if (ends.size(0) < 2) continue;
      const at::Tensor windows = gather(rows.values, ends, lags());
      const at::Tensor codes = forward(with_weights(encoder(rows.channels()), weights),
                                       all_seen(windows, rows.channels()), SlotChoice{slot});
      const at::Tensor floor = codes.std() * 1e-3 + 1e-6;
      const at::Tensor deviation = at::maximum(codes.std(0, /*unbiased=*/true, true), floor);
      weights[code].select(0, slot).div_(deviation);
      weights[code + 1].select(0, slot).div_(deviation);
      weights[code + 2].select(0, slot).mul_(deviation.t());
    }
  }

  Trunk trunk_;
  std::int64_t values_;
  std::vector<Layer> encoder_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_window_memory(const MemberOptions& options) {
  auto trunk = Trunk::parse(Trunk::Form::kDense, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  const auto values = whole_number(options, "values", kBankValues);
  if (!values) return Failure{values.error()};
  return std::make_unique<WindowMemory>(std::move(*trunk), *values);
}

}  // namespace anomalyd::models
