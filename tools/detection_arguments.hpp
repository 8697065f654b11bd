#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/options.hpp"
#include "daemon/core/result.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// How rows are detected in, as the daemon would be configured.
struct DetectionArguments {
  std::string config_file;
  std::string model;
  std::optional<models::Effort> effort;
  std::optional<std::uint64_t> seed;
  std::string device;
  std::string train_labels;

  /// Adds --config, --model, --effort, --seed, --device and --train-labels.
  void add_to(CLI::App& command);
  /// The options of the file, or every default without one. Errors: kInvalid.
  [[nodiscard]] Result<config::Options> options() const;
};

}  // namespace anomalyd::tools
