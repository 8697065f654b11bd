#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd::tools {

/// Reads this host's own metrics from /proc: cpu, memory, disk and network.
///
/// Counters of the kernel become rates between two calls, so the first row has them missing. A
/// file that is not there (containers hide some) leaves its columns missing.
class HostMetrics {
 public:
  /// `proc` is where /proc is mounted.
  explicit HostMetrics(std::filesystem::path proc = "/proc") : proc_{std::move(proc)} {}

  [[nodiscard]] static const std::vector<Channel>& channels();
  /// The name of this host: the series its rows belong to.
  [[nodiscard]] std::string host_name() const;

  /// One row, one value per channel; NaN where missing. `now` must grow from call to call.
  [[nodiscard]] std::vector<double> sample(EventTime now);

 private:
  /// Kernel counters, all ever growing.
  struct Counters {
    std::array<double, 8> cpu{};  // user nice system idle iowait irq softirq steal, in ticks
    double switches = 0;
    double disk_read = 0;  // bytes
    double disk_written = 0;
    double net_received = 0;
    double net_sent = 0;
  };
  [[nodiscard]] Counters read_counters() const;

  std::filesystem::path proc_;
  std::optional<Counters> last_;
  EventTime last_time_{};
};

}  // namespace anomalyd::tools
