#pragma once

#include <memory>

#include "config/load.hpp"
#include "daemon/core/result.hpp"
#include "daemon/runtime/service.hpp"

namespace anomalyd {

/// Loading a configuration with this finds what only the parts themselves can tell: that
/// librdkafka takes a property, that a device is there, that a JSON pointer is well formed.
[[nodiscard]] config::Context context_of_parts();

/// What the manifests of models that are trained with these options say of them.
[[nodiscard]] runtime::ModelOrigin origin_of(const config::Options& options);

/// Has rows put together from several records where the configured ones carry a part of one each.
void adapt_to_records(config::Options& options);

/// Builds the daemon from its configuration: the one place that names concrete classes.
///
/// Creates the alert and dead-letter topics when they are missing. Errors carry what was being
/// attempted: "connecting to the alert topic: ...".
[[nodiscard]] Result<std::unique_ptr<runtime::Service>> build_service(config::Options options,
                                                                      Clock& clock);

}  // namespace anomalyd
