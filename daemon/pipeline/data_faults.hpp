#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/windower.hpp"

namespace anomalyd::pipeline {

/// Watches one series for faults of its data rather than of the machine: gaps, stuck sensors,
/// channels that come or go, a clock that was set back, silence.
///
/// These are told as data faults of their own type and never reach a model as values. Pure event
/// time: silence is judged against the newest event time of the partition.
class DataFaults {
 public:
  struct Options {
    bool enabled = true;  ///< Whether data faults are published at all.
    /// A channel that moved may rest this long, and at least four times its longest rest while
    /// learning.
    std::size_t stuck_rows = 100;
    std::size_t absent_rows = 100;    ///< A channel missing, or a new one present, for this long.
    std::size_t skewed_samples = 20;  ///< Consecutive late samples that mean a clock was set back.
    /// No rows for that long, and for at least ten periods.
    std::chrono::milliseconds silent_after{std::chrono::minutes{15}};
  };

  /// One fault begins or ends.
  struct Event {
    AlertType type;
    AlertState state;  ///< kOpen or kResolve.
    EventTime start;   ///< When the fault began; names the incident.
    std::string detail;
  };
  using Events = std::vector<Event>;

  DataFaults() = default;
  /// Learns how long each channel rests when all is well. `rows` is [n x channels], raw.
  DataFaults(std::span<const double> rows, std::size_t channels, const Options& options);

  /// Looks at the next row of the series (its own channels, raw).
  void on_row(const Windower::Row& row, std::span<const double> values,
              std::span<const Channel> channels, const Options& options, Events& events);
  /// Counts samples that came too late to take their place.
  void on_late(EventTime time, EventTime newest, const Options& options, Events& events);
  /// Looks for silence; `watermark` is the newest event time of the partition.
  void on_watermark(EventTime watermark, const Windower& windower, const Options& options,
                    Events& events);
  /// A column that the model does not know carries values.
  void on_unknown_channel(const std::string& name, EventTime time, const Options& options,
                          Events& events);

  /// Whether a fault of the values themselves is open: a channel stuck or gone, a clock set back.
  [[nodiscard]] bool is_open() const noexcept;
  /// Whether a channel has been missing for long. Never while data faults are not watched for.
  [[nodiscard]] bool lacks_channel() const noexcept;
  [[nodiscard]] std::size_t num_channels() const noexcept { return channels_.size(); }
  /// Whether a channel moved in fewer than a tenth of the rows that were learned from.
  [[nodiscard]] bool rests_by_nature(std::size_t channel) const noexcept {
    return channels_[channel].limit == 0;
  }

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  struct PerChannel {
    double value = 0;
    std::uint32_t rest = 0;    // rows it has not moved
    std::uint32_t limit = 0;   // rows it may rest; 0: constant from the start, never stuck
    std::uint32_t absent = 0;  // rows it has been missing
    std::uint8_t stuck = 0;
    std::uint8_t gone = 0;
    char padding[2] = {};
    std::int64_t since = 0;  // when it stopped moving or coming, microseconds
  };
  void watch_rest(PerChannel& channel, double value, const std::string& name, EventTime time,
                  Events& events);
  void watch_absence(PerChannel& channel, bool missing, const std::string& name, EventTime time,
                     const Options& options, Events& events);

  std::vector<PerChannel> channels_;
  std::uint32_t late_run_ = 0;
  std::uint32_t unknown_run_ = 0;
  std::int64_t skewed_since_ = 0;  // 0: no clock fault is open
  std::int64_t silent_since_ = 0;  // 0: no silence is open
};

}  // namespace anomalyd::pipeline
