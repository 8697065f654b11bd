#pragma once

#include <string>

#include "connectors/kafka/kafka_options.hpp"
#include "tools/topic_guess.hpp"

namespace anomalyd::tools {

/// Writes a configuration that reads `topic` as `guess` says, as commented YAML: each choice with
/// the evidence for it, and what a person may want to change. A secret property becomes a reference
/// to an environment variable.
[[nodiscard]] std::string config_text(const connectors::KafkaOptions& kafka,
                                      const std::string& topic, const TopicGuess& guess);

}  // namespace anomalyd::tools
