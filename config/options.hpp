#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "connectors/codec/sample_decoder.hpp"
#include "connectors/kafka/kafka_options.hpp"
#include "connectors/kafka/kafka_source.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/runtime/service_options.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::config {

/// The brokers, and how to reach them.
struct KafkaOptions {
  std::vector<std::string> brokers;  ///< host:port, at least one.
  std::string group = connectors::KafkaSource::Options{}.group;
  std::string client_id = connectors::KafkaOptions{}.client_id;
  std::map<std::string, std::string> properties;  ///< Passed to librdkafka as they are.

  /// As the clients take them.
  [[nodiscard]] connectors::KafkaOptions for_clients() const {
    std::string joined;
    for (const std::string& broker : brokers) joined += (joined.empty() ? "" : ",") + broker;
    return {joined, client_id, properties};
  }
};

/// Which records are read. How they become samples is the decoder's.
struct InputOptions {
  using Start = connectors::KafkaSource::Start;
  std::vector<std::string> topics;  ///< Names, or patterns that begin with ^.
  Start start = connectors::KafkaSource::Options{}.start;
  std::string dead_letter_topic;  ///< Empty: rejected records are only counted and logged.
  connectors::SampleDecoder::Options records;
};

struct LogOptions {
  enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
  enum class Format : std::uint8_t { kAuto, kText, kJson };
  Level level = Level::kInfo;
  Format format = Format::kAuto;  ///< kAuto: text on a terminal, JSON elsewhere.
};

/// Everything a configuration file decides: the Options of each class, side by side.
struct Options {
  KafkaOptions kafka;
  InputOptions input;
  std::string alert_topic;
  std::string audit_topic;     ///< Steps in the lives of models; empty: only the file.
  std::string feedback_topic;  ///< What people say of incidents; empty: none.
  std::string control_topic;   ///< Commands about models; empty: none.
  pipeline::PipelineOptions pipeline;
  models::TorchModelFactory::Options model;  ///< Its window follows pipeline.window.
  runtime::ServiceOptions service;
  LogOptions log;
};

/// A rule beyond the range of one option.
struct Check {
  /// The options or sections it is about; the first one given is where a problem is shown.
  std::vector<std::string> paths;
  /// Says what is wrong, or nothing.
  std::function<std::optional<std::string>(const Options&)> complaint;
};

}  // namespace anomalyd::config
