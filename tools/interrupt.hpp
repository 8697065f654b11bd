#pragma once

#include <atomic>

namespace anomalyd::tools {

/// Becomes true at the first SIGINT or SIGTERM, for work that ends in an orderly way. A second
/// signal ends the program at once. The first call installs the handler.
[[nodiscard]] const std::atomic<bool>& interrupted();

}  // namespace anomalyd::tools
