#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/pipeline/detector.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/pipeline/series_track.hpp"
#include "daemon/pipeline/windower.hpp"

namespace anomalyd::pipeline {

/// Raw rows of one series in time order, collected until there are enough to learn from.
struct History {
  static constexpr std::uint32_t kRestart = UINT32_MAX;

  std::string series;
  std::size_t width = 0;            ///< Columns of a row.
  std::vector<std::int64_t> times;  ///< Microseconds, one per row.
  std::vector<Offset> offsets;      ///< One per row.
  std::vector<std::uint32_t> gaps;  ///< Rows missing before each row, or kRestart.
  std::vector<double> rows;         ///< [rows x width]; NaN where missing.
  Windower windower;                ///< As it stood behind the last row.

  [[nodiscard]] std::size_t size() const noexcept { return times.size(); }
  /// What a row of so many columns takes.
  [[nodiscard]] static constexpr std::size_t bytes_of_row(std::size_t columns) noexcept {
    return sizeof(std::int64_t) + sizeof(Offset) + sizeof(std::uint32_t) + columns * sizeof(double);
  }
  /// Makes room for so many rows of so many columns.
  void reserve(std::size_t num_rows, std::size_t columns);
  void append(const Windower::Row& row);
  /// Appends the rows of another that has as many columns.
  void append(const History& more);
  /// Row `i` as the windower released it, with the values of `columns` in `values`.
  [[nodiscard]] Windower::Row row(std::size_t i, std::span<const std::size_t> columns,
                                  std::vector<double>& values) const;
  /// The first `num_rows` rows, with just these columns.
  [[nodiscard]] History project(std::span<const std::size_t> columns, std::size_t num_rows) const;
  /// Columns that carry a value in at least one of a hundred of the first `num_rows` rows.
  [[nodiscard]] std::vector<std::size_t> active_columns(std::size_t num_rows) const;

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);
};

/// The scaler of a series that has these rows.
[[nodiscard]] Scaler fit_scaler(const History& history, const TrainingOptions& options);

/// Everything learned about a model group: the series that share one set of channels.
///
/// Immutable once built; shared by all partitions. The weights live with the Scorer.
struct LearnedGroup {
  ModelInfo info;
  /// A series that was learned from: how to go on behind the last row it was learned from.
  struct Known {
    SeriesTrack track;
    Windower windower;
  };
  std::unordered_map<std::string, Known> series;
  /// nullptr when the series is not among them.
  [[nodiscard]] const Known* find(const std::string& id) const {
    const auto known = series.find(id);
    return known == series.end() ? nullptr : &known->second;
  }
  /// What a new series of the group starts with, on its own scaler and the pooled weights.
  Detector pooled;
  Memory pooled_memory;

  /// The opaque bytes that a checkpoint keeps beside the weights.
  [[nodiscard]] std::vector<std::byte> calibration() const;
  /// Reads them back. Errors: kIncompatible when the bytes are damaged or of another version.
  [[nodiscard]] static Result<std::shared_ptr<const LearnedGroup>> from_calibration(
      ModelInfo info, std::span<const std::byte> bytes);
};

/// The name of a model group: its channel names. Series with the same channels share a model.
[[nodiscard]] std::string group_key(std::span<const Channel> channels);

/// A trained model with the calibration of the series it was trained on.
struct Learned {
  std::unique_ptr<Scorer> scorer;
  std::shared_ptr<const LearnedGroup> group;
  TrainingReport report;
};

/// Fits a model to histories and calibrates every series on its newest rows, which the model has
/// not seen: scaler from all rows, weights from the oldest 70 %, detector from the newest 30 %.
///
/// `histories` hold just the channels of the group; `start` as in TrainingSet. Errors: those of
/// ModelFactory::train and Scorer::score.
[[nodiscard]] Result<Learned> learn(std::span<const History> histories,
                                    const std::vector<Channel>& channels, ModelFactory& factory,
                                    const PipelineOptions& options, const ProgressFn& progress,
                                    std::stop_token stop, const Scorer* start = nullptr);

/// Calibrates a trained model anew: its threshold follows from how it scores the newest rows of
/// `histories`, as in `learn`. Series that `before` knows keep its scalers, which the weights
/// belong to; nullptr fits them to the rows. Errors: those of Scorer::score.
[[nodiscard]] Result<std::shared_ptr<const LearnedGroup>> calibrate(
    Scorer& scorer, std::span<const History> histories, const PipelineOptions& options,
    const LearnedGroup* before, std::stop_token stop);

}  // namespace anomalyd::pipeline
