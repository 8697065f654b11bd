#pragma once

#include <string>
#include <string_view>

#include "daemon/core/alert.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::connectors {

/// Writes alerts as CloudEvents 1.0 in structured JSON: the format of docs/alert.schema.json.
///
/// The text depends on the alert alone, so a replay repeats it byte for byte, and the event's id
/// (incident, state, time) is the same for a repeated message and different for any other one.
/// Numbers that are not finite become null; bytes that are not UTF-8 become U+FFFD.
class AlertEncoder {
 public:
  struct Options {
    /// The event's `source`: a URI reference naming this daemon.
    std::string source = "/anomalyd";
  };
  explicit AlertEncoder(Options options) : options_{std::move(options)} {}
  AlertEncoder() : AlertEncoder(Options{}) {}

  /// One line, without a line end.
  [[nodiscard]] std::string encode(const Alert& alert) const;

 private:
  Options options_;
};

/// The content type of an encoded alert, for the header of a record.
inline constexpr std::string_view kAlertContentType = "application/cloudevents+json; charset=UTF-8";

/// Reads what an AlertEncoder wrote; fields it does not know are ignored. Errors: kInvalid, saying
/// which field was found wrong.
[[nodiscard]] Result<Alert> parse_alert(std::string_view text);

}  // namespace anomalyd::connectors
