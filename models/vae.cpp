// Variational autoencoders: dense (vae), convolutional (conv_vae), and dense with conditions
// (cvae).
//
//   loss = mean over cells of [ (x - decode(z))^2 / (2 s_c^2) + log s_c ]
//          + ramp sum_j max(KL_j, free bits) / cells,
//   z = mu + exp(logvar / 2) eps,   KL_j = (mu_j^2 + exp(logvar_j) - 1 - logvar_j) / 2
//
// with the first term over observed cells only and the second scaled by their share; s_c, the
// deviation of channel c from what is decoded, is learned. Kingma and Welling, Auto-encoding
// variational Bayes (2014); free bits: Kingma et al., Inverse autoregressive flow (2016); missing
// cells: Xu et al., Donut (2018); s_c: Rybkin et al., Simple and effective VAE training with
// calibrated decoders (2021); conditions: Sohn et al., Learning structured output representation
// (2015).
//
// Three scores, each a residual r_c with the sign of x - decode(mu):
//
//   mean          r_c = x_c - decode(mu)_c
//   probability   r_c^2 = mean over 8 draws of z of (x_c - decode(z)_c)^2, so that r_c^2 / (2
//   s_c^2)
//                 is the channel's part of -log p(x | z) (An and Cho, reconstruction probability)
//   elbo          r_c^2 = the same + 2 s_c^2 KL / C: with the channel's part of KL beside it

#include <algorithm>
#include <cmath>

#include "models/autoencoder_torch.hpp"
#include "models/registry_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kFreeBits = 0.05;  // nats per code dimension that cost nothing
constexpr double kWarmUpEpochs = 10;
constexpr double kMinLogVariance = -8;
constexpr double kMaxLogVariance = 4;
constexpr std::int64_t kDraws = 8;
constexpr std::uint64_t kDrawSeed = 1;

class Vae final : public Autoencoder {
 public:
  Vae(std::string_view kind, Trunk trunk, Conditions conditions, VaeScore score)
      : Autoencoder{kind, std::move(trunk), std::move(conditions)}, score_{score} {}

  MemberOptions options() const override {
    MemberOptions options = Autoencoder::options();
    options["score"] = {static_cast<double>(score_)};
    return options;
  }

  double operations() const override {
    const double draws = score_ == VaeScore::kMean ? 0 : static_cast<double>(kDraws);
    return Autoencoder::operations() + draws * operations_to_expect();
  }

  at::Tensor encode(const at::Tensor& inputs, const SlotChoice& choice) const override {
    return with_conditions(moments(encoded(inputs, choice)).mean, conditions_in(inputs));
  }

