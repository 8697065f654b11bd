#include "models/autoencoder_torch.hpp"

namespace anomalyd::models {

MemberOptions Autoencoder::options() const {
  MemberOptions options = trunk_.to_options();
  conditions_.add_to(options);
  return options;
}

std::vector<WeightShape> Autoencoder::shapes(const ModelShape& shape) const {
  std::vector<LayerPlan> plan =
      trunk_.encoder(shape.channels, conditions_.width(), encoder_outputs());
  const std::vector<LayerPlan> decoder = trunk_.decoder(shape.channels, decoder_inputs());
  plan.insert(plan.end(), decoder.begin(), decoder.end());
  std::vector<WeightShape> shapes = shapes_of(plan, shape.slots);
  const std::vector<WeightShape> more = more_shapes(shape);
  shapes.insert(shapes.end(), more.begin(), more.end());
  return shapes;
}

std::vector<at::Tensor> Autoencoder::start(const TrainingRows& rows, std::uint64_t seed) const {
  std::vector<LayerPlan> plan =
      trunk_.encoder(rows.channels(), conditions_.width(), encoder_outputs());
  const std::vector<LayerPlan> decoder = trunk_.decoder(rows.channels(), decoder_inputs());
  plan.insert(plan.end(), decoder.begin(), decoder.end());
  return starting_weights(plan, rows, seed);
}

Result<Fitted> Autoencoder::fit(const TrainingRows& rows, const FitRun& run) {
  trunk_.fit_to(rows.longest(0), rows.channels());
  const auto window_loss = [this](const std::vector<at::Tensor>& weights,
                                  const TrainingBatch& batch) { return loss(weights, batch); };
  auto fitted =
      minimise(window_loss, start(rows, run.options.seed), rows, trunk_.window, run, conditions_);
  if (fitted) finish(fitted->weights, rows);
  return fitted;
}

at::Tensor Autoencoder::loss(const std::vector<at::Tensor>& weights,
                             const TrainingBatch& batch) const {
  const Networks layers = networks(weights, batch.windows.size(2) / trunk_.window);
  const at::Tensor code = forward(layers.encoder, encoder_inputs(batch));
  return masked_square_error(forward(layers.decoder, with_conditions(code, batch.conditions)),
                             batch);
}

Autoencoder::Networks Autoencoder::networks(const std::vector<at::Tensor>& weights,
                                            std::int64_t channels) const {
  const auto encoder = trunk_.encoder(channels, conditions_.width(), encoder_outputs());
  const auto decoder = trunk_.decoder(channels, decoder_inputs());
  return {with_weights(encoder, weights), with_weights(decoder, weights, 2 * encoder.size())};
}

void Autoencoder::prepare() {
  networks_ = networks(weights(), shape().channels);
  newest_decoder_ = for_newest_row(networks_.decoder, trunk_.window);
}

at::Tensor Autoencoder::encoder_inputs(const TrainingBatch& batch) {
  return with_conditions(batch.inputs, batch.conditions);
}

at::Tensor Autoencoder::with_conditions(const at::Tensor& codes, const at::Tensor& conditions) {
  return conditions.defined() ? at::cat({codes, conditions}, -1) : codes;
}

at::Tensor Autoencoder::conditions_in(const at::Tensor& inputs) const {
  const std::int64_t width = conditions_.width();
  return width > 0 ? inputs.narrow(-1, inputs.size(-1) - width, width) : at::Tensor{};
}

at::Tensor Autoencoder::encoded(const at::Tensor& inputs, const SlotChoice& choice) const {
  return forward(networks_.encoder, inputs, choice);
}

at::Tensor Autoencoder::encode(const at::Tensor& inputs, const SlotChoice& choice) const {
  return with_conditions(encoded(inputs, choice), conditions_in(inputs));
}

at::Tensor Autoencoder::decode(const at::Tensor& codes, const SlotChoice& choice) const {
  return forward(networks_.decoder, codes, choice);
}

at::Tensor Autoencoder::newest_residuals(const at::Tensor& codes, const at::Tensor& newest,
                                         const SlotChoice& choice) const {
  return residual(newest_decoder_, codes, newest, choice);
}

double Autoencoder::operations() const { return operations_to_encode() + operations_to_expect(); }

at::Tensor Autoencoder::residuals(const at::Tensor& inputs, const at::Tensor& newest,
                                  const SlotChoice& choice) const {
  return newest_residuals(encode(inputs, choice), newest, choice);
}

at::Tensor Autoencoder::window_residuals(const at::Tensor& inputs, const SlotChoice& choice) const {
  const at::Tensor windows = inputs.narrow(-1, 0, inputs.size(-1) - conditions_.width());
  return residual(networks_.decoder, encode(inputs, choice), windows, choice);
}

}  // namespace anomalyd::models
