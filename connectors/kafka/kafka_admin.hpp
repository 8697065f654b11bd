#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/kafka/kafka_options.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd::connectors {

struct KafkaTopic;

/// Looks at a cluster and makes topics. Any thread.
class KafkaAdmin {
 public:
  /// A topic to make.
  struct TopicSpec {
    std::string name{};
    int partitions = -1;                          ///< -1: as the brokers are configured.
    int replication = -1;                         ///< -1: as the brokers are configured.
    std::map<std::string, std::string> config{};  ///< For example cleanup.policy = compact.
  };
  /// The offsets of the first record and after the last one.
  struct Range {
    Offset begin = 0;
    Offset end = 0;
  };

  /// The brokers need not be there yet; `timeout` bounds each later call. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<KafkaAdmin>> connect(
      const KafkaOptions& options, KafkaLogFn log = {},
      std::chrono::milliseconds timeout = std::chrono::seconds{10});
  ~KafkaAdmin();

  // Errors of all calls: kUnavailable (no broker answers), kInvalid (refused; no such topic, and
  // then the message names the nearest one).

  /// Names of all topics, sorted, those that Kafka keeps for itself left out.
  [[nodiscard]] Result<std::vector<std::string>> topics();
  [[nodiscard]] Result<int> num_partitions(const std::string& topic);
  /// One per partition, in their order.
  [[nodiscard]] Result<std::vector<Range>> ranges(const std::string& topic);
  /// Makes the topic unless it is there; returns true if it made it.
  [[nodiscard]] Result<bool> ensure_topic(const TopicSpec& spec);

 private:
  struct Impl;
  explicit KafkaAdmin(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anomalyd::connectors
