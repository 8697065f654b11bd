#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::runtime {

/// What is remembered of an incident that was alerted about.
struct KnownIncident {
  std::string id;
  std::string series;
  EventTime start;
  EventTime end;  ///< Of the newest row that was alerted about.
  bool open = false;
  int severity = 0;
  std::string model_version;
};

/// The incidents of a state folder, so that people can speak of them by their ids: the file
/// incidents.ndjson, a line for each alert. The last line of an incident holds.
///
/// Bounded   the file is written anew with the newest 20 000 incidents when it is beyond 16 MiB.
/// Threads   one writes, any reads; processes too.
class IncidentLog {
 public:
  explicit IncidentLog(const std::filesystem::path& state_folder)
      : path_{state_folder / "incidents.ndjson"} {}

  /// Errors: kExhausted when the disk is full, kInvalid for other trouble with the file.
  [[nodiscard]] Status add(const Alert& alert) const;
  /// In order of their last alerts; lines that cannot be read are left out. Errors: kInvalid when
  /// the file cannot be read.
  [[nodiscard]] Result<std::vector<KnownIncident>> read() const;
  /// The one whose id is or begins with `id`. Errors: kInvalid where there is none, or several.
  [[nodiscard]] Result<KnownIncident> find(const std::string& id) const;

 private:
  std::filesystem::path path_;
};

}  // namespace anomalyd::runtime
