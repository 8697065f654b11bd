#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/labels.hpp"
#include "daemon/runtime/audit_log.hpp"
#include "daemon/runtime/request_topic.hpp"

namespace anomalyd::runtime {

/// What a person has said of an incident.
struct Feedback {
  enum class Verdict : std::uint8_t { kBenign, kFault };
  EventTime time;        ///< When it was said.
  std::string incident;  ///< Its id; never empty.
  std::string series;
  EventTime start;  ///< Of its first row.
  EventTime end;    ///< Of its last row.
  Verdict verdict = Verdict::kBenign;
  std::string name;  ///< What it was: "backup", "pump". Never empty.
};

/// The feedback of a state folder: the file feedback.ndjson, one JSON object a line, appended to:
///
///   {"time":"2026-11-20T22:15:04Z","incident":"7c1f...","series":"m0","start":"...","end":"...",
///    "verdict":"benign","name":"backup"}
///
/// A later line on the same incident replaces the earlier ones. A last line that was not written to
/// its end is not there: the next one begins on a line of its own.
///
/// Threads  any; processes too, for a line is written at once.
class FeedbackStore {
 public:
  explicit FeedbackStore(const std::filesystem::path& state_folder)
      : path_{state_folder / "feedback.ndjson"} {}

  /// Writes one line and waits for the disk. Errors: kExhausted when it is full, kInvalid for other
  /// trouble with the file, or where the incident or the name is empty or it ends before it starts.
  [[nodiscard]] Status add(const Feedback& feedback) const;

  struct Contents {
    std::vector<Feedback> feedback;  ///< The last of each incident, in the order of these lines.
    std::vector<Error> ignored;      ///< Lines that cannot be read, with their numbers.
  };
  /// What had been said until then. Nothing where there is no file. Errors: kInvalid when it cannot
  /// be read.
  [[nodiscard]] Result<Contents> read(EventTime until = EventTime::max()) const;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// One as a line of the file, without its end.
[[nodiscard]] std::string to_json(const Feedback& feedback);
/// Reads that. Errors: kInvalid, with the field that is wrong.
[[nodiscard]] Result<Feedback> parse_feedback(std::string_view text);

/// What a person says of an incident, on its way to the store.
struct FeedbackRequest {
  std::string incident;  ///< Id, or its beginning.
  Feedback::Verdict verdict = Feedback::Verdict::kBenign;
  std::string name;  ///< May be empty.
  std::string by;    ///< Who says it; nobody checks that.
};
/// As a command over HTTP and a record of the feedback topic have it:
/// {"incident":"7c1f","verdict":"benign","name":"backup","by":"anna"}.
[[nodiscard]] std::string to_json(const FeedbackRequest& request);
/// Reads that. Errors: kInvalid, with the field that is wrong.
[[nodiscard]] Result<FeedbackRequest> parse_feedback_request(std::string_view text);
/// Errors: kInvalid for anything but "benign" and "fault".
[[nodiscard]] Result<Feedback::Verdict> parse_verdict(std::string_view text);

/// The feedback that a request is, on an incident of the state folder. Errors: kInvalid for one
/// that is unknown (see IncidentLog).
[[nodiscard]] Result<Feedback> feedback_of(const FeedbackRequest& request,
                                           const std::filesystem::path& state_folder,
                                           EventTime now);
/// Keeps it and writes a line in the audit log. Errors: as FeedbackStore::add.
[[nodiscard]] Status give_feedback(const Feedback& feedback, const std::string& by,
                                   const std::filesystem::path& state_folder, AuditLog& audit);

/// Both, for the records of the feedback topic. Twice is as once.
[[nodiscard]] RequestTopic::ObeyFn obey_feedback(std::filesystem::path state_folder,
                                                 AuditLog& audit, Clock& clock);

/// As labels of the rows: "benign: backup", "fault: pump".
[[nodiscard]] std::vector<pipeline::Label> labels_of(const std::vector<Feedback>& feedback);
[[nodiscard]] std::string class_of(const Feedback& feedback);

}  // namespace anomalyd::runtime
