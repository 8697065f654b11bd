
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "models/gradient_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr std::int64_t kValidationWindows = 2048;
constexpr std::int64_t kMinStepsPerEpoch = 32;
constexpr double kTrimmedShare = 0.05;  // of the validation windows
constexpr double kTrimAfter = 0.2;      // of the steps: what is learned first is what is common
constexpr double kClip = 5;
constexpr std::int64_t kMostCells = std::int64_t{1} << 27;  // of the windows of one step: 512 MB

// The slots [begin, end).
struct SlotRange {
  std::int64_t begin;
  std::int64_t end;
};

// Adam on stacked parameters.
class Adam {
 public:
  Adam(std::vector<at::Tensor> parameters, double learning_rate)
      : parameters_{std::move(parameters)}, learning_rate_{learning_rate} {
    for (const at::Tensor& parameter : parameters_) {
      first_.push_back(at::zeros_like(parameter));
      second_.push_back(at::zeros_like(parameter));
    }
  }

  // Takes one step along the gradients and clears them; `share` of the learning rate.
  void step(double share) {
    constexpr double kBeta1 = 0.9;
    constexpr double kBeta2 = 0.999;
    const at::NoGradGuard no_grad;
    const at::Tensor scale = clip_scale();
    ++steps_;
    const double correction1 = 1 - std::pow(kBeta1, steps_);
    const double correction2 = 1 - std::pow(kBeta2, steps_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (!parameters_[i].grad().defined()) continue;  // the loss does not depend on it
      const at::Tensor gradient = parameters_[i].grad() * scale;
      first_[i].mul_(kBeta1).add_(gradient, 1 - kBeta1);
      second_[i].mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
      const at::Tensor denominator = (second_[i] / correction2).sqrt_().add_(1e-8);
      parameters_[i].addcdiv_(first_[i], denominator, -share * learning_rate_ / correction1);
      parameters_[i].mutable_grad().zero_();
    }
  }

 private:
  // [slots, 1, 1]: below 1 where the gradient of a slot is longer than kClip.
  at::Tensor clip_scale() const {
    at::Tensor square = parameters_[0].grad().square().sum({1, 2});
    for (std::size_t i = 1; i < parameters_.size(); ++i) {
      if (!parameters_[i].grad().defined()) continue;
      square = square + parameters_[i].grad().square().sum({1, 2});
    }
    return (kClip / (square.sqrt() + 1e-6)).clamp_max(1).view({-1, 1, 1});
  }

  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> first_;
  std::vector<at::Tensor> second_;
  double learning_rate_;
  double steps_ = 0;
};

// The share of the learning rate after `done` of all steps: a cosine up over the first tenth, a
// cosine down over the rest.
double one_cycle(double done) {
  constexpr double kWarmUp = 0.1;
  constexpr double kFirst = 1.0 / 25;
  const auto cosine = [](double from, double to, double share) {
    return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
  };
  return done < kWarmUp ? cosine(kFirst, 1, done / kWarmUp)
                        : cosine(1, 0, (done - kWarmUp) / (1 - kWarmUp));
}

// The mean over the windows of each network, [networks], without the share that is worst.
at::Tensor trimmed_mean(const at::Tensor& loss, double share) {
  if (share <= 0) return loss.mean(1);
  const auto kept =
      static_cast<std::int64_t>(std::ceil((1 - share) * static_cast<double>(loss.size(1))));
  return std::get<0>(loss.sort(1)).narrow(1, 0, kept).mean(1);
}

// Keeps, network by network, the parameters with the lowest validation loss.
class BestWeights {
 public:
  BestWeights(const std::vector<at::Tensor>& parameters, std::int64_t patience)
      : patience_{patience} {
    for (const at::Tensor& parameter : parameters) best_.push_back(parameter.detach().clone());
    const std::int64_t slots = parameters[0].size(0);
    loss_ = at::full({slots}, std::numeric_limits<double>::infinity(), at::kDouble);
    stale_ = at::zeros_like(loss_, at::kLong);
  }

  // `loss` is [slots] double on the CPU. Returns whether any slot may still improve.
  bool consider(const at::Tensor& loss, const std::vector<at::Tensor>& parameters) {
    const at::NoGradGuard no_grad;
    const at::Tensor improved = (loss < loss_).logical_and(stale_ < patience_);
    loss_ = at::where(improved, loss, loss_);
    stale_ = at::where(improved, at::zeros_like(stale_), stale_ + 1);
    for (std::size_t i = 0; i < best_.size(); ++i) {
      const at::Tensor take = improved.to(parameters[i].device()).view({-1, 1, 1});
      best_[i] = at::where(take, parameters[i], best_[i]);
    }
    return (stale_ < patience_).any().item<bool>();
  }
  std::vector<at::Tensor> take() && { return std::move(best_); }

