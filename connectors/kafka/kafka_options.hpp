#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::connectors {

/// How to reach a cluster; the same for every client.
struct KafkaOptions {
  std::string brokers{};               ///< host:port, several with commas between them.
  std::string client_id = "anomalyd";  ///< As the brokers' logs and quotas name this client.
  /// Any property of librdkafka, passed through as it is: security, tuning.
  std::map<std::string, std::string> properties{};
};

/// Returns one sentence for each property that is unknown (naming the nearest one), has a value
/// librdkafka refuses, or is one that anomalyd must set itself. Empty if all is well.
[[nodiscard]] std::vector<std::string> check_properties(
    const std::map<std::string, std::string>& properties);

/// The same for one property: kInvalid with its sentence.
[[nodiscard]] Status check_property(const std::string& name, const std::string& value);

/// True for passwords, keys and tokens: what every print shows as "***".
[[nodiscard]] bool is_secret_property(std::string_view name);

/// The version of the librdkafka in use, for example "2.0.2".
[[nodiscard]] std::string librdkafka_version();

enum class KafkaLogLevel : std::uint8_t { kError, kWarning, kInfo, kDebug };
/// Receives what clients have to say, one sentence each. Any thread.
using KafkaLogFn = std::function<void(KafkaLogLevel, std::string_view)>;

}  // namespace anomalyd::connectors
