#pragma once

#include <string>

#include "daemon/pipeline/gate.hpp"

namespace anomalyd::runtime {

/// A gate report as a JSON object, for `status`, manifests of models and other programs:
/// outcome, reason, versions, rows, each check with its figures (null where there is none), and the
/// faults found by type. Names and codes are stable.
[[nodiscard]] std::string gate_json(const pipeline::GateReport& report);

}  // namespace anomalyd::runtime
