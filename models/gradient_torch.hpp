#pragma once
// Private to models/: includes torch.

#include <functional>
#include <vector>

#include "daemon/core/result.hpp"
#include "models/member_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {

/// Windows of every slot at once, and where training stands.
struct TrainingBatch {
  at::Tensor windows;              ///< [slots, n, window x channels]: what to restore.
  at::Tensor observed;             ///< The same shape, 1 or 0; undefined when nothing is missing.
  at::Tensor inputs;               ///< The same shape: `windows`, corrupted if that was asked for.
  at::Tensor conditions;           ///< [slots, n, width]; undefined without any.
  at::Tensor labels;               ///< [slots, n] int64: a class, or -1; undefined without any.
  double epoch = 0;                ///< With fraction; what warm-ups follow.
  at::Generator* noise = nullptr;  ///< For sampling; null while validating.
};

/// The loss of each window, [networks, n], of networks with parameters [networks, ...]: one of each
/// slot, or several, one slot after the other.
using WindowLoss = std::function<at::Tensor(const std::vector<at::Tensor>& parameters,
                                            const TrainingBatch& batch)>;

/// Minimises `loss`, beginning at the weights of the run or else at `fresh` ones; slots of single
/// series share the same products.
///
/// Adam (Kingma and Ba 2015) with the gradient of each network clipped by itself; every one keeps
/// the weights of its best epoch on the last quarter of its rows and stops counting when it has
/// not improved for `patience` epochs. A slot ends as it would alone: each draws from a generator
/// of its own with the same seed. The statistic is the mean of the lowest 95 % of window losses,
/// so that anomalies among the validation rows do not decide. Where rows are labelled, a quarter of
/// each batch is drawn from windows whose newest row is. Slots that are too many for one step's
/// memory are fitted in turn. Errors: kCancelled.
[[nodiscard]] Result<Fitted> minimise(const WindowLoss& loss, const std::vector<at::Tensor>& fresh,
                                      const TrainingRows& rows, std::int64_t window,
                                      const FitRun& run, const Conditions& conditions = {});

/// Mean squared error of each window over its observed cells.
[[nodiscard]] at::Tensor masked_square_error(const at::Tensor& output, const TrainingBatch& batch);

/// Windows [.., n, window x channels] as a network is to see them; all slots alike.
[[nodiscard]] at::Tensor corrupted(const at::Tensor& windows, std::int64_t channels,
                                   Corruption corruption, double amount, at::Generator& noise);

}  // namespace anomalyd::models
