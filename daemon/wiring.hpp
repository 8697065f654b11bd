#pragma once

#include <memory>

#include "config/options.hpp"
#include "daemon/core/result.hpp"
#include "daemon/runtime/service.hpp"

namespace anomalyd {

/// Builds the daemon from its configuration: the one place that names concrete classes.
///
/// Creates the alert and dead-letter topics when they are missing. Errors carry what was being attempted:
/// "connecting to the alert topic: ...".
[[nodiscard]] Result<std::unique_ptr<runtime::Service>> build_service(config::Options options,
                                                                      Clock& clock);

}  // namespace anomalyd
