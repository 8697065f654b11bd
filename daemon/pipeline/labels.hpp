#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::pipeline {

/// What a person says of a stretch of time: "benign: backup", "fault: pump", or "normal".
struct Label {
  std::string series;  ///< Empty: all series.
  EventTime start;     ///< Of its first row.
  EventTime end;       ///< Of its last row.
  std::string name;
};

/// The classes that labels name, "normal" first and the others in alphabetical order; none without
/// labels.
[[nodiscard]] std::vector<std::string> classes_of(std::span<const Label> labels);

/// The class of each row of a series, an index into `classes` or -1: the last label that covers it.
[[nodiscard]] std::vector<std::int16_t> label_rows(std::span<const Label> labels,
                                                   const std::vector<std::string>& classes,
                                                   const std::string& series,
                                                   std::span<const std::int64_t> times);

}  // namespace anomalyd::pipeline
