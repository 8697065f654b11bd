#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <vector>

#include "models/tensor_torch.hpp"

namespace anomalyd::models {

/// Which slot's weights each window of a product uses.
///
/// Weights are stacked, [slots, ...]; where there is only one slot, it serves all. Windows that all share one slot come as [n, in] and take one
/// plain product; windows of g slots come as [g, n, in] and take one batched product.
class SlotChoice {
 public:
  /// All windows use `slot`.
  explicit SlotChoice(std::int64_t slot) : slot_{slot} {}
  /// Row i of the first dimension of the windows uses slot `slots[i]` (int64, on the device).
  explicit SlotChoice(at::Tensor slots) : slots_{std::move(slots)} {}

  /// The chosen weights: [...] for one slot, [g, ...] for several.
  [[nodiscard]] at::Tensor of(const at::Tensor& stacked) const;

 private:
  std::int64_t slot_ = 0;
  at::Tensor slots_;
};

/// A layer's inputs seen as a sequence: each output position is made of the `kKernel` input
/// positions around it, zeros beyond the ends.
struct Convolution {
  static constexpr std::int64_t kKernel = 5;
  std::int64_t positions = 0;  ///< Of the input, oldest first; 0 for a fully connected layer.
  std::int64_t stride = 1;     ///< Positions from one output to the next.
  std::int64_t repeat = 1;     ///< Each input position so many times, before.
  bool newest_only = false;    ///< Just the last output position.

  [[nodiscard]] bool is_used() const noexcept { return positions > 0; }
  [[nodiscard]] std::int64_t outputs() const noexcept {
    return newest_only ? 1 : positions * repeat / stride;
  }
};

/// y = x W + b, then max(y, 0) if `relu`. Every network here is a list of these.
struct Layer {
  at::Tensor weight;  ///< [slots, in, out]; in = kKernel x channels in a convolution.
  at::Tensor bias;    ///< [slots, 1, out]
  bool relu = false;
  Convolution convolution{};
};

/// Floating-point operations that one window takes, two for a multiplication and its addition.
[[nodiscard]] double operations_of(const std::vector<Layer>& layers);

/// The output of the last layer: [n, out], or [g, n, out].
[[nodiscard]] at::Tensor forward(const std::vector<Layer>& layers, const at::Tensor& inputs,
                                 const SlotChoice& choice);

/// The same over all slots at once, [slots, n, in] -> [slots, n, out]: what training needs.
[[nodiscard]] at::Tensor forward(const std::vector<Layer>& layers, const at::Tensor& inputs);

/// `observed` minus the output of the last layer, fused into its product: the output itself is
/// never written.
[[nodiscard]] at::Tensor residual(const std::vector<Layer>& layers, const at::Tensor& inputs,
                                  const at::Tensor& observed, const SlotChoice& choice);

}  // namespace anomalyd::models
