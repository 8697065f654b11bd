#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/core/record_feed.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/runtime/audit_log.hpp"

namespace anomalyd::runtime {

/// Why a record cannot be used, for the audit log.
struct Refusal {
  std::string reason;
  std::string by;  ///< Who asked; may be empty.
};

/// A topic whose records each ask the daemon for something: feedback, commands.
///
/// Runs on   a thread of its own, `anomalyd-NAME` (cut to 15 letters); one record after the other.
/// Refused   a record that cannot be used is a line in the audit log, "NAME_refused", with its
///           place and the reason, and is not asked for again.
/// Restarts  NAME_topic.json in the state folder says where to go on.
class RequestTopic {
 public:
  /// Begins at these positions; nullopt at the first start, when there are none.
  using OpenFn =
      std::function<Result<std::unique_ptr<RecordFeed>>(std::optional<std::vector<Position>> from)>;
  /// Does what a record asks for; its thread. Errors: those of this host (the disk), after which
  /// the record is read again. Returns early, with nothing, once it is to stop.
  using ObeyFn = std::function<Result<std::optional<Refusal>>(std::string_view text,
                                                              const std::stop_token& stop)>;
  /// What a crash does to the record at hand.
  enum class AtCrash : std::uint8_t {
    kRepeated,  ///< It is read again: good where twice is as once.
    kLost,      ///< It is not: its place is on the disk before it is obeyed.
  };
  struct Outside {
    std::string name;  ///< "feedback".
    OpenFn open;
    ObeyFn obey;
    AtCrash at_crash = AtCrash::kRepeated;
    std::filesystem::path state_folder;
    AuditLog& audit;
    /// The topic cannot be read, or the disk not be written to; it is tried again. Its thread.
    std::function<void(const Error&)> on_trouble;
    std::chrono::milliseconds pause{5'000};  ///< Before it is tried again.
  };

  explicit RequestTopic(Outside outside);
  /// Waits for the record at hand.
  ~RequestTopic();

 private:
  using Positions = std::map<PartitionId, Offset>;

  void run(const std::stop_token& stop);
  [[nodiscard]] Status read(const std::stop_token& stop);
  [[nodiscard]] Status take(const Record& record, Positions& positions,
                            const std::stop_token& stop) const;
  [[nodiscard]] Result<std::optional<std::vector<Position>>> load() const;
  [[nodiscard]] Status save(const Positions& positions) const;

  const Outside outside_;
  const std::filesystem::path place_;  // of the positions
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

}  // namespace anomalyd::runtime
