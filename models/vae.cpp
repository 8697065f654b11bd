// Variational autoencoder on the trunk of dense_ae.
//
//   loss = [ |x - decode(z)|^2 / (2 s^2) + ramp sum_j max(KL_j, free bits) ] / cells,
//   z = mu + exp(logvar / 2) eps,   KL_j = (mu_j^2 + exp(logvar_j) - 1 - logvar_j) / 2
//
// with the first term over observed cells only and the second scaled by their share. The score is
// the residual of the mean reconstruction, decode(mu). Kingma and Welling, Auto-encoding
// variational Bayes (2014); free bits: Kingma et al., Inverse autoregressive flow (2016); missing
// cells: Xu et al., Donut (2018).

#include <algorithm>

#include "models/dense_torch.hpp"
#include "models/gradient_torch.hpp"
#include "models/registry_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kObservationVariance = 0.1;  // s^2, in the scaled units of the rows
constexpr double kFreeBits = 0.05;            // nats per code dimension that cost nothing
constexpr double kWarmUpEpochs = 10;
constexpr double kMinLogVariance = -8;
constexpr double kMaxLogVariance = 4;

class Vae final : public Member {
 public:
  explicit Vae(DenseOptions options) : dense_{std::move(options)} {}

  std::string_view kind() const override { return "vae"; }
  MemberOptions options() const override { return dense_.to_options(); }
  std::vector<std::int64_t> lags() const override { return window_lags(dense_.window); }
  std::vector<WeightShape> shapes(const ModelShape& shape) const override {
    std::vector<WeightShape> shapes = dense_shapes(dense_.widths(shape.channels), shape.slots);
    for (const std::size_t i : {code_weight(), code_weight() + 1}) shapes[i].sizes[2] *= 2;
    return shapes;
  }

  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    dense_.window = fit_window(dense_.window, rows.longest(0));
    std::vector<at::Tensor> parameters =
        starting_weights(dense_.widths(rows.channels()), rows, run.options.seed);
    for (const std::size_t i : {code_weight(), code_weight() + 1}) {
      parameters[i] = parameters[i].repeat({1, 1, 2});
      parameters[i].narrow(2, dense_.latent, dense_.latent).zero_();  // logvar starts at 0
    }
    const auto loss = [this](const std::vector<at::Tensor>& weights, const TrainingBatch& batch) {
      return negative_elbo(weights, batch);
    };
    return minimise(loss, parameters, rows, dense_.window, run);
  }

 protected:
  std::vector<Layer> newest_layers() const override {
    return for_newest_row(window_layers(), dense_.window);
  }
  std::vector<Layer> window_layers() const override {
    std::vector<at::Tensor> mean_only = weights();
    for (const std::size_t i : {code_weight(), code_weight() + 1}) {
      mean_only[i] = mean_only[i].narrow(2, 0, dense_.latent).contiguous();
    }
    return dense_layers(mean_only, dense_.code_layer());
  }

 private:
  std::size_t code_weight() const { return 2 * dense_.code_layer(); }

  at::Tensor negative_elbo(const std::vector<at::Tensor>& weights,
                           const TrainingBatch& batch) const {
    const std::vector<Layer> layers = dense_layers(weights, dense_.code_layer());
    const auto code = layers.begin() + static_cast<std::ptrdiff_t>(dense_.code_layer()) + 1;
    const at::Tensor encoded = forward({layers.begin(), code}, batch.windows);
    const at::Tensor mu = encoded.narrow(2, 0, dense_.latent);
    const at::Tensor log_variance =
        encoded.narrow(2, dense_.latent, dense_.latent).clamp(kMinLogVariance, kMaxLogVariance);

    at::Tensor z = mu;
    double ramp = 1;
    if (batch.noise != nullptr) {
      // The same for every slot, so that each learns as it would alone.
      const at::Tensor eps =
          at::randn({1, mu.size(1), mu.size(2)}, *batch.noise, at::TensorOptions{at::kFloat});
      z = mu + (log_variance / 2).exp() * eps.to(mu.device());
      ramp = std::min(1.0, batch.epoch / kWarmUpEpochs);
    }
    const at::Tensor error = masked_square_error(forward({code, layers.end()}, z), batch);
    const at::Tensor kl = (mu.square() + log_variance.exp() - 1 - log_variance) / 2;
    at::Tensor divergence = kl.clamp_min(kFreeBits).sum(2);
    if (batch.observed.defined()) divergence = divergence * batch.observed.mean(2);
    return error / (2 * kObservationVariance) +
           divergence * (ramp / static_cast<double>(batch.windows.size(2)));
  }

  DenseOptions dense_;
};

}  // namespace

Result<std::unique_ptr<Member>> make_vae(const MemberOptions& options) {
  auto dense = DenseOptions::parse(options);
  if (!dense) return Failure{std::move(dense.error())};
  return std::make_unique<Vae>(std::move(*dense));
}

}  // namespace anomalyd::models
