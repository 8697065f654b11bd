#pragma once
// Private to models/: includes torch.

#include <vector>

#include "models/gradient_torch.hpp"
#include "models/member_torch.hpp"
#include "models/trunk_torch.hpp"

namespace anomalyd::models {

/// A fully connected autoencoder of whole windows, all channels together, with one more input that
/// says that the newest row is hidden; its cells are 0 then.
///
/// What ChannelNetworks are for one channel each: trained with the newest row hidden in half of the
/// windows, it learns to predict and to reconstruct at once.
struct MaskedNetwork {
  Trunk trunk;

  [[nodiscard]] static Result<MaskedNetwork> parse(const MemberOptions& options);
  [[nodiscard]] std::vector<WeightShape> shapes(const ModelShape& shape) const;

  /// Fits all slots; the window becomes shorter where rows are few. Each dimension of the code has
  /// the variance 1 over the windows fitted on.
  ///
  ///   loss = (mean over cells of (x - x')^2 + mean over channels of (newest x - newest x')^2) / 2
  ///
  /// over observed cells.
  [[nodiscard]] Result<Fitted> fit(const TrainingRows& rows, const FitRun& run);

  enum class Newest { kSeen, kHidden };
  /// Windows [..., window x channels] as the first layer takes them.
  [[nodiscard]] at::Tensor inputs(const at::Tensor& windows, Newest newest) const;
  /// Layers from there to the code, and on to the window.
  [[nodiscard]] std::vector<Layer> encoder(const std::vector<at::Tensor>& weights,
                                           std::int64_t channels) const;
  [[nodiscard]] std::vector<Layer> all_layers(const std::vector<at::Tensor>& weights,
                                              std::int64_t channels) const;

 private:
  [[nodiscard]] std::vector<LayerPlan> plan(std::int64_t channels) const;
  [[nodiscard]] at::Tensor loss(const std::vector<at::Tensor>& weights,
                                const TrainingBatch& batch) const;
  void whiten(std::vector<at::Tensor>& weights, const TrainingRows& rows) const;
};

}  // namespace anomalyd::models
