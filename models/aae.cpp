// Adversarial autoencoders (Makhzani et al. 2015): a discriminator tells codes z from draws of
// N(0, I), and the encoder learns to fool it, so that codes fill the prior and nothing else.
//
//   loss = error + a [ -log D(z) ]            for encoder and decoder, D held fixed
//          - log D(draw) - log (1 - D(z))     for D, z held fixed
//
// aae             the code alone.
// aae_supervised  the decoder is told the class of the window beside the code, D too; so codes say
//                 what the class does not (style and content). Windows without a label are normal.
// aae_semi        the same, but a window without a label has the class that the encoder gives it,
//                 drawn weakly to the first class, and made to look like draws of one class by a
//                 second discriminator: of the first class nine times of ten.
// aae_cluster     classes without labels: the regimes that regimes_torch.hpp finds.
//
// Classes are learned by cross entropy; windows of faults teach that and nothing else, and what is
// expected of a window never supposes a fault. The residual of a channel grows with the distance of
// the code from the prior, which finds windows that a decoder happens to reconstruct:
//
//   r_c^2 = (x_c - x'_c)^2 + s_c^2 e^2,   e = max(0, (|z|^2 - m) / d - 3)
//
// with m and d the mean and deviation of |z|^2, and s_c that of the residual, over fitted windows.

#include <algorithm>
#include <utility>

#include "models/autoencoder_torch.hpp"
#include "models/regimes_torch.hpp"
#include "models/registry_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr std::int64_t kDiscriminatorWidth = 64;
constexpr double kAdversarial = 0.05;    // weight of fooling D beside the error
constexpr double kClassification = 0.2;  // weight of the cross entropy
constexpr double kFirstClass = 0.9;      // prior of the class of most windows, in aae_semi
constexpr double kAnchor = 0.1;          // weight of that class beside a label, in aae_semi
constexpr double kOrdinaryDistance = 3;  // deviations of |z|^2 that are no evidence
constexpr std::int64_t kMostWindows = 20'000;
constexpr double kImpossible = 1e4;  // taken from the logit of a class that is ruled out

enum class Classes : std::uint8_t { kNone, kSupervised, kSemi, kRegimes };

at::Tensor softplus(const at::Tensor& x) { return x.clamp_min(0) + (-x.abs()).exp().log1p(); }

std::vector<LayerPlan> discriminator(std::int64_t inputs) {
  return {{inputs, kDiscriminatorWidth, true},
          {kDiscriminatorWidth, kDiscriminatorWidth, true},
          {kDiscriminatorWidth, 1, false}};
}

std::vector<at::Tensor> detached(const std::vector<at::Tensor>& weights) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& weight : weights) result.push_back(weight.detach());
  return result;
}

class Aae final : public Autoencoder {
 public:
  Aae(std::string_view kind, Trunk trunk, Classes classes, std::vector<std::int64_t> faults,
      std::int64_t most_regimes)
      : Autoencoder{kind, std::move(trunk)},
        classes_{classes},
        faults_{std::move(faults)},
        most_regimes_{most_regimes} {}

