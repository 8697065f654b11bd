#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <vector>

#include "models/gradient_torch.hpp"
#include "models/member_torch.hpp"

namespace anomalyd::models {

/// Small autoencoders of one channel each, all channels and slots in the same products:
/// window + 1 -> hidden -> latent -> hidden -> window, tanh behind the two hidden layers. The extra
/// input says that the newest value is hidden; it is 0 then.
///
/// Trained with the newest value hidden in half of the windows, a network learns to predict and to
/// reconstruct at once, and its codes tell normal windows apart better than those of a plain
/// autoencoder do. After masked autoencoders (He et al. 2022), for one cell.
struct ChannelNetworks {
  std::int64_t window;
  std::int64_t hidden;
  std::int64_t latent;

  [[nodiscard]] static Result<ChannelNetworks> parse(const MemberOptions& options);
  [[nodiscard]] MemberOptions to_options() const;
  /// Weight and bias of each layer: [slots, channels, in or 1, out].
  [[nodiscard]] std::vector<WeightShape> shapes(const ModelShape& shape) const;

  /// Fits all of them; `window` becomes shorter where rows are few. Each dimension of the code has
  /// the variance 1 over the windows fitted on.
  ///
  ///   loss = (mean over cells of (x - x')^2 + (newest x - x')^2) / 2, observed cells only
  [[nodiscard]] Result<Fitted> fit(const TrainingRows& rows, const FitRun& run);

  /// The windows of each channel on their own, [(slots x) channels, n, window], of inputs
  /// [(slots,) n, window x channels].
  [[nodiscard]] at::Tensor by_channel(const at::Tensor& inputs) const;
  /// The weights of the chosen slots for windows like that: [(slots x) channels, in or 1, out].
  [[nodiscard]] static std::vector<at::Tensor> chosen(const std::vector<at::Tensor>& weights,
                                                      const SlotChoice& choice);

  /// Operations that the codes of one window take, and the window of a code.
  [[nodiscard]] double operations_to_encode(std::int64_t channels) const;
  [[nodiscard]] double operations_to_decode(std::int64_t channels) const;

  enum class Newest { kSeen, kHidden };
  /// Codes of windows [networks, n, window]: [networks, n, latent].
  [[nodiscard]] at::Tensor encode(const std::vector<at::Tensor>& weights, const at::Tensor& windows,
                                  Newest newest) const;
  /// Windows of codes: [networks, n, window].
  [[nodiscard]] at::Tensor decode(const std::vector<at::Tensor>& weights,
                                  const at::Tensor& codes) const;

 private:
  [[nodiscard]] std::vector<std::int64_t> widths() const;
  [[nodiscard]] at::Tensor loss(const std::vector<at::Tensor>& weights,
                                const TrainingBatch& batch) const;
  [[nodiscard]] std::vector<at::Tensor> start(const TrainingRows& rows, std::uint64_t seed) const;
  void whiten(std::vector<at::Tensor>& weights, const TrainingRows& rows) const;
};

}  // namespace anomalyd::models
