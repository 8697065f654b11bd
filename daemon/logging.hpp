#pragma once

#include "config/options.hpp"

namespace anomalyd {

/// Sets up the log on standard error: text on a terminal, one JSON object a line otherwise, unless
/// the configuration says which.
void start_logging(const config::LogOptions& options);

}  // namespace anomalyd
