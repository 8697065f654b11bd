#include <algorithm>

#include "models/layers_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

// What a product takes instead of `x`, [.., n, positions x channels]: a row for each output
// position, [.., n x outputs, kernel x channels].
at::Tensor columns(const at::Tensor& x, const Convolution& convolution) {
  constexpr std::int64_t kAround = Convolution::kKernel / 2;
  const std::int64_t channels = x.size(-1) / convolution.positions;
  at::Tensor sequence = x.reshape({-1, convolution.positions, channels});
  if (convolution.repeat > 1) {
    sequence = sequence.unsqueeze(2)
                   .expand({-1, -1, convolution.repeat, -1})
                   .reshape({-1, convolution.positions * convolution.repeat, channels});
  }
  if (convolution.newest_only) {
    const std::int64_t length = std::min(sequence.size(1), kAround + 1);
    sequence = sequence.narrow(1, sequence.size(1) - length, length);
    sequence = at::constant_pad_nd(sequence, {0, 0, kAround + 1 - length, kAround});
  } else {
    sequence = at::constant_pad_nd(sequence, {0, 0, kAround, kAround});
  }
  // Neighbouring positions lie side by side: each row is one run of memory.
  const at::Tensor taps =
      sequence.unfold(1, Convolution::kKernel, convolution.stride).transpose(2, 3);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = channels * Convolution::kKernel;
  sizes[sizes.size() - 2] *= taps.size(1);
  return taps.reshape(sizes);
}

// [.., n x outputs, out] -> [.., n, outputs x out]
at::Tensor by_window(const at::Tensor& y, const Convolution& convolution) {
  std::vector<std::int64_t> sizes = y.sizes().vec();
  sizes.back() *= convolution.outputs();
  sizes[sizes.size() - 2] /= convolution.outputs();
  return y.reshape(sizes);
}

at::Tensor product(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& x) {
  return x.dim() == 2 ? at::addmm(bias, x, weight) : at::baddbmm(bias, x, weight);
}

at::Tensor apply(const Layer& layer, const at::Tensor& weight, const at::Tensor& bias,
                 const at::Tensor& x) {
  at::Tensor y =
      layer.convolution.is_used()
          ? by_window(product(weight, bias, columns(x, layer.convolution)), layer.convolution)
          : product(weight, bias, x);
  if (layer.relu) y.relu_();
  return y;
}

}  // namespace

at::Tensor SlotChoice::of(const at::Tensor& stacked) const {
  if (stacked.size(0) == 1 && slots_.defined()) {
    std::vector<std::int64_t> sizes = stacked.sizes().vec();
    sizes.front() = slots_.size(0);
    return stacked.expand(sizes);
  }
  if (stacked.size(0) == 1) return stacked.select(0, 0);
  return slots_.defined() ? stacked.index_select(0, slots_) : stacked.select(0, slot_);
}

double operations_of(const std::vector<Layer>& layers) {
  std::int64_t multiplications = 0;
  for (const Layer& layer : layers) {
    const std::int64_t times = layer.convolution.is_used() ? layer.convolution.outputs() : 1;
    multiplications += times * layer.weight.size(1) * layer.weight.size(2);
  }
  return 2 * static_cast<double>(multiplications);
}

at::Tensor forward(const std::vector<Layer>& layers, const at::Tensor& inputs,
                   const SlotChoice& choice) {
  at::Tensor x = inputs;
  for (const Layer& layer : layers) {
    x = apply(layer, choice.of(layer.weight), choice.of(layer.bias), x);
  }
  return x;
}

at::Tensor forward(const std::vector<Layer>& layers, const at::Tensor& inputs) {
  at::Tensor x = inputs;
  for (const Layer& layer : layers) x = apply(layer, layer.weight, layer.bias, x);
  return x;
}

at::Tensor residual(const std::vector<Layer>& layers, const at::Tensor& inputs,
                    const at::Tensor& observed, const SlotChoice& choice) {
  at::Tensor x = inputs;
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
    x = apply(layers[i], choice.of(layers[i].weight), choice.of(layers[i].bias), x);
  }
  const Layer& last = layers.back();
  const at::Tensor weight = choice.of(last.weight);
  const at::Tensor bias = choice.of(last.bias);
  at::Tensor target = observed;
  if (last.convolution.is_used()) {
    x = columns(x, last.convolution);
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = weight.size(-1);
    target = observed.reshape(sizes);
  }
  at::Tensor result = at::sub(target, bias);
  if (x.dim() == 2) {
    result.addmm_(x, weight, 1, -1);
  } else {
    result.baddbmm_(x, weight, 1, -1);
  }
  return last.convolution.is_used() ? by_window(result, last.convolution) : result;
}

}  // namespace anomalyd::models
