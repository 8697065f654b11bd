#include <algorithm>
#include <cmath>
#include <string>

#include "models/channel_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kHiddenShare = 0.5;          // of the windows, while training
constexpr std::int64_t kMostWindows = 20000;  // that codes are scaled by
// The networks are so small that a fixed number of steps costs less than finding out when to stop:
// 1000 for the 40 epochs of the default.
constexpr std::int64_t kStepsPerEpoch = 25;
constexpr std::int64_t kBatch = 128;
constexpr double kLearningRate = 3e-3;
constexpr double kTrimmed = 0.05;

at::Tensor layer(const std::vector<at::Tensor>& weights, std::size_t i, const at::Tensor& x) {
  return at::baddbmm(weights[2 * i + 1], x, weights[2 * i]);
}

// Windows and the flag, [networks, n, window + 1]; `hidden` is [1, n, 1].
at::Tensor with_flag(const at::Tensor& windows, const at::Tensor& hidden) {
  const std::int64_t last = windows.size(2) - 1;
  const at::Tensor flag = hidden.expand({windows.size(0), -1, -1});
  return at::cat({windows.narrow(2, 0, last), windows.narrow(2, last, 1) * (1 - flag), flag}, 2);
}

at::Tensor encoded(const std::vector<at::Tensor>& weights, const at::Tensor& inputs) {
  return layer(weights, 1, layer(weights, 0, inputs).tanh_());
}

// 1 where the newest value of a window is hidden, [1, n, 1]. The draws are the same in every slot,
// as the starting weights are. Validation asks for what is hardest.
at::Tensor hidden_windows(std::int64_t n, at::Generator* noise) {
  if (noise == nullptr) return at::ones({1, n, 1});
  return (at::rand({1, n, 1}, *noise, at::TensorOptions{at::kFloat}) < kHiddenShare).to(at::kFloat);
}

}  // namespace

Result<ChannelNetworks> ChannelNetworks::parse(const MemberOptions& options) {
  const auto window = whole_number(options, "window", {4, 4096});
  if (!window) return Failure{window.error()};
  const auto hidden = whole_number(options, "hidden", {1, 4096});
  if (!hidden) return Failure{hidden.error()};
  const auto latent = whole_number(options, "latent", {1, 4096});
  if (!latent) return Failure{latent.error()};
  return ChannelNetworks{*window, *hidden, *latent};
}

MemberOptions ChannelNetworks::to_options() const {
  return {{"window", {static_cast<double>(window)}},
          {"hidden", {static_cast<double>(hidden)}},
          {"latent", {static_cast<double>(latent)}}};
}

std::vector<std::int64_t> ChannelNetworks::widths() const {
  return {window + 1, hidden, latent, hidden, window};
}

std::vector<WeightShape> ChannelNetworks::shapes(const ModelShape& shape) const {
  std::vector<WeightShape> shapes;
  const std::vector<std::int64_t> out = widths();
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    const std::string name = "layer" + std::to_string(i);
    shapes.push_back({name + ".weight", {shape.slots, shape.channels, out[i], out[i + 1]}});
    shapes.push_back({name + ".bias", {shape.slots, shape.channels, 1, out[i + 1]}});
  }
  return shapes;
}

// Random, but the same in every slot, so that each becomes what it would become alone.
std::vector<at::Tensor> ChannelNetworks::start(const TrainingRows& rows, std::uint64_t seed) const {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  std::vector<at::Tensor> weights;
  const std::vector<std::int64_t> out = widths();
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    const double gain = i % 2 == 0 ? 1.4 : 1.0;  // tanh behind it, or nothing
    const at::Tensor weight =
        at::randn({rows.channels(), out[i], out[i + 1]}, generator, at::TensorOptions{at::kFloat}) *
        (gain / std::sqrt(static_cast<double>(out[i])));
    weights.push_back(weight.repeat({rows.num_slots(), 1, 1}).to(rows.values.device()));
    weights.push_back(at::zeros_like(weights.back().narrow(1, 0, 1)));
  }
  return weights;
}

