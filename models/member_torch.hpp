#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"
#include "models/layers_torch.hpp"
#include "models/member_options.hpp"
#include "models/tensor_torch.hpp"
#include "models/torch_models.hpp"
#include "models/training_rows_torch.hpp"

namespace anomalyd::models {

/// What the weights of every member depend on beside its own options.
struct ModelShape {
  std::int64_t slots;
  std::int64_t channels;
};

/// One weight tensor of a member, as a checkpoint must have it.
struct WeightShape {
  std::string name;
  std::vector<std::int64_t> sizes;  ///< The first one is the number of slots.
};

/// How iterative kinds train. Closed forms use `max_windows` at most.
struct FitOptions {
  std::int64_t epochs;
  std::int64_t patience;
  std::int64_t batch;
  std::int64_t max_windows;
  double learning_rate;
  std::uint64_t seed;
  /// If not 0: so many steps in all, whatever epochs and patience say, and a learning rate that
  /// rises over the first tenth of them and falls to nothing by the last (Smith and Topin 2018).
  std::int64_t steps = 0;
  double trimmed = 0;  ///< Share of the worst windows of a batch that do not teach, after a fifth.
  Corruption corruption = Corruption::kNone;
  double amount = 0;  ///< Of the corruption.
};

/// One fit under way: how, whom to tell, when to give up.
struct FitRun {
  FitOptions options;
  std::function<void(double share, double loss)> progress;  ///< Share of this fit, 0..1.
  std::stop_token stop;
  /// Weights to begin at, slot for slot, where they have the shapes that are asked for.
  std::vector<at::Tensor> start{};
};

/// A fitted member before its weights are adopted.
struct Fitted {
  std::vector<at::Tensor> weights;  ///< In the order of Member::shapes().
  int epochs = 0;                   ///< 0 for closed forms.
};

/// One way of expecting the newest row of a window, with weights for every slot.
///
/// A kind of member is one file: it names its options and weights, fits them, and turns inputs into
/// residuals. Those that are a few products derive from LinearMember, those with a code of the
/// whole window from Autoencoder, those that compare windows with remembered ones from
/// MemoryMember. See registry_torch.hpp for the list.
///
/// Shapes   `inputs` is [..., lags x channels + width of conditions]; see SlotChoice for the
/// leading
///          dimensions.
/// Threads  after adopt(), the const functions run on several threads at once.
class Member {
 public:
  virtual ~Member() = default;
  [[nodiscard]] virtual std::string_view kind() const = 0;
  /// As trained: windows and lags may be smaller than asked for when rows were few.
  [[nodiscard]] virtual MemberOptions options() const = 0;
  /// The rows it reads, as distances from the newest row; oldest first.
  [[nodiscard]] virtual std::vector<std::int64_t> lags() const = 0;
  /// What it has to know of a window beside its rows; nullptr if nothing.
  [[nodiscard]] virtual const Conditions* conditions() const { return nullptr; }
  [[nodiscard]] virtual std::vector<WeightShape> shapes(const ModelShape& shape) const = 0;
  /// Fits all slots. Errors: kCancelled.
  [[nodiscard]] virtual Result<Fitted> fit(const TrainingRows& rows, const FitRun& run) = 0;

  /// Takes weights of the shapes above and makes the member ready to score on their device.
  void adopt(std::vector<at::Tensor> weights, ModelShape shape);
  [[nodiscard]] const std::vector<at::Tensor>& weights() const noexcept { return weights_; }
  /// What they were adopted for. One slot, in a model of several, serves all of them.
  [[nodiscard]] const ModelShape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::size_t num_parameters() const;
  /// Floating-point operations that scoring one window takes, two for a multiplication and its
  /// addition; of a memory, with a full bank. After adopt().
  [[nodiscard]] virtual double operations() const = 0;

  /// Whether it is learned step by step, and not in closed form.
  [[nodiscard]] virtual bool is_network() const { return true; }

  /// Whether it is a MemoryMember, which the scorer asks for distances instead of the following.
  [[nodiscard]] virtual bool recalls() const { return false; }
  /// Observed minus expected newest row: [..., channels], as `newest` is.
  [[nodiscard]] virtual at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                                             const SlotChoice& choice) const = 0;

  /// Whether it has an expectation of every row of the window.
  [[nodiscard]] virtual bool reconstructs() const { return false; }
  /// Observed minus expected for the whole window, [..., lags x channels]. If `reconstructs()`.
  [[nodiscard]] virtual at::Tensor window_residuals(const at::Tensor& inputs,
                                                    const SlotChoice& choice) const;

  /// Numbers in the code of a window; 0 if it has none.
  [[nodiscard]] virtual std::int64_t latent_width() const { return 0; }
  /// Codes of windows, [..., latent_width + width of conditions], and windows of codes, [..., lags
  /// x channels]. If `latent_width()` is not 0.
  [[nodiscard]] virtual at::Tensor encode(const at::Tensor& inputs, const SlotChoice& choice) const;
  [[nodiscard]] virtual at::Tensor decode(const at::Tensor& codes, const SlotChoice& choice) const;

  /// Kinds of windows that it tells apart; none for most.
  [[nodiscard]] virtual std::int64_t num_classes() const { return 0; }
  /// Which of them each window is: [...] int64.
  [[nodiscard]] virtual at::Tensor classify(const at::Tensor& inputs,
                                            const SlotChoice& choice) const;

 protected:
  /// Derives from the weights what scoring needs.
  virtual void prepare() {}

 private:
  std::vector<at::Tensor> weights_;
  ModelShape shape_{};
};

/// A member whose expectation is the output of layers that take nothing but the inputs.
class LinearMember : public Member {
 public:
  [[nodiscard]] double operations() const override { return operations_of(newest_); }
  [[nodiscard]] bool is_network() const final { return false; }
  [[nodiscard]] at::Tensor residuals(const at::Tensor& inputs, const at::Tensor& newest,
                                     const SlotChoice& choice) const override;
  [[nodiscard]] bool reconstructs() const override { return !window_.empty(); }
  [[nodiscard]] at::Tensor window_residuals(const at::Tensor& inputs,
                                            const SlotChoice& choice) const override;

 protected:
  /// Layers from the inputs to the newest row.
  [[nodiscard]] virtual std::vector<Layer> newest_layers() const = 0;
  /// Layers from the inputs to the inputs; none for a member that only predicts.
  [[nodiscard]] virtual std::vector<Layer> window_layers() const { return {}; }
  void prepare() final;

 private:
  std::vector<Layer> newest_;
  std::vector<Layer> window_;
};

}  // namespace anomalyd::models
