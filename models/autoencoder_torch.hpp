#pragma once
// Private to models/: includes torch.

#include <string_view>
#include <vector>

#include "models/gradient_torch.hpp"
#include "models/trunk_torch.hpp"

namespace anomalyd::models {

/// A member that makes a code of a window and the window of the code again: every kind but those
/// of one channel each (channel_torch.hpp).
///
/// By itself it is the plain autoencoder; other kinds have codes of another form, more weights and
/// another loss.
class Autoencoder : public Member {
 public:
  Autoencoder(std::string_view kind, Trunk trunk, Conditions conditions = {})
      : kind_{kind}, trunk_{std::move(trunk)}, conditions_{std::move(conditions)} {}

  std::string_view kind() const final { return kind_; }
  MemberOptions options() const override;
  std::vector<std::int64_t> lags() const final { return window_lags(trunk_.window); }
  const Conditions* conditions() const final {
    return conditions_.width() > 0 ? &conditions_ : nullptr;
  }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override;
  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override;

  double operations() const override;
  at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                       const SlotChoice& choice) const override;
  bool reconstructs() const final { return true; }
  at::Tensor window_residuals(const at::Tensor& inputs, const SlotChoice& choice) const final;
  std::int64_t latent_width() const override { return trunk_.latent; }
  at::Tensor encode(const at::Tensor& inputs, const SlotChoice& choice) const override;
  at::Tensor decode(const at::Tensor& codes, const SlotChoice& choice) const override;

 protected:
  /// The layers of one set of weights.
  struct Networks {
    std::vector<Layer> encoder;
    std::vector<Layer> decoder;
  };
  [[nodiscard]] const Trunk& trunk() const noexcept { return trunk_; }
  [[nodiscard]] Networks networks(const std::vector<at::Tensor>& weights,
                                  std::int64_t channels) const;
  /// Operations of one encoding, and of one expectation of the newest row.
  [[nodiscard]] double operations_to_encode() const { return operations_of(networks_.encoder); }
  [[nodiscard]] double operations_to_expect() const { return operations_of(newest_decoder_); }
  /// Expectations of the newest row from what the decoder takes.
  [[nodiscard]] at::Tensor newest_residuals(const at::Tensor& codes, const at::Tensor& newest,
                                            const SlotChoice& choice) const;
  /// Windows and conditions as the encoder takes them; codes and conditions as the decoder does.
  [[nodiscard]] static at::Tensor encoder_inputs(const TrainingBatch& batch);
  [[nodiscard]] static at::Tensor with_conditions(const at::Tensor& codes,
                                                  const at::Tensor& conditions);
  /// What the encoder gives, and the conditions that its inputs end with, undefined without any.
  [[nodiscard]] at::Tensor encoded(const at::Tensor& inputs, const SlotChoice& choice) const;
  [[nodiscard]] at::Tensor conditions_in(const at::Tensor& inputs) const;

  /// Numbers that the encoder gives for a window: the code, or what a code is made from.
  [[nodiscard]] virtual std::int64_t encoder_outputs() const { return trunk_.latent; }
  /// Numbers that the decoder takes: the code, conditions included.
  [[nodiscard]] virtual std::int64_t decoder_inputs() const {
    return trunk_.latent + conditions_.width();
  }
  /// Weights beside those of encoder and decoder, as they start: [slots, 1, ..] or [slots, .., ..].
  [[nodiscard]] virtual std::vector<WeightShape> more_shapes(const ModelShape& /*shape*/) const {
    return {};
  }
  [[nodiscard]] virtual std::vector<at::Tensor> start(const TrainingRows& rows,
                                                      std::uint64_t seed) const;
  [[nodiscard]] virtual at::Tensor loss(const std::vector<at::Tensor>& weights,
                                        const TrainingBatch& batch) const;
  /// Weights that follow from those just fitted.
  virtual void finish(std::vector<at::Tensor>& /*weights*/, const TrainingRows& /*rows*/) const {}

  void prepare() override;

 private:
  std::string_view kind_;
  Trunk trunk_;
  Conditions conditions_;
  Networks networks_;
  std::vector<Layer> newest_decoder_;
};

}  // namespace anomalyd::models
