#pragma once
// Private to models/: includes torch.

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "models/conditions.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {

/// The rows a model is fitted to, on the device, and which of them each slot learns from.
///
/// Missing cells hold the last value of their channel (0 before the first), as they do in a Batch;
/// `observed` says which cells were really there, so that losses leave the others out.
struct TrainingRows {
  /// The rows [begin, end) of `values` belong to one series and follow each other.
  struct Segment {
    std::int64_t begin;
    std::int64_t end;
    [[nodiscard]] std::int64_t size() const noexcept { return end - begin; }
  };

  at::Tensor values;    ///< [rows, channels] float.
  at::Tensor observed;  ///< [rows, channels] float, 1 or 0; undefined when nothing is missing.
  at::Tensor labels;    ///< [rows] int64: a class, or -1; undefined when nothing is labelled.
  std::vector<std::int64_t> times;      ///< [rows]: microseconds.
  std::vector<std::uint32_t> entities;  ///< [rows]: which series, from 1.
  /// slots[0] is all series (the pooled model); slots[i] for i > 0 is one series.
  std::vector<std::vector<Segment>> slots;

  [[nodiscard]] std::int64_t channels() const { return values.size(1); }
  [[nodiscard]] std::int64_t num_slots() const { return static_cast<std::int64_t>(slots.size()); }
  /// Rows of the longest segment of a slot: what bounds windows and lags.
  [[nodiscard]] std::int64_t longest(std::int64_t slot) const;
  /// Last rows of all windows of `context` rows in a slot: [n] int64, on the CPU, in time order
  /// within each series.
  [[nodiscard]] at::Tensor window_ends(std::int64_t slot, std::int64_t context) const;
};

/// Brings `set` to `device`. `own_slots` are indices of the series that get weights of their own.
[[nodiscard]] TrainingRows make_training_rows(const TrainingSet& set,
                                              const std::vector<std::size_t>& own_slots,
                                              std::string_view device);

/// Window ends of one slot for fitting and for early stopping.
struct EndSplit {
  at::Tensor fit;
  at::Tensor validation;  ///< From the last quarter of each series, a window apart from `fit`.
};
[[nodiscard]] EndSplit split_in_time(const TrainingRows& rows, std::int64_t slot,
                                     std::int64_t window);

/// At most `max_count` of `ends`, evenly spaced.
[[nodiscard]] at::Tensor thin_out(const at::Tensor& ends, std::int64_t max_count);

/// The conditions at these rows, [..., width] for ends [...]; undefined if there are none.
[[nodiscard]] at::Tensor conditions_at(const TrainingRows& rows, const Conditions& conditions,
                                       const at::Tensor& ends);

/// How many windows of so many cells may be in memory at once, where the number is free.
[[nodiscard]] std::int64_t windows_at_once(std::int64_t cells);

/// The rows at `ends - lag` for each lag, side by side: [..., lags x channels] for ends [...].
[[nodiscard]] at::Tensor gather(const at::Tensor& rows, const at::Tensor& ends,
                                const std::vector<std::int64_t>& lags);

/// Lags window-1 .. 0: a whole window, oldest row first.
[[nodiscard]] std::vector<std::int64_t> window_lags(std::int64_t window);

/// Halves `window` while it is above 8 and fewer than four windows fit into `rows`: short
/// series get short windows.
[[nodiscard]] std::int64_t fit_window(std::int64_t window, std::int64_t rows);

}  // namespace anomalyd::models
