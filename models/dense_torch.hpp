#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <vector>

#include "models/member_torch.hpp"

namespace anomalyd::models {

/// The trunk that fully connected autoencoders share: window x channels -> hidden... -> latent ->
/// ...hidden -> window x channels.
struct DenseOptions {
  std::int64_t window;
  std::vector<std::int64_t> hidden;
  std::int64_t latent;

  [[nodiscard]] static Result<DenseOptions> parse(const MemberOptions& options);
  [[nodiscard]] MemberOptions to_options() const;
  /// Widths of inputs and of every layer's output.
  [[nodiscard]] std::vector<std::int64_t> widths(std::int64_t channels) const;
  /// Index of the layer that outputs the code.
  [[nodiscard]] std::size_t code_layer() const { return hidden.size(); }
};

/// Weight and bias of each layer, in turn.
[[nodiscard]] std::vector<WeightShape> dense_shapes(const std::vector<std::int64_t>& widths,
                                                    std::int64_t slots);

/// The layers with these weights: ReLU after all but the code and the last.
[[nodiscard]] std::vector<Layer> dense_layers(const std::vector<at::Tensor>& weights,
                                              std::size_t code_layer);

/// The same network as far as the newest row needs it: the last layer gives only the last
/// `channels` of its window x channels outputs.
[[nodiscard]] std::vector<Layer> for_newest_row(std::vector<Layer> layers, std::int64_t window);

}  // namespace anomalyd::models
