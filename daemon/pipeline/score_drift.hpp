#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/state_codec.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/retraining_options.hpp"

namespace anomalyd::pipeline {

/// Whether the scores of normal rows of a model group have become larger than they were when its
/// model began to judge: a two-sample test with a floor for the effect, held for some time. Scores
/// that fall are no drift: the model expects those rows better than before, as one with a memory
/// does while that fills.
///
/// Time is cut into slots of a 24th of a cycle. The reference is the first whole cycle that the
/// model has judged, and as many more as 200 rows take, up to seven. Two samples are compared with
/// it: the last cycle, and the last stretch of two slots. The first is blind to what comes and goes
/// within a cycle, and slow. The second is quick; so that the hours of a day do not count as drift,
/// its floor is at least 2.5 times the distance of any stretch of the reference from the reference
/// itself.
///
/// The distance D is the one-sided one of Kolmogorov and Smirnov, how far the distribution function
/// of the sample lies below that of the reference at most, on histograms of the logarithm of the
/// score with 64 bins of 0.1; binning can only make it smaller. The p-value is the asymptotic one
/// with Stephens' correction (M. A. Stephens, JRSS B 32, 1970):
///
///   n = n1 n2 / (n1 + n2);  x = (sqrt(n) + 0.12 + 0.11 / sqrt(n)) D;  p = e^(-2 x^2)
///
/// It takes the rows for independent, so the caller thins them. What is left of dependence, in time
/// and between the series of a fleet, is what floor and hold are for.
///
/// Exact sums of rows: those of the parts of a group add up. Pure event time. About 18 kB.
class ScoreDrift {
 public:
  static constexpr std::size_t kSlots = 24;   ///< Of a cycle.
  static constexpr std::size_t kStretch = 2;  ///< Slots of the quick sample.

  /// What the test says at some time.
  struct Finding {
    bool ready = false;    ///< There is a reference.
    bool drifted = false;  ///< Effect and p-value have held long enough.
    double effect = 0;     ///< D, 0..1.
    double floor = 0;      ///< What it must exceed.
    double p_value = 1;
    std::chrono::microseconds held{0};  ///< For how long both have been so, in whole slots.
    std::chrono::microseconds span{0};  ///< Of the recent rows: a cycle or a stretch.
    std::uint64_t recent_rows = 0;
    std::uint64_t reference_rows = 0;

    /// "KS 0.31 (floor 0.20), p 1e-09, held 1 h 12 min; 423 rows of the last 2 h against 5030".
    [[nodiscard]] std::string text() const;
  };

  /// Takes the score (> 0; else it counts as the least) of a normal row. Rows older than what is
  /// kept are left out. Another cycle than before begins anew.
  void add(double score, EventTime time, const DriftOptions& options);

  /// Adds the rows of another part of the group. One that still collects its reference does not
  /// count beside one that has it.
  ScoreDrift& operator+=(const ScoreDrift& other);

  /// Tests the rows up to `now`, the newest event time of the group: of the two samples, the one
  /// that drifted, or else the one nearer to its floor.
  [[nodiscard]] Finding look(EventTime now, const DriftOptions& options) const;

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  static constexpr std::size_t kBins = 64;
  static constexpr std::size_t kKept = 2 * kSlots;  // slots of recent rows, for the hold
  using Histogram = std::array<std::uint32_t, kBins>;
  struct Sample;

  [[nodiscard]] std::int64_t slot_of(EventTime time) const noexcept;
  [[nodiscard]] bool is_kept(std::int64_t slot) const noexcept;
  [[nodiscard]] Sample reference() const;
  [[nodiscard]] Sample recent(std::int64_t last_slot, std::size_t slots) const;
  [[nodiscard]] double own_excess(const Sample& reference) const;
  [[nodiscard]] Finding look_at(std::size_t slots, EventTime now, const Sample& reference,
                                double floor, const DriftOptions& options) const;
  void begin(std::int64_t slot);
  void advance(std::int64_t slot);

  std::int64_t slot_length_ = 0;      // microseconds; 0: no row yet
  std::int64_t first_slot_ = 0;       // of the reference
  std::int64_t reference_end_ = 0;    // the slot behind it; a later one while it is collected
  std::int64_t newest_slot_ = 0;      // of all rows
  std::uint64_t reference_rows_ = 0;  // so far
  bool complete_ = false;             // the reference is
  std::vector<Histogram> reference_;  // [kSlots] by slot of the cycle; empty before the first row
  std::vector<Histogram> recent_;     // [kKept] a ring by slot, of the rows behind the reference
};

/// "1 h 12 min", "45 s", "3 d": the two largest units, for people.
[[nodiscard]] std::string in_words(std::chrono::microseconds duration);

}  // namespace anomalyd::pipeline
