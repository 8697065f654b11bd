
#include "models/layers_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

at::Tensor apply(const at::Tensor& weight, const at::Tensor& bias, bool relu, const at::Tensor& x) {
  at::Tensor y = x.dim() == 2 ? at::addmm(bias, x, weight) : at::baddbmm(bias, x, weight);
  if (relu) y.relu_();
  return y;
}

}  // namespace

at::Tensor SlotChoice::of(const at::Tensor& stacked) const {
  return slots_.defined() ? stacked.index_select(0, slots_) : stacked.select(0, slot_);
}

at::Tensor forward(const std::vector<Layer>& layers, const at::Tensor& inputs,
                   const SlotChoice& choice) {
  at::Tensor x = inputs;
  for (const Layer& layer : layers) {
    x = apply(choice.of(layer.weight), choice.of(layer.bias), layer.relu, x);
  }
  return x;
}

at::Tensor forward(const std::vector<Layer>& layers, const at::Tensor& inputs) {
  at::Tensor x = inputs;
  for (const Layer& layer : layers) x = apply(layer.weight, layer.bias, layer.relu, x);
  return x;
}

at::Tensor residual(const std::vector<Layer>& layers, const at::Tensor& inputs,
                    const at::Tensor& observed, const SlotChoice& choice) {
  at::Tensor x = inputs;
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
    x = apply(choice.of(layers[i].weight), choice.of(layers[i].bias), layers[i].relu, x);
  }
  const Layer& last = layers.back();
  at::Tensor result = at::sub(observed, choice.of(last.bias));
  const at::Tensor weight = choice.of(last.weight);
  if (x.dim() == 2) return result.addmm_(x, weight, 1, -1);
  return result.baddbmm_(x, weight, 1, -1);
}

}  // namespace anomalyd::models
