#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/runtime/learner.hpp"
#include "daemon/runtime/partition_task.hpp"
#include "daemon/runtime/poll_loop.hpp"
#include "daemon/runtime/retrainer.hpp"
#include "daemon/runtime/self_tester.hpp"

namespace anomalyd::runtime {

/// What the daemon is doing, gathered once a second; /status, /metrics and systemd show it.
struct ServiceStatus {
  enum class Phase : std::uint8_t {
    kStarting,  ///< No partition is assigned yet.
    kWarming,   ///< Series collect their first rows.
    kTraining,  ///< A first model is being trained.
    kReady,     ///< At least one series is judged.
    kDraining,  ///< Shutting down.
  };
  Phase phase = Phase::kStarting;
  double uptime_seconds = 0;
  std::vector<PartitionTask::Status> partitions;
  PollLoop::Figures input;
  double samples_per_second = 0;   ///< Over the last second.
  std::size_t queued_windows = 0;  ///< Waiting for the device.
  Learner::Progress training;
  Retrainer::Progress retraining;
  SelfTester::Progress self_test;
  std::vector<ModelInfo> models;
  std::string budget;          ///< As configured: "1 per series per week".
  std::string broker_trouble;  ///< Empty when all is well.
  std::string device_trouble;  ///< Empty unless models had to leave their device.
  std::string last_error;
  bool progressing = true;  ///< The threads have moved lately: what the watchdog asks.

  /// Sums over all partitions.
  [[nodiscard]] pipeline::PipelineCounters counters() const;
  [[nodiscard]] pipeline::Readiness readiness() const;
  [[nodiscard]] std::size_t num_series() const;
  [[nodiscard]] std::int64_t lag() const;
  /// Incidents opened per series and week of event time judged: what the budget became.
  [[nodiscard]] double incidents_per_series_week() const;
  /// Every partition was read to its end, and nothing that was read waits for a verdict.
  [[nodiscard]] bool idle() const;
  /// From the first record read to the last one finished.
  [[nodiscard]] double busy_seconds() const;
  /// One line for people and systemd: "READY 12 series, 3 warming; lag 0; 1250 samples/s".
  [[nodiscard]] std::string line() const;
  /// The /status document.
  [[nodiscard]] std::string json() const;
};

[[nodiscard]] std::string_view to_string(ServiceStatus::Phase phase);

}  // namespace anomalyd::runtime
