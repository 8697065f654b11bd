#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/labels.hpp"

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
  /// Nothing where there is no file. Errors: kInvalid when it cannot be read.
  [[nodiscard]] Result<Contents> read() const;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// As labels of the rows: "benign: backup", "fault: pump".
[[nodiscard]] std::vector<pipeline::Label> labels_of(const std::vector<Feedback>& feedback);

}  // namespace anomalyd::runtime
