#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::config {

/// The effective configuration as YAML that loads again, each value with its origin as a comment.
/// Secrets are masked.
[[nodiscard]] std::string print(const Loaded& loaded);

/// The effective values of the options in these sections as one JSON object: {"window.length": 64}.
/// Numbers, flags and texts are what they are; anything else is in the words of YAML.
[[nodiscard]] std::string effective_json(const Options& options,
                                         const std::vector<std::string_view>& sections);

/// `base` with the values that effective_json wrote, which may come from an older program. Errors:
/// kIncompatible for an option that is unknown or whose value cannot be read; both are named.
[[nodiscard]] Result<Options> with_effective(Options base, std::string_view json);

/// Every option of a section ("window", "input.series"), or a single option, for a terminal. With
/// an empty name: all sections. Errors: kInvalid for an unknown name, with the nearest one.
[[nodiscard]] Result<std::string> explain(std::string_view name);

/// The reference page, docs/configuration.md.
[[nodiscard]] std::string reference_markdown();

}  // namespace anomalyd::config