 private:
  std::vector<at::Tensor> best_;
  std::int64_t patience_;
  at::Tensor loss_;
  at::Tensor stale_;  // epochs since the last improvement
};

// Draws batches: each slot shuffles its own windows, and begins again when they are used up.
class Batches {
 public:
  Batches(const TrainingRows& rows, SlotRange slots, std::int64_t window, const FitOptions& options,
          const Conditions& conditions)
      : rows_{rows}, lags_{window_lags(window)}, conditions_{conditions} {
    for (std::int64_t slot = slots.begin; slot < slots.end; ++slot) {
      const EndSplit split = split_in_time(rows, slot, window);
      fit_.push_back(thin_out(split.fit, options.max_windows));
      labelled_.push_back(labelled(split.fit));
      validation_.push_back(split.validation);
      longest_ = std::max(longest_, fit_.back().size(0));
      generators_.push_back(at::detail::createCPUGenerator(options.seed));
    }
    size_ = std::min(options.batch, longest_);
  }

  // A pass over the windows, or several where they are few.
  std::int64_t steps_per_epoch() const {
    return std::max(kMinStepsPerEpoch, (longest_ + size_ - 1) / size_);
  }

  void shuffle() {
    for (std::size_t slot = 0; slot < fit_.size(); ++slot) {
      const at::Tensor order =
          at::randperm(fit_[slot].size(0), generators_[slot], at::TensorOptions{at::kLong});
      fit_[slot] = fit_[slot].index_select(0, order);
    }
  }
  TrainingBatch at_step(std::int64_t step) const {
    std::vector<at::Tensor> ends;
    const at::Tensor places = at::arange(step * size_, (step + 1) * size_, at::kLong);
    for (std::size_t i = 0; i < fit_.size(); ++i) {
      at::Tensor chosen = fit_[i].index_select(0, places.remainder(fit_[i].size(0)));
      if (const std::int64_t known = labelled_[i].size(0); known > 0) {
        const std::int64_t count = (size_ + 3) / 4;
        const at::Tensor turn = at::arange(step * count, (step + 1) * count, at::kLong);
        chosen = at::cat({chosen.narrow(0, count, size_ - count),
                          labelled_[i].index_select(0, turn.remainder(known))});
      }
      ends.push_back(chosen);
    }
    return windows_at(ends);
  }
  // The mean loss of each network over the validation windows, [networks] double on the CPU. In
  // parts no larger than a step's batch, one of which is in memory.
  at::Tensor validation_loss(const WindowLoss& loss,
                             const std::vector<at::Tensor>& parameters) const {
    const at::NoGradGuard no_grad;
    std::int64_t count = 0;
    for (const at::Tensor& slot : validation_) count = std::max(count, slot.size(0));
    count = std::min(count, kValidationWindows);
    std::vector<at::Tensor> losses;
    for (const at::Tensor& turn : at::arange(count, at::kLong).split(size_)) {
      std::vector<at::Tensor> ends;  // evenly spaced; repeated where a slot has fewer
      for (const at::Tensor& slot : validation_) {
        ends.push_back(slot.index_select(0, (turn * slot.size(0)).floor_divide(count)));
      }
      losses.push_back(loss(parameters, windows_at(ends)));
    }
    return trimmed_mean(at::cat(losses, 1), kTrimmedShare).to(at::kCPU, at::kDouble);
  }

 private:
  at::Tensor labelled(const at::Tensor& ends) const {
    if (!rows_.labels.defined()) return at::empty({0}, at::kLong);
    return ends.masked_select(rows_.labels.cpu().index_select(0, ends) >= 0);
  }
  TrainingBatch windows_at(const std::vector<at::Tensor>& ends) const {
    const at::Tensor index = at::stack(ends).to(rows_.values.device());
    TrainingBatch batch;
    batch.windows = batch.inputs = gather(rows_.values, index, lags_);
    if (rows_.observed.defined()) batch.observed = gather(rows_.observed, index, lags_);
    batch.conditions = conditions_at(rows_, conditions_, index);
    if (rows_.labels.defined()) {
      batch.labels = rows_.labels.index_select(0, index.flatten()).view(index.sizes());
    }
    return batch;
  }

  const TrainingRows& rows_;
  std::vector<std::int64_t> lags_;
  const Conditions& conditions_;
  std::vector<at::Tensor> fit_;  // window ends, per slot
  std::vector<at::Tensor> labelled_;
  std::vector<at::Tensor> validation_;
  std::vector<at::Generator> generators_;
  std::int64_t longest_ = 0;
  std::int64_t size_ = 0;
};

