#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daemon/core/batch.hpp"
#include "daemon/core/model.hpp"
#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/data_faults.hpp"
#include "daemon/pipeline/detector.hpp"
#include "daemon/pipeline/scaler.hpp"
#include "daemon/pipeline/windower.hpp"

namespace anomalyd::pipeline {

/// Why a row gets no verdict.
enum class NotJudged : std::uint8_t {
  kJudged,   ///< It gets one.
  kFilling,  ///< The window is not full yet, after a start or a long gap.
  kMissing,  ///< Too many cells of the row or of its window are missing.
  kStride,   ///< Between two strides.
};

/// What has been learned of one series, and its newest rows: all that judging it needs.
///
/// The window holds `context - 1` rows of history and, while a block is taken in, the fresh rows
/// behind them; `flush_into` moves those into a batch. Missing cells hold the channel's last value.
class SeriesTrack {
 public:
  Scaler scaler;
  Detector detector;
  DataFaults faults;
  Memory memory;             ///< Changed by the scorer alone while windows are being scored.
  std::uint32_t slot = 0;    ///< Weights of the model that are this series' own; 0 is the pooled.
  std::uint32_t entity = 0;  ///< Of those that the model tells apart; 0: none of them.
  bool provisional = false;  ///< Judged with the calibration of its group, not yet its own.

  /// Appends a row, scaled by `scaler`. `raw` holds the channels of the model, NaN where missing.
  NotJudged append(const Windower::Row& row, std::span<const double> raw,
                   const Windower::Options& options, std::size_t context);

  /// Copies history and fresh rows behind the rows of `batch`, adding a window for each of
  /// `judged_rows` (indices of fresh rows, from 0), and turns all but `context - 1` into the past.
  void flush_into(Batch& batch, std::span<const std::uint32_t> judged_rows, std::size_t context);

  /// Judges the newest row of a window. `raw` is [channels]; `residuals` is [members x channels],
  /// of which those of missing cells become NaN. What people call harmless raises no alert.
  [[nodiscard]] Verdict judge(const ModelInfo& model, std::span<const double> raw,
                              std::span<float> residuals, std::int16_t window_class);

  /// Takes over the rows that `other` holds and its data faults, to judge the next row of the same
  /// series in its place; on its own scaler, for windows of `context` rows. The window fills anew
  /// where only one of the two takes a channel for a counter. Neither may hold fresh rows.
  void continue_from(const SeriesTrack& other, std::size_t context);

  /// Fresh rows appended since the last flush.
  [[nodiscard]] std::uint32_t num_fresh() const noexcept { return num_fresh_; }
  /// Rows taken in since the series was learned; a measure of its readiness.
  [[nodiscard]] std::uint64_t num_rows() const noexcept { return num_rows_; }

  /// Whether what was loaded has the shapes that rows of this model need.
  [[nodiscard]] bool fits(const ModelInfo& model) const;

  /// A memory that stays as it is belongs to the group and is left out.
  void save(StateWriter& out) const;
  /// `group_memory` is what was left out.
  [[nodiscard]] bool load(StateReader& in, const Memory& group_memory);

 private:
  void push(std::span<const float> scaled, EventTime time, std::size_t length);

  std::vector<float> window_;         // [rows x channels], newest last
  std::vector<std::uint16_t> holes_;  // missing cells of the last `length` rows, a ring
  std::uint32_t hole_at_ = 0;
  std::uint32_t holes_in_window_ = 0;
  std::uint32_t filled_ = 0;               // rows since the last restart, counted up to the context
  std::uint32_t num_fresh_ = 0;            // rows of window_ behind the history
  std::vector<std::int64_t> fresh_times_;  // microseconds
  std::uint32_t since_judged_ = 0;
  std::uint64_t num_rows_ = 0;
};

}  // namespace anomalyd::pipeline
