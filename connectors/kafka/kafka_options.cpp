#include "connectors/kafka/kafka_options.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>

#include "connectors/kafka/kafka_client.hpp"

namespace anomalyd::connectors {
namespace {

// Delivery guarantees rest on these.
constexpr std::array<std::string_view, 8> kOwn{
    "bootstrap.servers",  "metadata.broker.list",     "client.id",          "group.id",
    "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "enable.partition.eof"};

std::vector<std::string> known_properties() {
  std::vector<std::string> names;
  const RdKafkaConf conf{rd_kafka_conf_new()};
  std::size_t count = 0;
  const char** dump = rd_kafka_conf_dump(conf.get(), &count);
  for (std::size_t i = 0; i + 1 < count; i += 2) names.emplace_back(dump[i]);
  rd_kafka_conf_dump_free(dump, count);
  return names;
}

}  // namespace

std::vector<std::string> check_properties(const std::map<std::string, std::string>& properties) {
  std::vector<std::string> problems;
  const RdKafkaConf conf{rd_kafka_conf_new()};
  for (const auto& [name, value] : properties) {
    if (std::ranges::find(kOwn, name) != kOwn.end()) {
      problems.push_back(fmt::format(
          "kafka.properties.{}: found a property that anomalyd sets itself; expected another",
          name));
      continue;
    }
    std::array<char, 512> reason{};
    switch (
        rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), reason.data(), reason.size())) {
      case RD_KAFKA_CONF_OK: break;
      case RD_KAFKA_CONF_INVALID:
        problems.push_back(is_secret_property(name)
                               ? fmt::format("kafka.properties.{}: found a value that librdkafka "
                                             "refuses; expected a valid one",
                                             name)
                               : fmt::format("kafka.properties.{}: found '{}'; expected a valid "
                                             "value ({})",
                                             name, value, reason.data()));
        break;
      case RD_KAFKA_CONF_UNKNOWN: {
        const auto nearest = nearest_name(name, known_properties());
        problems.push_back(
            fmt::format("kafka.properties.{}: unknown property; expected one of librdkafka {}{}",
                        name, librdkafka_version(),
                        nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest)));
        break;
      }
    }
  }
  return problems;
}

Status check_property(const std::string& name, const std::string& value) {
  const auto problems = check_properties({{name, value}});
  if (problems.empty()) return {};
  return fail(ErrorKind::kInvalid, problems.front());
}

bool is_secret_property(std::string_view name) {
  constexpr std::array<std::string_view, 7> kSecret{"sasl.password",
                                                    "ssl.key.password",
                                                    "ssl.key.pem",
                                                    "ssl.keystore.password",
                                                    "sasl.oauthbearer.config",
                                                    "sasl.oauthbearer.client.secret",
                                                    "ssl_key"};
  return std::ranges::find(kSecret, name) != kSecret.end() ||
         name.find("password") != std::string_view::npos ||
         name.find("secret") != std::string_view::npos;
}

std::string librdkafka_version() { return rd_kafka_version_str(); }

}  // namespace anomalyd::connectors
