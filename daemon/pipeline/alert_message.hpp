#pragma once

#include <string>
#include <string_view>

#include "daemon/core/alert.hpp"
#include "daemon/pipeline/data_faults.hpp"

namespace anomalyd::pipeline {

/// Names an incident: 128 bits in hex that depend on series, type and start alone, so reading the
/// same input again gives the same id.
[[nodiscard]] std::string incident_id(std::string_view series, AlertType type, EventTime start);

/// 0..100, growing with rarity (up to 30, at a p-value of 1e-9), magnitude (up to 55, at 4: some
/// fifty times the usual cost) and length (up to 15, at a thousand rows).
[[nodiscard]] int severity_of(double p_value, double magnitude, int rows);

/// One sentence for a person about an anomaly: which channels, what was seen and expected, and
/// once it is over for how long. "cpu 97.3 % where 41.2 % was expected (63 % of the score)".
[[nodiscard]] std::string summary_of(const Alert& alert);

/// The message for a data fault that begins or ends, of the same form as those of anomalies.
[[nodiscard]] Alert data_fault_alert(std::string_view series, const DataFaults::Event& event,
                                     EventTime time, Offset offset);

}  // namespace anomalyd::pipeline