at::Tensor ChannelNetworks::loss(const std::vector<at::Tensor>& weights,
                                 const TrainingBatch& batch) const {
  const at::Tensor x = by_channel(batch.windows);
  const at::Tensor flag = hidden_windows(x.size(1), batch.noise).to(x.device());
  at::Tensor square = (decode(weights, encoded(weights, with_flag(x, flag))) - x).square();
  at::Tensor cells;  // observed ones of each window
  if (batch.observed.defined()) {
    const at::Tensor observed = by_channel(batch.observed);
    square = square * observed;
    cells = observed.sum(2).clamp_min(1);
  }
  at::Tensor newest = square.select(2, window - 1);
  if (batch.noise == nullptr) return newest;
  return ((cells.defined() ? square.sum(2) / cells : square.mean(2)) + newest) / 2;
}

Result<Fitted> ChannelNetworks::fit(const TrainingRows& rows, const FitRun& run) {
  window = fit_window(window, rows.longest(0));
  FitRun ours = run;
  ours.options.steps = kStepsPerEpoch * run.options.epochs;
  ours.options.batch = kBatch;
  ours.options.learning_rate = kLearningRate;
  ours.options.trimmed = kTrimmed;
  auto fitted =
      minimise([this](const auto& weights, const auto& batch) { return loss(weights, batch); },
               start(rows, run.options.seed), rows, window, ours);
  if (!fitted) return fitted;
  for (at::Tensor& weight : fitted->weights) {
    weight = weight.view({rows.num_slots(), rows.channels(), weight.size(1), weight.size(2)});
  }
  whiten(fitted->weights, rows);
  return fitted;
}

// Scales the code layer, and the one behind it the other way.
void ChannelNetworks::whiten(std::vector<at::Tensor>& weights, const TrainingRows& rows) const {
  for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
    const at::Tensor ends =
        thin_out(rows.window_ends(slot, window), kMostWindows).to(rows.values.device());
    if (ends.size(0) < 2) continue;
    const SlotChoice choice{slot};
    std::vector<at::Tensor> parts;
    for (const at::Tensor& some : ends.split(windows_at_once(window * rows.channels()))) {
      parts.push_back(encode(chosen(weights, choice),
                             by_channel(gather(rows.values, some, window_lags(window))),
                             Newest::kSeen));
    }
    const at::Tensor codes = at::cat(parts, 1);
    const at::Tensor floor = codes.std() * 1e-3 + 1e-6;
    const at::Tensor deviation = at::maximum(codes.std(1, /*unbiased=*/true, true), floor);
    weights[2].select(0, slot).div_(deviation);
    weights[3].select(0, slot).div_(deviation);
    weights[4].select(0, slot).mul_(deviation.transpose(1, 2));
  }
}

double ChannelNetworks::operations_to_encode(std::int64_t channels) const {
  return 2 * static_cast<double>(channels * ((window + 1) * hidden + hidden * latent));
}

double ChannelNetworks::operations_to_decode(std::int64_t channels) const {
  return 2 * static_cast<double>(channels * (latent * hidden + hidden * window));
}

at::Tensor ChannelNetworks::by_channel(const at::Tensor& inputs) const {
  const std::int64_t channels = inputs.size(-1) / window;
  if (inputs.dim() == 2) return inputs.view({-1, window, channels}).permute({2, 0, 1});
  return inputs.view({inputs.size(0), inputs.size(1), window, channels})
      .permute({0, 3, 1, 2})
      .flatten(0, 1);
}

std::vector<at::Tensor> ChannelNetworks::chosen(const std::vector<at::Tensor>& weights,
                                                const SlotChoice& choice) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& weight : weights) {
    const at::Tensor of_slots = choice.of(weight);
    result.push_back(of_slots.dim() == 3 ? of_slots : of_slots.flatten(0, 1));
  }
  return result;
}

at::Tensor ChannelNetworks::encode(const std::vector<at::Tensor>& weights,
                                   const at::Tensor& windows, Newest newest) const {
  const double flag = newest == Newest::kHidden ? 1 : 0;
  return encoded(weights,
                 with_flag(windows, at::full({1, windows.size(1), 1}, flag, windows.options())));
}

at::Tensor ChannelNetworks::decode(const std::vector<at::Tensor>& weights,
                                   const at::Tensor& codes) const {
  return layer(weights, 3, layer(weights, 2, codes).tanh());
}

}  // namespace anomalyd::models