  MemberOptions options() const override {
    MemberOptions options = Autoencoder::options();
    if (classes_ != Classes::kNone) options["faults"] = {faults_.begin(), faults_.end()};
    if (classes_ == Classes::kRegimes) {
      options["regimes"] = {static_cast<double>(most_regimes_)};
    }
    return options;
  }

  Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) override {
    if (classes_ != Classes::kRegimes) return Autoencoder::fit(rows, run);
    TrainingRows with_regimes = rows;
    const Regimes regimes = find_regimes(rows, fit_window(trunk().window, rows.longest(0)),
                                         most_regimes_, run.options.seed);
    with_regimes.labels = regimes.of_rows;
    faults_.assign(static_cast<std::size_t>(regimes.count), 0);
    return Autoencoder::fit(with_regimes, run);
  }

  std::int64_t num_classes() const override { return static_cast<std::int64_t>(faults_.size()); }

  // With classes it is asked twice: for the class and for the residual.
  double operations() const override {
    return Autoencoder::operations() + (num_classes() > 0 ? operations_to_encode() : 0);
  }

  at::Tensor classify(const at::Tensor& inputs, const SlotChoice& choice) const override {
    return logits(encoded(inputs, choice)).argmax(-1);
  }

  at::Tensor encode(const at::Tensor& inputs, const SlotChoice& choice) const override {
    return code(encoded(inputs, choice));
  }

  std::int64_t latent_width() const override { return trunk().latent + num_classes(); }

  at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                       const SlotChoice& choice) const override {
    const at::Tensor codes = encode(inputs, choice);
    const at::Tensor error = newest_residuals(codes, newest, choice);
    const at::Tensor moments = choice.of(weights()[weights().size() - 2]);
    const at::Tensor scale = choice.of(weights().back());
    const at::Tensor square = codes.narrow(-1, 0, trunk().latent).square().sum(-1, true);
    const at::Tensor excess =
        ((square - moments.narrow(-1, 0, 1)) / moments.narrow(-1, 1, 1) - kOrdinaryDistance)
            .clamp_min(0);
    const at::Tensor sign = at::where(error < 0, -at::ones_like(error), at::ones_like(error));
    return sign * (error.square() + (scale * excess).square()).sqrt();
  }

 protected:
  std::int64_t encoder_outputs() const override { return trunk().latent + num_classes(); }
  std::int64_t decoder_inputs() const override { return trunk().latent + num_classes(); }

  // Behind encoder and decoder: the discriminators, then moments of |z|^2 and scales of residuals.
  std::vector<WeightShape> more_shapes(const ModelShape& shape) const override {
    std::vector<WeightShape> shapes = shapes_of(critics(), shape.slots);
    for (WeightShape& weight : shapes) weight.name = "discriminator." + weight.name;
    shapes.push_back({"distance", {shape.slots, 1, 2}});
    shapes.push_back({"scale", {shape.slots, 1, shape.channels}});
    return shapes;
  }

  std::vector<at::Tensor> start(const TrainingRows& rows, std::uint64_t seed) const override {
    std::vector<at::Tensor> weights = Autoencoder::start(rows, seed);
    for (at::Tensor& weight : starting_weights(critics(), rows, seed + 1)) {
      weights.push_back(std::move(weight));
    }
    weights.push_back(at::ones({rows.num_slots(), 1, 2}, rows.values.options()));
    weights.push_back(at::ones({rows.num_slots(), 1, rows.channels()}, rows.values.options()));
    return weights;
  }

  at::Tensor loss(const std::vector<at::Tensor>& weights,
                  const TrainingBatch& batch) const override {
    const Networks layers = networks(weights, batch.windows.size(2) / trunk().window);
    const at::Tensor output = forward(layers.encoder, encoder_inputs(batch));
    const at::Tensor z = output.narrow(2, 0, trunk().latent);
    at::Tensor codes = z;
    at::Tensor classes;  // [slots, n, classes]: what the decoder is told
    at::Tensor guessed;  // [slots, n]: 1 where that is a guess about a window without a label
    at::Tensor cost = at::zeros({z.size(0), z.size(1)}, z.options());
    at::Tensor teaches = at::ones_like(cost);  // whether the window is one to reconstruct
    if (num_classes() > 0) {
      const at::Tensor label = labels_of(batch, z);
      const at::Tensor is_known = (label >= 0).to(at::kFloat);
      const at::Tensor known = one_hot(label);
      const at::Tensor all_logits = logits(output);
      const at::Tensor log_likelihood = all_logits.log_softmax(-1);
      cost = cost - kClassification * (log_likelihood * known).sum(-1);
      if (guesses()) {
        cost = cost - kClassification * kAnchor * (1 - is_known) * log_likelihood.select(-1, 0);
      }
      // What it is told of a window without a label, and of one with a fault, is a guess.
      const at::Tensor guess = without_faults(all_logits).softmax(-1);
      const at::Tensor is_fault = (known * fault_mask(z)).sum(-1);
      const at::Tensor told = (is_known * (1 - is_fault)).unsqueeze(-1);
      classes = known * told + guess * (1 - told);
      teaches = 1 - is_fault;
      guessed = 1 - is_known;
      codes = at::cat({z, classes}, 2);
    }
    cost = cost + teaches * masked_square_error(forward(layers.decoder, codes), batch);
    if (batch.noise != nullptr)
      cost = cost + adversarial(weights, z, classes, guessed, *batch.noise);
    return cost;
  }

  void finish(std::vector<at::Tensor>& weights, const TrainingRows& rows) const override {
    const Networks layers = networks(weights, rows.channels());
    const std::vector<Layer> newest = for_newest_row(layers.decoder, trunk().window);
    for (std::int64_t slot = 0; slot < rows.num_slots(); ++slot) {
      const SlotChoice choice{slot};
      const at::Tensor ends =
          thin_out(rows.window_ends(slot, trunk().window), kMostWindows).to(rows.values.device());
      if (ends.size(0) < 2) continue;
      std::vector<at::Tensor> distances, errors;
      for (const at::Tensor& some : ends.split(windows_at_once(trunk().window * rows.channels()))) {
        const at::Tensor codes =
            code(forward(layers.encoder, gather(rows.values, some, lags()), choice));
        distances.push_back(codes.narrow(-1, 0, trunk().latent).square().sum(-1));
        errors.push_back(
            residual(newest, codes, rows.values.index_select(0, some), choice).square());
      }
      const at::Tensor distance = at::cat(distances);
      const at::Tensor moments = weights[weights.size() - 2].select(0, slot).select(0, 0);
      moments[0].copy_(distance.mean());
      moments[1].copy_(distance.std().clamp_min(1e-3));
      weights.back().select(0, slot).copy_(at::cat(errors).mean(0, true).sqrt());
    }
  }

 private:
  // The discriminator of codes, which knows the class; with guessed classes that of classes too.
  std::vector<LayerPlan> critics() const {
    std::vector<LayerPlan> plan = discriminator(trunk().latent + num_classes());
    if (guesses()) {
      const std::vector<LayerPlan> second = discriminator(num_classes());
      plan.insert(plan.end(), second.begin(), second.end());
    }
    return plan;
  }
  bool guesses() const { return classes_ == Classes::kSemi && num_classes() > 1; }

  at::Tensor logits(const at::Tensor& output) const {
    return output.narrow(-1, trunk().latent, num_classes());
  }
  at::Tensor fault_mask(const at::Tensor& like) const {
    return at::tensor(faults_, at::kLong).to(like.options());
  }
  at::Tensor without_faults(const at::Tensor& logits) const {
    return logits - kImpossible * fault_mask(logits);
  }
  // Code and class as the decoder takes them.
  at::Tensor code(const at::Tensor& output) const {
    if (num_classes() == 0) return output;
    return at::cat(
        {output.narrow(-1, 0, trunk().latent), without_faults(logits(output)).softmax(-1)}, -1);
  }
  // [slots, n]: the class of each window, -1 where it is to be guessed.
  at::Tensor labels_of(const TrainingBatch& batch, const at::Tensor& like) const {
    at::Tensor label = batch.labels.defined() ? batch.labels
                                              : at::full({like.size(0), like.size(1)}, -1,
                                                         like.options().dtype(at::kLong));
    if (classes_ == Classes::kSupervised) label = label.clamp_min(0);
    return label;
  }
  // [slots, n, classes]; zeros where the label is -1.
  at::Tensor one_hot(const at::Tensor& label) const {
    const at::Tensor all = at::arange(num_classes(), label.options());
    return (label.unsqueeze(-1) == all).to(at::kFloat);
  }

  at::Tensor adversarial(const std::vector<at::Tensor>& weights, const at::Tensor& z,
                         const at::Tensor& classes, const at::Tensor& guessed,
                         at::Generator& noise) const {
    const std::size_t first = weights.size() - 2 - 2 * critics().size();
    const std::vector<LayerPlan> plan = discriminator(trunk().latent + num_classes());
    const at::Tensor draw =
        at::randn({1, z.size(1), z.size(2)}, noise, at::TensorOptions{at::kFloat})
            .to(z.device())
            .expand_as(z);
    const auto told = [&](const at::Tensor& codes) {
      return classes.defined() ? at::cat({codes, classes.detach()}, 2) : codes;
    };
    at::Tensor cost = duel(plan, weights, first, told(z), told(draw));
    if (guesses()) {
      const auto uniform = [&] {
        return at::rand({1, z.size(1)}, noise, at::TensorOptions{at::kFloat});
      };
      const at::Tensor others = 1 + (uniform() * (num_classes() - 1)).to(at::kLong);
      const at::Tensor picks =
          at::where(uniform() < kFirstClass, at::zeros_like(others), others).to(z.device());
      cost = cost + guessed * duel(discriminator(num_classes()), weights, first + 2 * plan.size(),
                                   classes, one_hot(picks).expand_as(classes));
    }
    return cost;
  }

  // Both sides of the game between one discriminator and whoever made `codes`: [slots, n].
  static at::Tensor duel(const std::vector<LayerPlan>& plan, const std::vector<at::Tensor>& weights,
                         std::size_t first, const at::Tensor& codes, const at::Tensor& draws) {
    const std::vector<Layer> learning = with_weights(plan, weights, first);
    const std::vector<Layer> fixed = with_weights(plan, detached(weights), first);
    const at::Tensor judged =
        softplus(forward(learning, codes.detach())) + softplus(-forward(learning, draws));
    const at::Tensor fooled = softplus(-forward(fixed, codes));
    return (judged + kAdversarial * fooled).squeeze(-1);
  }

  Classes classes_;
  std::vector<std::int64_t> faults_;  // 1 for a class that is a fault; regimes are none
  std::int64_t most_regimes_;
};