  at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                       const SlotChoice& choice) const override {
    const Moments code = moments(encoded(inputs, choice));
    const at::Tensor conditions = conditions_in(inputs);
    at::Tensor error = newest_residuals(with_conditions(code.mean, conditions), newest, choice);
    if (score_ == VaeScore::kMean) return error;

    at::Tensor square = at::zeros_like(error);
    for (std::int64_t i = 0; i < kDraws; ++i) {
      const at::Tensor z = code.mean + (code.log_variance / 2).exp() * draws_.select(0, i);
      square += newest_residuals(with_conditions(z, conditions), newest, choice).square();
    }
    square /= kDraws;
    if (score_ == VaeScore::kElbo) {
      const at::Tensor share = divergence(code).sum(-1, /*keepdim=*/true) / newest.size(-1);
      square += 2 * choice.of(log_variance(weights())).exp() * share;
    }
    return square.sqrt() * at::where(error < 0, -at::ones_like(error), at::ones_like(error));
  }

 protected:
  std::int64_t encoder_outputs() const override { return 2 * trunk().latent; }

  std::vector<WeightShape> more_shapes(const ModelShape& shape) const override {
    return {{"log_variance", {shape.slots, 1, shape.channels}}};
  }

  std::vector<at::Tensor> start(const TrainingRows& rows, std::uint64_t seed) const override {
    std::vector<at::Tensor> weights = Autoencoder::start(rows, seed);
    const std::size_t code = 2 * (trunk().hidden.size() + 1);
    for (const std::size_t i : {code - 2, code - 1}) {  // log variances start at 0
      weights[i].narrow(2, trunk().latent, trunk().latent).zero_();
    }
    weights.push_back(at::zeros({rows.num_slots(), 1, rows.channels()}, rows.values.options()));
    return weights;
  }

  at::Tensor loss(const std::vector<at::Tensor>& weights,
                  const TrainingBatch& batch) const override {
    const std::int64_t channels = batch.windows.size(2) / trunk().window;
    const Networks layers = networks(weights, channels);
    const Moments code = moments(forward(layers.encoder, encoder_inputs(batch)));
    at::Tensor z = code.mean;
    double ramp = 1;
    if (batch.noise != nullptr) {
      // The same for every slot, so that each learns as it would alone.
      const at::Tensor eps =
          at::randn({1, z.size(1), z.size(2)}, *batch.noise, at::TensorOptions{at::kFloat});
      z = z + (code.log_variance / 2).exp() * eps.to(z.device());
      ramp = std::min(1.0, batch.epoch / kWarmUpEpochs);
    }
    const at::Tensor output = forward(layers.decoder, with_conditions(z, batch.conditions));
    const at::Tensor log_variance =
        Vae::log_variance(weights).repeat({1, 1, trunk().window});  // of each cell
    at::Tensor cost =
        ((batch.windows - output).square() * (-log_variance).exp() + log_variance) / 2;
    at::Tensor kl = divergence(code).clamp_min(kFreeBits).sum(2);
    if (batch.observed.defined()) {
      cost = (cost * batch.observed).sum(2) / batch.observed.sum(2).clamp_min(1);
      kl = kl * batch.observed.mean(2);
    } else {
      cost = cost.mean(2);
    }
    return cost + kl * (ramp / static_cast<double>(batch.windows.size(2)));
  }

  void prepare() override {
    Autoencoder::prepare();
    at::Generator generator = at::detail::createCPUGenerator(kDrawSeed);
    draws_ = at::randn({kDraws, trunk().latent}, generator, at::TensorOptions{at::kFloat})
                 .to(weights().front().device());
  }

 private:
  struct Moments {
    at::Tensor mean;
    at::Tensor log_variance;
  };
  Moments moments(const at::Tensor& encoded) const {
    const std::int64_t latent = trunk().latent;
    return {encoded.narrow(-1, 0, latent),
            encoded.narrow(-1, latent, latent).clamp(kMinLogVariance, kMaxLogVariance)};
  }
  static at::Tensor divergence(const Moments& code) {
    return (code.mean.square() + code.log_variance.exp() - 1 - code.log_variance) / 2;
  }
  // Of what is decoded, per channel: [slots, 1, channels].
  static at::Tensor log_variance(const std::vector<at::Tensor>& weights) {
    return weights.back().clamp(kMinLogVariance, kMaxLogVariance);
  }

  VaeScore score_;
  at::Tensor draws_;  // [draws, latent]: the same for all windows, so that batching changes nothing
};

Result<std::unique_ptr<Member>> make(std::string_view kind, Trunk::Form form,
                                     const MemberOptions& options) {
  auto trunk = Trunk::parse(form, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  const auto score = whole_number(options, "score", {0, 2});
  if (!score) return Failure{score.error()};
  auto conditions = Conditions::from_options(options);
  if (!conditions) return Failure{std::move(conditions.error())};
  const bool conditional = kind == "cvae";
  if (conditional != (conditions->width() > 0)) {
    return fail(ErrorKind::kInvalid, conditional
                                         ? "conditions: found none; expected at least one"
                                         : "conditions: found some; expected none but for cvae");
  }
  return std::make_unique<Vae>(kind, std::move(*trunk), std::move(*conditions),
                               static_cast<VaeScore>(*score));
}

}  // namespace

Result<std::unique_ptr<Member>> make_vae(const MemberOptions& options) {
  return make("vae", Trunk::Form::kDense, options);
}
Result<std::unique_ptr<Member>> make_conv_vae(const MemberOptions& options) {
  return make("conv_vae", Trunk::Form::kConvolutional, options);
}
Result<std::unique_ptr<Member>> make_cvae(const MemberOptions& options) {
  return make("cvae", Trunk::Form::kDense, options);
}

}  // namespace anomalyd::models
