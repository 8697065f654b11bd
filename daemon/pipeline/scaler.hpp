#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::pipeline {

/// Brings the channels of one series to about zero mean and unit variance, and back.
///
/// Centre is the median; scale is the standard deviation of the learning rows winsorised at their
/// 0.1 % and 99.9 % quantiles, at least 1e-3 of the range. A constant channel gets a tenth of its
/// magnitude (1 if that is zero), so a departure from the constant is large and nothing is divided
/// by zero. Scaled values are clipped to +-10. A channel that only ever grows is a counter: its
/// rate per second takes its place, and a reset to a lower value is a missing rate.
class Scaler {
 public:
  static constexpr float kClip = 10.0F;

  /// Whether growing channels are taken for counters.
  enum class Counters : std::uint8_t { kDetect, kIgnore };

  /// Learns from raw rows in time order.
  ///
  /// Shapes   `rows` is [n x channels], NaN where missing; `times` has n entries, microseconds.
  static Scaler fit(std::span<const double> rows, std::span<const std::int64_t> times,
                    std::size_t channels, Counters counters);

  /// Scales the next raw row into `scaled`, NaN where missing. Rows must come in order: the rate of
  /// a counter needs the row before.
  void apply(std::span<const double> raw, std::int64_t time_us, std::span<float> scaled);

  /// The value in input units (per second for a counter) of a scaled one.
  [[nodiscard]] double restore(std::size_t channel, double scaled) const noexcept {
    return static_cast<double>(channels_[channel].centre) +
           scaled * static_cast<double>(channels_[channel].scale);
  }
  /// The opposite of `restore`: what `apply` makes of a value that is no missing one.
  [[nodiscard]] float rescale(std::size_t channel, double value) const noexcept;
  /// Takes over the last values of counters from another scaler of the same channels. False if only
  /// one of them takes some channel for a counter; such a counter starts anew.
  [[nodiscard]] bool continue_from(const Scaler& other) noexcept;
  [[nodiscard]] bool is_counter(std::size_t channel) const noexcept {
    return channels_[channel].counter != 0;
  }
  [[nodiscard]] std::size_t num_channels() const noexcept { return channels_.size(); }

  /// Forgets the last value of every counter: the next row follows a gap.
  void restart() noexcept;

  void save(StateWriter& out) const { out.put_all(channels_); }
  [[nodiscard]] bool load(StateReader& in) { return in.get_all(channels_); }

 private:
  struct PerChannel {
    float centre = 0;
    float scale = 1;
    double last_value = 0;       // counters only
    std::int64_t last_time = 0;  // microseconds; 0 before the first value
    std::uint8_t counter = 0;    // a bool read from a file may be neither
    char padding[7] = {};
  };
  std::vector<PerChannel> channels_;
};

}  // namespace anomalyd::pipeline
