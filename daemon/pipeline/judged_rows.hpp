#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/pipeline/learning.hpp"

namespace anomalyd::pipeline {

/// What was thought of a row when it was judged: it decides whether it may be learned from.
enum class RowMark : std::uint8_t {
  kNormal,
  kUnready,    ///< Its series was not ready: no full window, or judged with a group's calibration.
  kDataFault,  ///< Too much was missing, or the data looked broken.
  /// Rare and large, or nearly so, without an incident; or on a level that was one at first.
  kSuspicious,
  kIncident,  ///< An incident was open.
};

/// Successive rows of one series and what was thought of each.
struct JudgedRows {
  std::vector<Channel> channels;  ///< Of its model group, in the order of the columns.
  History history;                ///< [rows x channels], raw; NaN where missing.
  std::vector<RowMark> marks;     ///< One per row.
};

}  // namespace anomalyd::pipeline
