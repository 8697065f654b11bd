#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "connectors/kafka/kafka_options.hpp"
#include "daemon/core/result.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// How a command reaches the brokers: from its own options, else from a configuration file.
struct KafkaArguments {
  std::string brokers;
  std::vector<std::string> properties;  ///< name=value
  std::string config_file;

  /// Adds --brokers (or $ANOMALYD_BROKERS), --property and --config.
  void add_to(CLI::App& command);
  /// Errors: kInvalid when neither names a broker, or the file has problems.
  [[nodiscard]] Result<connectors::KafkaOptions> options() const;
};

/// Prints every problem of a configuration file, as the daemon does, to stderr. True if it is fit.
[[nodiscard]] bool check_and_report(const config::Loaded& loaded);

/// Reads a configuration file and checks all that another host than the daemon's can check.
[[nodiscard]] config::Loaded load_config(const std::filesystem::path& path);

}  // namespace anomalyd::tools
