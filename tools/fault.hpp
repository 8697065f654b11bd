#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::tools {

/// Something that truly went wrong in generated or labelled data: what a detector should find.
struct Fault {
  std::string kind;  ///< "spike", "level", ...; "labelled" when it comes from a data folder.
  std::string series;
  std::vector<std::string> channels;  ///< Empty when unknown.
  EventTime start;                    ///< Of the first faulty row.
  EventTime end;                      ///< Of the last one.
  bool operator==(const Fault&) const = default;
};

/// Writes one JSON line per fault: {"kind","series","channels","start","end"}, times in RFC 3339.
[[nodiscard]] Status write_faults(const std::filesystem::path& path, std::span<const Fault> faults);

/// Reads what `write_faults` wrote. Errors: kInvalid with file and line.
[[nodiscard]] Result<std::vector<Fault>> read_faults(const std::filesystem::path& path);

}  // namespace anomalyd::tools
