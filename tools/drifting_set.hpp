#pragma once

#include "tools/labelled_set.hpp"

namespace anomalyd::tools {

/// Generated machines whose ways change for good and harmlessly while they are judged, with faults
/// before and after it: what a retraining has to follow. Three groups of six machines:
///
///   steady       nothing changes
///   level_shift  some channels go to another level, from one row to the next
///   slow_drift   the same channels go there in the course of all judged rows
///
/// The same rows every time.
[[nodiscard]] LabelledSet drifting_set();

}  // namespace anomalyd::tools
