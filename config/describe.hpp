#pragma once

#include <string>
#include <string_view>

#include "config/load.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::config {

/// The effective configuration as YAML that loads again, each value with its origin as a comment.
/// Secrets are masked.
[[nodiscard]] std::string print(const Loaded& loaded);

/// Every option of a section ("window", "input.series"), or a single option, for a terminal. With
/// an empty name: all sections. Errors: kInvalid for an unknown name, with the nearest one.
[[nodiscard]] Result<std::string> explain(std::string_view name);

/// The reference page, docs/configuration.md.
[[nodiscard]] std::string reference_markdown();

}  // namespace anomalyd::config
