#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "daemon/core/record_feed.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/runtime/audit_log.hpp"

namespace anomalyd::runtime {

/// Takes feedback from a topic: records as parse_feedback_request reads them.
///
/// Runs on   a thread of its own, `anomalyd-feedbk`.
/// Bad ones  a record that cannot be read, or is about an incident that is unknown here, is a line
///           in the audit log, "feedback_refused", and is not asked for again.
/// Restarts  feedback_topic.json in the state folder says where to go on; a crash repeats records,
///           which changes nothing.
class FeedbackTopic {
 public:
  using OpenFn = std::function<Result<std::unique_ptr<RecordFeed>>(std::vector<Position> from)>;
  struct Outside {
    OpenFn open;
    std::filesystem::path state_folder;
    AuditLog& audit;
    Clock& clock;
    /// The topic cannot be read, or the disk not be written to; it is tried again. Its thread.
    std::function<void(const Error&)> on_trouble;
    std::chrono::milliseconds pause{5'000};  ///< Before it is tried again.
  };

  explicit FeedbackTopic(Outside outside);
  /// Waits for the record at hand.
  ~FeedbackTopic();

 private:
  void run(const std::stop_token& stop);
  [[nodiscard]] Status read(const std::stop_token& stop);
  [[nodiscard]] Status take(const Record& record) const;
  [[nodiscard]] Result<std::vector<Position>> load() const;
  [[nodiscard]] Status save(const std::vector<Position>& positions) const;

  const Outside outside_;
  const std::filesystem::path place_;  // of the positions
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

}  // namespace anomalyd::runtime
