#include <string>

#include "models/dense_torch.hpp"

namespace anomalyd::models {

Result<DenseOptions> DenseOptions::parse(const MemberOptions& options) {
  const auto window = whole_number(options, "window", {4, 4096});
  if (!window) return Failure{window.error()};
  auto hidden = whole_numbers(options, "hidden", {1, 16384}, 8);
  if (!hidden) return Failure{std::move(hidden.error())};
  const auto latent = whole_number(options, "latent", {1, 4096});
  if (!latent) return Failure{latent.error()};
  return DenseOptions{*window, std::move(*hidden), *latent};
}

MemberOptions DenseOptions::to_options() const {
  return {{"window", {static_cast<double>(window)}},
          {"hidden", {hidden.begin(), hidden.end()}},
          {"latent", {static_cast<double>(latent)}}};
}

std::vector<std::int64_t> DenseOptions::widths(std::int64_t channels) const {
  std::vector<std::int64_t> result{window * channels};
  result.insert(result.end(), hidden.begin(), hidden.end());
  result.push_back(latent);
  result.insert(result.end(), hidden.rbegin(), hidden.rend());
  result.push_back(window * channels);
  return result;
}

std::vector<WeightShape> dense_shapes(const std::vector<std::int64_t>& widths, std::int64_t slots) {
  std::vector<WeightShape> shapes;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const std::string layer = "layer" + std::to_string(i);
    shapes.push_back({layer + ".weight", {slots, widths[i], widths[i + 1]}});
    shapes.push_back({layer + ".bias", {slots, 1, widths[i + 1]}});
  }
  return shapes;
}

std::vector<Layer> dense_layers(const std::vector<at::Tensor>& weights, std::size_t code_layer) {
  std::vector<Layer> layers;
  const std::size_t count = weights.size() / 2;
  for (std::size_t i = 0; i < count; ++i) {
    const bool linear = i == code_layer || i + 1 == count;
    layers.push_back({weights[2 * i], weights[2 * i + 1], !linear});
  }
  return layers;
}

std::vector<Layer> for_newest_row(std::vector<Layer> layers, std::int64_t window) {
  Layer& last = layers.back();
  const std::int64_t outputs = last.weight.size(2);
  const std::int64_t channels = outputs / window;
  last.weight = last.weight.narrow(2, outputs - channels, channels).contiguous();
  last.bias = last.bias.narrow(2, outputs - channels, channels).contiguous();
  return layers;
}

}  // namespace anomalyd::models
