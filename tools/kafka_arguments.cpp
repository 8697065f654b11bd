#include "tools/kafka_arguments.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "config/problem.hpp"

namespace anomalyd::tools {

void KafkaArguments::add_to(CLI::App& command) {
  command.add_option("--brokers", brokers, "host:port of the brokers, several with commas")
      ->envname("ANOMALYD_BROKERS");
  command.add_option("--property", properties, "A property of librdkafka: name=value")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_option("-c,--config", config_file, "Take what is not given from this configuration")
      ->check(CLI::ExistingFile);
}

Result<connectors::KafkaOptions> KafkaArguments::options() const {
  connectors::KafkaOptions kafka;
  if (!config_file.empty()) {
    const config::Loaded loaded = load_config(config_file);
    if (!check_and_report(loaded)) {
      return fail(ErrorKind::kInvalid, config_file + " has problems; expected a valid one");
    }
    kafka = loaded.options.kafka.for_clients();
  }
  if (!brokers.empty()) kafka.brokers = brokers;
  kafka.client_id = "anomalyctl";
  for (const std::string& property : properties) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorKind::kInvalid, fmt::format("--property {}: expected NAME=VALUE", property));
    }
    kafka.properties[property.substr(0, equals)] = property.substr(equals + 1);
  }
  if (kafka.brokers.empty()) {
    return fail(ErrorKind::kInvalid, "no brokers; expected --brokers host:port or --config FILE");
  }
  return kafka;
}

bool check_and_report(const config::Loaded& loaded) {
  if (loaded.problems.empty()) return true;
  const config::Headline headline{.program = "anomalyctl", .consequence = "nothing was done"};
  fmt::print(stderr, "{}", config::format_problems(loaded.problems, loaded.file, headline));
  return false;
}

config::Loaded load_config(const std::filesystem::path& path) {
  config::Context context;
  context.kafka_property = connectors::check_property;
  return config::load_file(path, context);
}

}  // namespace anomalyd::tools
