#include "connectors/file/stream_alert_sink.hpp"

#include <ostream>

namespace anomalyd::connectors {

void StreamAlertSink::send(Alert alert, std::function<void(Status)> done) {
  done(write(encoder_.encode(alert) + '\n'));
}

Status StreamAlertSink::write(const std::string& line) {
  const std::lock_guard lock{mutex_};
  if (out_ << line << std::flush) return {};
  return fail(ErrorKind::kExhausted, "alert output: a line could not be written; expected room");
}

Status StreamAlertSink::flush(std::chrono::milliseconds) { return write(""); }

}  // namespace anomalyd::connectors
