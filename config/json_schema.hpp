#pragma once

#include <string>

namespace anomalyd::config {

/// A JSON Schema (draft 2020-12) with which editors check and complete configuration files.
[[nodiscard]] std::string json_schema();

}  // namespace anomalyd::config
