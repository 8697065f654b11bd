#pragma once

#include <string>

#include "daemon/core/result.hpp"
#include "daemon/runtime/feedback.hpp"
#include "tools/model_place.hpp"

namespace anomalyd::tools {

/// What feedback would change, as a table: the rows of its series of the last `days` days run
/// through the champion twice, calibrated on what may be learned from without the feedback and with
/// it. Its weights stay, so this is what it remembers and how it judges, not what a retraining
/// makes of it. Reads the state folder; a daemon may be working on it.
///
/// Errors: kInvalid when incident, rows or champion are not there; those of loading and scoring.
[[nodiscard]] Result<std::string> preview_feedback(const ModelPlace& place,
                                                   const runtime::FeedbackRequest& request,
                                                   int days);

}  // namespace anomalyd::tools
