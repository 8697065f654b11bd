#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <vector>

#include "models/member_torch.hpp"

namespace anomalyd::models {

/// A layer before it has weights.
struct LayerPlan {
  std::int64_t inputs;  ///< Of one product: kernel x channels in a convolution.
  std::int64_t outputs;
  bool relu;
  Convolution convolution{};
};

/// The layers that autoencoders of all kinds share: window x channels -> hidden... -> code ->
/// ...hidden -> window x channels.
///
/// Dense: `hidden` are widths. Convolutional: `hidden` are numbers of filters, and each of these
/// layers halves the number of positions on the way in and doubles it on the way out.
struct Trunk {
  enum class Form : std::uint8_t { kDense, kConvolutional };

  Form form;
  std::int64_t window;
  std::vector<std::int64_t> hidden;
  std::int64_t latent;

  [[nodiscard]] static Result<Trunk> parse(Form form, const MemberOptions& options);
  [[nodiscard]] MemberOptions to_options() const;
  /// Makes the window shorter where there are too few rows for it, and the code no wider than a
  /// quarter of the window's cells, so that it has to compress.
  void fit_to(std::int64_t rows, std::int64_t channels);

  /// Layers from window x channels and `extra` more inputs to `codes` outputs.
  [[nodiscard]] std::vector<LayerPlan> encoder(std::int64_t channels, std::int64_t extra,
                                               std::int64_t codes) const;
  /// Layers from `codes` inputs to window x channels.
  [[nodiscard]] std::vector<LayerPlan> decoder(std::int64_t channels, std::int64_t codes) const;
};

/// Weight and bias of each layer, in turn, named "layer0" and so on.
[[nodiscard]] std::vector<WeightShape> shapes_of(const std::vector<LayerPlan>& plan,
                                                 std::int64_t slots);

/// Starting weights: uniform in +-1/sqrt(inputs), the same in every slot.
[[nodiscard]] std::vector<at::Tensor> starting_weights(const std::vector<LayerPlan>& plan,
                                                       const TrainingRows& rows,
                                                       std::uint64_t seed);

/// The layers of `plan` with `weights`, of which they take those from `first` on.
[[nodiscard]] std::vector<Layer> with_weights(const std::vector<LayerPlan>& plan,
                                              const std::vector<at::Tensor>& weights,
                                              std::size_t first = 0);

/// The same network as far as the newest row needs it: the last layer gives only the last of the
/// rows of a window.
[[nodiscard]] std::vector<Layer> for_newest_row(std::vector<Layer> layers, std::int64_t window);

}  // namespace anomalyd::models
