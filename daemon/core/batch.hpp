#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace anomalyd {

struct Memory;

/// Windows to be scored by one model, carried as segments.
///
/// Neighbouring windows of a series share all but one row, so each series present contributes its
/// `context - 1` rows of history once, then its new rows. A window is `context` consecutive rows
/// of that buffer and is named by its last one; the scorer unfolds them on its own device.
///
/// Shapes   `rows` is [num_rows x channels], row-major. Window i covers the rows
///          [windows[i].end_row - context + 1, windows[i].end_row].
/// Units    scaled: about zero mean and unit variance per series and channel. No NaN: a missing
///          cell holds the last value of its channel; its residual is masked by the caller.
struct Batch {
  struct Window {
    std::uint32_t end_row;
    std::uint32_t slot;  ///< Which of the model's stacked weights: 0 is the pooled model.
    /// Of the window's series, if the model has a memory: it moves on as the window is scored, so
    /// the windows of a series come in time order, each once. Outlives the scoring of the batch.
    Memory* memory = nullptr;
    std::int64_t time = 0;     ///< Of the newest row, in microseconds; for models of the calendar.
    std::uint32_t entity = 0;  ///< Which of the model's entities the series is; 0: none of them.
  };
  std::size_t channels = 0;
  std::size_t context = 0;
  std::vector<float> rows;
  std::vector<Window> windows;

  [[nodiscard]] std::size_t num_rows() const noexcept {
    return channels == 0 ? 0 : rows.size() / channels;
  }
  [[nodiscard]] std::size_t byte_size() const noexcept {
    return rows.size() * sizeof(float) + windows.size() * sizeof(Window);
  }
};

/// What a model did not expect of the newest row of each window.
///
/// Shapes   `values` is [windows x members x channels], row-major; windows in the order of the
///          batch. Independent of how windows were batched.
/// Units    observed minus expected, in the scaled units of the batch.
struct Residuals {
  std::size_t members = 0;
  std::size_t channels = 0;
  std::vector<float> values;
  /// [windows]: which of the model's classes each window belongs to; empty if it has none.
  std::vector<std::int16_t> classes{};
};

}  // namespace anomalyd
