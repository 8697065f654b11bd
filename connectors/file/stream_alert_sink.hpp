#pragma once

#include <iosfwd>
#include <mutex>

#include "connectors/codec/alert_encoder.hpp"
#include "daemon/core/ports.hpp"

namespace anomalyd::connectors {

/// Writes each alert as one line of JSON, at once. Any thread.
class StreamAlertSink final : public AlertSink {
 public:
  /// `out` must outlive the sink.
  explicit StreamAlertSink(std::ostream& out, AlertEncoder encoder = {})
      : out_{out}, encoder_{std::move(encoder)} {}

  /// `done` runs before this returns; it gets kExhausted if the stream takes no more.
  void send(Alert alert, std::function<void(Status)> done) override;
  [[nodiscard]] Status flush(std::chrono::milliseconds) override;

 private:
  [[nodiscard]] Status write(const std::string& line);

  std::mutex mutex_;   // partitions send from their own threads
  std::ostream& out_;  // guarded by mutex_
  AlertEncoder encoder_;
};

}  // namespace anomalyd::connectors