Result<std::unique_ptr<Member>> make(std::string_view kind, Classes classes,
                                     const MemberOptions& options) {
  auto trunk = Trunk::parse(Trunk::Form::kDense, options);
  if (!trunk) return Failure{std::move(trunk.error())};
  std::vector<std::int64_t> faults;
  if (classes != Classes::kNone) {
    auto read = whole_numbers(options, "faults", {0, 1}, kMostClasses);
    if (!read) return Failure{std::move(read.error())};
    faults = std::move(*read);
  }
  std::int64_t most_regimes = 0;
  if (classes == Classes::kRegimes) {
    const auto read = whole_number(options, "regimes", {1, static_cast<double>(kMostClasses)});
    if (!read) return Failure{read.error()};
    most_regimes = *read;
  }
  return std::make_unique<Aae>(kind, std::move(*trunk), classes, std::move(faults), most_regimes);
}

}  // namespace

Result<std::unique_ptr<Member>> make_aae(const MemberOptions& options) {
  return make("aae", Classes::kNone, options);
}
Result<std::unique_ptr<Member>> make_aae_supervised(const MemberOptions& options) {
  return make("aae_supervised", Classes::kSupervised, options);
}
Result<std::unique_ptr<Member>> make_aae_semi(const MemberOptions& options) {
  return make("aae_semi", Classes::kSemi, options);
}
Result<std::unique_ptr<Member>> make_aae_cluster(const MemberOptions& options) {
  return make("aae_cluster", Classes::kRegimes, options);
}

}  // namespace anomalyd::models
