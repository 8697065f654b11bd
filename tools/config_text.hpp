#pragma once

#include <string>

#include "tools/topic_guess.hpp"

namespace anomalyd::tools {

/// Writes a configuration that reads `topic` as `guess` says, as commented YAML: each choice with
/// the evidence for it, and what a person may want to change.
[[nodiscard]] std::string config_text(const std::string& brokers, const std::string& topic,
                                      const TopicGuess& guess);

}  // namespace anomalyd::tools
