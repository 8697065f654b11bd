#include <algorithm>
#include <cmath>
#include <string>

#include "models/trunk_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr Range kWindow{4, 4096};
constexpr Range kWidth{1, 16384};

std::int64_t positions_behind(std::int64_t window, std::size_t layers) {
  return window >> static_cast<std::int64_t>(layers);
}

LayerPlan convolution(std::int64_t channels, std::int64_t filters, Convolution convolution,
                      bool relu) {
  return {channels * Convolution::kKernel, filters, relu, convolution};
}

}  // namespace

Result<Trunk> Trunk::parse(Form form, const MemberOptions& options) {
  const auto window = whole_number(options, "window", kWindow);
  if (!window) return Failure{window.error()};
  auto hidden = whole_numbers(options, "hidden", kWidth, 8);
  if (!hidden) return Failure{std::move(hidden.error())};
  const auto latent = whole_number(options, "latent", kWidth);
  if (!latent) return Failure{latent.error()};
  const std::int64_t halved = std::int64_t{1} << static_cast<std::int64_t>(hidden->size());
  if (form == Form::kConvolutional && *window % halved != 0) {
    return fail(ErrorKind::kInvalid, "window: found " + std::to_string(*window) +
                                         "; expected a multiple of " + std::to_string(halved) +
                                         ", which " + std::to_string(hidden->size()) +
                                         " convolutions can halve");
  }
  return Trunk{form, *window, std::move(*hidden), *latent};
}

MemberOptions Trunk::to_options() const {
  return {{"window", {static_cast<double>(window)}},
          {"hidden", {hidden.begin(), hidden.end()}},
          {"latent", {static_cast<double>(latent)}}};
}

void Trunk::fit_to(std::int64_t rows, std::int64_t channels) {
  window = fit_window(window, rows);
  if (form == Form::kConvolutional) {
    while (positions_behind(window, hidden.size()) == 0) hidden.pop_back();
    window = positions_behind(window, hidden.size()) << hidden.size();
  }
  latent = std::min(latent, std::max<std::int64_t>(1, window * channels / 4));
}

std::vector<LayerPlan> Trunk::encoder(std::int64_t channels, std::int64_t extra,
                                      std::int64_t codes) const {
  std::vector<LayerPlan> plan;
  std::int64_t inputs = window * channels;
  if (form == Form::kConvolutional) {
    std::int64_t positions = window;
    std::int64_t width = channels;
    for (const std::int64_t filters : hidden) {
      plan.push_back(convolution(width, filters, {.positions = positions, .stride = 2}, true));
      positions /= 2;
      width = filters;
    }
    plan.push_back({positions * width + extra, codes, false});
    return plan;
  }
  inputs += extra;
  for (const std::int64_t width : hidden) {
    plan.push_back({inputs, width, true});
    inputs = width;
  }
  plan.push_back({inputs, codes, false});
  return plan;
}

std::vector<LayerPlan> Trunk::decoder(std::int64_t channels, std::int64_t codes) const {
  std::vector<LayerPlan> plan;
  std::int64_t inputs = codes;
  if (form == Form::kConvolutional) {
    std::int64_t positions = positions_behind(window, hidden.size());
    plan.push_back({codes, positions * hidden.back(), true});
    for (std::size_t i = hidden.size(); i-- > 0;) {
      const std::int64_t filters = i > 0 ? hidden[i - 1] : channels;
      plan.push_back(convolution(hidden[i], filters, {.positions = positions, .repeat = 2}, i > 0));
      positions *= 2;
    }
    return plan;
  }
  for (auto width = hidden.rbegin(); width != hidden.rend(); ++width) {
    plan.push_back({inputs, *width, true});
    inputs = *width;
  }
  plan.push_back({inputs, window * channels, false});
  return plan;
}

std::vector<WeightShape> shapes_of(const std::vector<LayerPlan>& plan, std::int64_t slots) {
  std::vector<WeightShape> shapes;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const std::string layer = "layer" + std::to_string(i);
    shapes.push_back({layer + ".weight", {slots, plan[i].inputs, plan[i].outputs}});
    shapes.push_back({layer + ".bias", {slots, 1, plan[i].outputs}});
  }
  return shapes;
}

std::vector<at::Tensor> starting_weights(const std::vector<LayerPlan>& plan,
                                         const TrainingRows& rows, std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  std::vector<at::Tensor> weights;
  for (const LayerPlan& layer : plan) {
    const double bound = 1 / std::sqrt(static_cast<double>(layer.inputs));
    for (const std::int64_t inputs : {layer.inputs, std::int64_t{1}}) {
      at::Tensor one =
          at::rand({1, inputs, layer.outputs}, generator, at::TensorOptions{at::kFloat});
      one = (one * 2 - 1) * bound;
      weights.push_back(one.expand({rows.num_slots(), -1, -1}).to(rows.values.device()).clone());
    }
  }
  return weights;
}

std::vector<Layer> with_weights(const std::vector<LayerPlan>& plan,
                                const std::vector<at::Tensor>& weights, std::size_t first) {
  std::vector<Layer> layers;
  for (const LayerPlan& layer : plan) {
    layers.push_back({weights[first], weights[first + 1], layer.relu, layer.convolution});
    first += 2;
  }
  return layers;
}

std::vector<Layer> for_newest_row(std::vector<Layer> layers, std::int64_t window) {
  Layer& last = layers.back();
  if (last.convolution.is_used()) {
    last.convolution.newest_only = true;
    return layers;
  }
  const std::int64_t outputs = last.weight.size(2);
  const std::int64_t channels = outputs / window;
  last.weight = last.weight.narrow(2, outputs - channels, channels).contiguous();
  last.bias = last.bias.narrow(2, outputs - channels, channels).contiguous();
  return layers;
}

}  // namespace anomalyd::models
