#include "models/member_torch.hpp"

namespace anomalyd::models {

void Member::adopt(std::vector<at::Tensor> weights) {
  weights_ = std::move(weights);
  newest_ = newest_layers();
  window_ = window_layers();
}

std::size_t Member::num_parameters() const {
  std::int64_t count = 0;
  for (const at::Tensor& weight : weights_) count += weight.numel();
  return static_cast<std::size_t>(count);
}

at::Tensor Member::residuals(const at::Tensor& inputs, const at::Tensor& newest,
                             const SlotChoice& choice) const {
  return residual(newest_, inputs, newest, choice);
}

at::Tensor Member::window_residuals(const at::Tensor& inputs, const SlotChoice& choice) const {
  return residual(window_, inputs, inputs, choice);
}

}  // namespace anomalyd::models
