#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/core/state_codec.hpp"

namespace anomalyd::pipeline {

/// Puts the samples of one series in order, row by row, on the grid of its period.
///
/// Late rows within `grace` are put in place, older ones are dropped and counted; so are
/// duplicates. A short gap is announced as missing rows, a long one as a restart of the window. A
/// series that comes when it likes (a tenth of its first steps is longer than 1.5 periods) has no
/// gaps: its rows are taken one after the other.
/// Cells of one time that arrive in several samples (one channel a record) become one row.
///
/// Event time only: nothing here depends on when a sample arrives, so a replay gives the same rows.
class Windower {
 public:
  /// Whether one sample is a whole row or one of several parts of it.
  enum class RowShape : std::uint8_t { kWhole, kPartial };

  static constexpr std::uint32_t kLongestGap = 4096;  ///< Rows that may ever be bridged.

  struct Options {
    std::size_t length = 32;  ///< 8..1024 rows. The part of a series that autoencoders look at.
    std::size_t stride = 1;   ///< 1..length rows. Every stride-th row of a series is judged.
    std::chrono::milliseconds period{0};  ///< Time between rows; 0 infers it per series.
    std::chrono::milliseconds grace{0};   ///< How long a late row may still take its place.
    std::size_t max_gap = 16;             ///< 0..kLongestGap rows. Longer gaps restart the window.
    double max_missing = 0.5;  ///< 0..1. A row or window with a larger share is not judged.
    std::chrono::milliseconds evict_after{std::chrono::hours{24 * 7}};  ///< Silent that long: gone.
    RowShape shape = RowShape::kWhole;  ///< Set from the input format; not an option of its own.
  };

  /// A row that has found its final place.
  struct Row {
    EventTime time;
    Offset offset = 0;
    std::span<const double> values;    ///< NaN where missing; valid during the call only.
    std::uint32_t missing_before = 0;  ///< Rows that should have come before this one.
    bool restart = false;              ///< The gap before it is too long to bridge.
    EventTime previous{};              ///< Of the row before; the epoch before the first.
  };
  using RowFn = std::function<void(const Row&)>;

  /// What happened to a sample.
  enum class Outcome : std::uint8_t { kKept, kLate, kDuplicate };

  /// Takes one sample in; `release` is called for every row whose place is now final.
  Outcome add(const Sample& sample, const Options& options, const RowFn& release);
  /// Releases what still waits: the input has ended.
  void flush(const Options& options, const RowFn& release);

  /// As it stands behind rows at these times.
  [[nodiscard]] static Windower behind(std::span<const std::int64_t> times, const Options& options);

  /// A copy as it stood behind its row at `time`: what came later can be taken in again.
  [[nodiscard]] Windower as_of(EventTime time) const;

  /// Takes all up to `time` for released: such samples are late from now on.
  void skip_to(EventTime time);

  /// Time between rows; zero until it is known.
  [[nodiscard]] std::chrono::microseconds period() const noexcept { return period_; }
  /// Of the last row released; the epoch before the first.
  [[nodiscard]] EventTime last_time() const noexcept { return last_time_; }

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  struct Waiting {
    EventTime time;
    Offset offset;
    std::vector<double> values;
    std::size_t filled;
  };
  void release_due(const Options& options, const RowFn& release, bool all);
  void emit(EventTime time, Offset offset, std::span<const double> values, const Options& options,
            const RowFn& release);
  void learn_period(std::chrono::microseconds delta);

  std::chrono::microseconds period_{0};
  EventTime last_time_{};
  EventTime newest_{};
  bool started_ = false;
  bool regular_ = true;  // rows come at the period, so that a longer step means missing rows
  std::size_t usual_cells_ = 0;       // cells of the last row: a partial row with as many is whole
  std::vector<Waiting> waiting_;      // oldest first; empty unless rows are late or partial
  std::vector<std::int64_t> deltas_;  // the first ones, until the period is inferred
};

}  // namespace anomalyd::pipeline