Result<Fitted> minimise_slots(const WindowLoss& loss, const std::vector<at::Tensor>& start,
                              const TrainingRows& rows, SlotRange slots, std::int64_t window,
                              const FitRun& run, const Conditions& conditions) {
  const at::AutoGradMode with_grad{true};
  std::vector<at::Tensor> parameters;
  for (const at::Tensor& all : start) {
    const std::int64_t networks = all.size(0) / rows.num_slots();  // of a slot
    parameters.push_back(
        all.narrow(0, slots.begin * networks, (slots.end - slots.begin) * networks).clone());
    parameters.back().set_requires_grad(true);
  }
  Batches batches{rows, slots, window, run.options, conditions};
  Adam adam{parameters, run.options.learning_rate};
  const std::int64_t steps = batches.steps_per_epoch();
  const bool by_steps = run.options.steps > 0;
  const std::int64_t epochs =
      by_steps ? (run.options.steps + steps - 1) / steps : run.options.epochs;
  const auto all_steps = static_cast<double>(epochs * steps);
  BestWeights best{parameters, by_steps ? epochs : run.options.patience};
  at::Generator noise = at::detail::createCPUGenerator(run.options.seed + 1);

  int epoch = 0;
  for (bool improving = true; improving && epoch < epochs; ++epoch) {
    batches.shuffle();
    for (std::int64_t step = 0; step < steps; ++step) {
      if (run.stop.stop_requested()) return fail(ErrorKind::kCancelled, "training was stopped");
      TrainingBatch batch = batches.at_step(step);
      batch.epoch = epoch + static_cast<double>(step) / static_cast<double>(steps);
      batch.noise = &noise;
      batch.inputs = corrupted(batch.windows, rows.channels(), run.options.corruption,
                               run.options.amount, noise);
      const double done = static_cast<double>(epoch * steps + step) / all_steps;
      const double trimmed = done < kTrimAfter ? 0 : run.options.trimmed;
      trimmed_mean(loss(parameters, batch), trimmed).sum().backward();
      adam.step(by_steps ? one_cycle(done) : 1);
    }
    const at::Tensor newest_loss = batches.validation_loss(loss, parameters);
    improving = best.consider(newest_loss, parameters);
    run.progress((epoch + 1.0) / static_cast<double>(epochs), newest_loss.mean().item<double>());
  }
  return Fitted{std::move(best).take(), epoch};
}

// Where training begins: at the weights of the run if all of them fit, else at `fresh` ones.
std::vector<at::Tensor> first_weights(const std::vector<at::Tensor>& fresh, const FitRun& run) {
  if (run.start.size() < fresh.size()) return fresh;
  std::vector<at::Tensor> weights;
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    if (run.start[i].numel() != fresh[i].numel() || run.start[i].size(-1) != fresh[i].size(-1)) {
      return fresh;
    }
    weights.push_back(run.start[i].to(fresh[i].device()).view_as(fresh[i]));
  }
  return weights;
}

}  // namespace

Result<Fitted> minimise(const WindowLoss& loss, const std::vector<at::Tensor>& fresh,
                        const TrainingRows& rows, std::int64_t window, const FitRun& run,
                        const Conditions& conditions) {
  const std::vector<at::Tensor> parameters = first_weights(fresh, run);
  // The pooled slot has many more windows than the others: it takes its steps by itself.
  const std::int64_t own = rows.num_slots() - 1;
  FitRun part = run;
  part.progress = [&](double share, double newest_loss) {
    run.progress(own > 0 ? share / 2 : share, newest_loss);
  };
  auto fitted = minimise_slots(loss, parameters, rows, {0, 1}, window, part, conditions);
  if (!fitted) return fitted;

  const std::int64_t cells = run.options.batch * window * rows.channels();  // of a slot's step
  const std::int64_t at_once = std::max<std::int64_t>(1, kMostCells / cells);
  std::vector<std::vector<at::Tensor>> weights;
  for (const at::Tensor& weight : fitted->weights) weights.push_back({weight});
  for (std::int64_t begin = 0; begin < own; begin += at_once) {
    const std::int64_t end = std::min(own, begin + at_once);
    part.progress = [&](double share, double newest_loss) {
      const double done = static_cast<double>(begin) + share * static_cast<double>(end - begin);
      run.progress((1 + done / static_cast<double>(own)) / 2, newest_loss);
    };
    auto more =
        minimise_slots(loss, parameters, rows, {1 + begin, 1 + end}, window, part, conditions);
    if (!more) return more;
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i].push_back(more->weights[i]);
    fitted->epochs = std::max(fitted->epochs, more->epochs);
  }
  for (std::size_t i = 0; i < weights.size(); ++i) fitted->weights[i] = at::cat(weights[i]);
  return fitted;
}

at::Tensor masked_square_error(const at::Tensor& output, const TrainingBatch& batch) {
  const at::Tensor square = (batch.windows - output).square();
  if (!batch.observed.defined()) return square.mean(2);
  return (square * batch.observed).sum(2) / batch.observed.sum(2).clamp_min(1);
}

}  // namespace anomalyd::models
