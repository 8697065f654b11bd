#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <cstring>
#include <vector>

#include "daemon/core/batch.hpp"
#include "models/layers_torch.hpp"
#include "models/member_torch.hpp"
#include "models/scoring_jobs.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {

/// The windows of one job, unfolded on the device of the weights from the rows that they share.
///
/// Tensors are [n, ...] when the job has one slot and [slots, n, ...] when it has several.
class Unfolded {
 public:
  /// `device_rows` is the batch's rows on an accelerator, or undefined on a CPU. The newest
  /// `num_recent` rows of each window are unfolded once, for all members that read a part of them.
  Unfolded(const Batch& batch, const at::Tensor& device_rows, const ScoringJob& job,
           std::int64_t num_recent);

  [[nodiscard]] const SlotChoice& choice() const noexcept { return choice_; }
  [[nodiscard]] at::Tensor newest() const;
  /// What a member takes: the rows at its lags side by side, then its conditions.
  [[nodiscard]] at::Tensor inputs(const Member& member) const;
  /// The rows at these distances from the newest, side by side.
  [[nodiscard]] at::Tensor inputs(const std::vector<std::int64_t>& lags) const;
  /// Copies `values`, some numbers per window, to where each window has its own in the batch:
  /// `stride` of them apart.
  template <typename T>
  void scatter(const at::Tensor& values, T* out, std::size_t stride) const {
    const at::Tensor host = values.contiguous().cpu();
    const T* from = host.data_ptr<T>();
    const std::size_t width = static_cast<std::size_t>(host.numel()) / job_.windows.size();
    for (const std::int64_t window : job_.windows) {
      std::memcpy(out + static_cast<std::size_t>(window) * stride, from, width * sizeof(T));
      from += width;
    }
  }

 private:
  [[nodiscard]] at::Tensor unfold(const std::vector<std::int64_t>& lags) const;
  [[nodiscard]] at::Tensor values_of(const Conditions& conditions) const;
  // [n, width] as this job's windows are: [n, width] or [slots, n, width].
  [[nodiscard]] at::Tensor by_slot(const at::Tensor& flat) const;

  const Batch& batch_;
  const at::Tensor& device_rows_;
  const ScoringJob& job_;
  SlotChoice choice_;
  std::vector<std::int64_t> ends_;
  std::int64_t num_recent_;
  at::Tensor recent_;
};

/// True when every lag is one less than the one before: the rows are neighbours.
[[nodiscard]] bool is_run(const std::vector<std::int64_t>& lags);

}  // namespace anomalyd::models
