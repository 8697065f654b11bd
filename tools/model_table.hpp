#pragma once

#include <string>
#include <vector>

#include "daemon/runtime/model_registry.hpp"

namespace anomalyd::tools {

/// Every group with its versions, newest first, the champion marked by '*'.
[[nodiscard]] std::string version_table(const std::vector<runtime::ModelRegistry::Group>& groups);

/// All that is known of one version, for a person.
[[nodiscard]] std::string version_details(const runtime::ModelRegistry::Group& group,
                                          const runtime::Manifest& manifest);

/// What differs between two versions, one line per field: name, first value, second value.
[[nodiscard]] std::string version_difference(const runtime::Manifest& before,
                                             const runtime::Manifest& after);

}  // namespace anomalyd::tools
