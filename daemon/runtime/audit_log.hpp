#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::runtime {

/// One step in the life of a model: what an operator will ask for afterwards.
struct AuditEvent {
  /// What happened: "added", "promoted", "rolled_back", "pinned", "unpinned", "deleted",
  /// "migrated", "fell_back", "imported", "refused", "repaired", "control_refused".
  std::string event;
  std::string group;    ///< Group key; may be empty.
  std::string version;  ///< May be empty.
  std::string reason;   ///< A sentence or a few words.
  std::string by;       ///< "anomalyd", or who asked.
  std::string details;  ///< A JSON object with more, or empty.
};

/// The event as a JSON object on one line, without its end.
[[nodiscard]] std::string to_line(const AuditEvent& event, EventTime time);

/// An append-only file with one JSON object per line, each on the disk before append() returns.
///
/// A line that a crash tore is completed or cut off when the file is opened, and a line says so.
///
/// Threads  any.
class AuditLog {
 public:
  /// Gets every line that is appended, without its end; for a topic. On the thread of append().
  using Sink = std::function<void(const AuditEvent&, std::string_view line)>;

  /// Errors: kInvalid, kExhausted.
  [[nodiscard]] static Result<std::unique_ptr<AuditLog>> open(std::filesystem::path path,
                                                              Clock& clock, Sink sink = {});
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  /// The sink gets the line also when the disk does not. Errors: kInvalid, kExhausted; the file
  /// is then as it was.
  [[nodiscard]] Status append(const AuditEvent& event);

 private:
  AuditLog(int file, std::filesystem::path path, Clock& clock, Sink sink);
  [[nodiscard]] Status repair();
  [[nodiscard]] Status write(std::string line);

  const int file_;
  const std::filesystem::path path_;
  Clock& clock_;
  const Sink sink_;
  std::mutex mutex_;  // one line after the other
};

}  // namespace anomalyd::runtime
