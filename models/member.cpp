#include "models/member_torch.hpp"

namespace anomalyd::models {

void Member::adopt(std::vector<at::Tensor> weights, ModelShape shape) {
  weights_ = std::move(weights);
  shape_ = shape;
  prepare();
}

std::size_t Member::num_parameters() const {
  std::int64_t count = 0;
  for (const at::Tensor& weight : weights_) count += weight.numel();
  return static_cast<std::size_t>(count);
}

at::Tensor Member::window_residuals(const at::Tensor& /*inputs*/,
                                    const SlotChoice& /*choice*/) const {
  TORCH_CHECK(false, kind(), " does not reconstruct windows");
}

at::Tensor Member::encode(const at::Tensor& /*inputs*/, const SlotChoice& /*choice*/) const {
  TORCH_CHECK(false, kind(), " has no codes of windows");
}

at::Tensor Member::decode(const at::Tensor& /*codes*/, const SlotChoice& /*choice*/) const {
  TORCH_CHECK(false, kind(), " has no codes of windows");
}

at::Tensor Member::classify(const at::Tensor& /*inputs*/, const SlotChoice& /*choice*/) const {
  TORCH_CHECK(false, kind(), " tells no classes apart");
}

at::Tensor LinearMember::residuals(const at::Tensor& inputs, const at::Tensor& newest,
                                   const SlotChoice& choice) const {
  return residual(newest_, inputs, newest, choice);
}

at::Tensor LinearMember::window_residuals(const at::Tensor& inputs,
                                          const SlotChoice& choice) const {
  return residual(window_, inputs, inputs, choice);
}

void LinearMember::prepare() {
  newest_ = newest_layers();
  window_ = window_layers();
}

}  // namespace anomalyd::models
