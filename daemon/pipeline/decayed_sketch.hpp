#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::pipeline {

/// A histogram that forgets: each row's weight fades by a factor of `1 - 1/memory_rows` per row.
///
/// Fading is done forwards: old weights stay and new ones grow, so adding a row touches one bin.
/// Bins are floats, because a fleet keeps many of these; the sums over 16 bins that answer
/// questions about ranks are doubles.
class DecayedSketch {
 public:
  struct Range {
    double low = 0;        ///< Lower edge of the first bin; smaller values count there.
    double bin_width = 1;  ///< > 0. Values beyond the last bin count there.
    std::size_t num_bins = 512;
  };

  DecayedSketch(const Range& range, double memory_rows);

  /// One row passes, and `value` is counted with `share` of the weight of a row.
  void add(double value, double share = 1.0);

  /// The upper edge of the bin in which `level` (0..1) of the weight is reached.
  [[nodiscard]] double quantile(double level) const;
  /// The share of the weight above `value`, to about a hundredth.
  [[nodiscard]] double share_above(double value) const;
  /// Half the width of the interval around `centre` that holds `level` of the weight.
  [[nodiscard]] double half_width(double centre, double level) const;

  [[nodiscard]] double bin_width() const noexcept { return range_.bin_width; }
  void set_memory(double memory_rows);

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  static constexpr std::size_t kBlock = 16;  // bins in a block: one cache line of floats

  [[nodiscard]] std::size_t bin_of(double value) const noexcept;
  void sum_blocks();
  void rescale();

  Range range_;
  double bins_per_unit_ = 1.0;
  double growth_ = 1.0;  // of the weight, per row
  double weight_ = 1.0;  // of a row added now
  double total_ = 0.0;
  std::vector<float> bins_;
  std::vector<double> blocks_;
};

}  // namespace anomalyd::pipeline
