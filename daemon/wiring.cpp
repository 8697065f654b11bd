#include "daemon/wiring.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "config/describe.hpp"
#include "connectors/codec/sample_decoder.hpp"
#include "connectors/kafka/kafka_admin.hpp"
#include "connectors/kafka/kafka_feed.hpp"
#include "connectors/kafka/kafka_sinks.hpp"
#include "connectors/kafka/kafka_source.hpp"
#include "models/plan.hpp"
#include "models/torch_models.hpp"

namespace anomalyd {
namespace {

void log_kafka(connectors::KafkaLogLevel level, std::string_view sentence) {
  switch (level) {
    case connectors::KafkaLogLevel::kError: return spdlog::error("kafka: {}", sentence);
    case connectors::KafkaLogLevel::kWarning: return spdlog::warn("kafka: {}", sentence);
    case connectors::KafkaLogLevel::kInfo: return spdlog::info("kafka: {}", sentence);
    case connectors::KafkaLogLevel::kDebug: return spdlog::debug("kafka: {}", sentence);
  }
}

/// Makes a topic that is written to, when it is missing.
Status prepare_topic(connectors::KafkaAdmin& admin,
                     const connectors::KafkaAdmin::TopicSpec& topic) {
  auto made = admin.ensure_topic(topic);
  if (!made) return fail(std::move(made.error()), "making the topic " + topic.name);
  if (*made) spdlog::info("made the topic {}", topic.name);
  return {};
}

/// The alert topic is compacted: the newest message of an incident replaces the ones before.
Status prepare_topics(const connectors::KafkaOptions& kafka, const std::string& alerts,
                      const std::vector<std::string>& others) {
  auto admin = connectors::KafkaAdmin::connect(kafka, log_kafka);
  if (!admin) return Failure{std::move(admin.error())};
  auto prepared = prepare_topic(**admin, {alerts, -1, -1, {{"cleanup.policy", "compact"}}});
  for (const std::string& topic : others) {
    if (prepared && !topic.empty()) prepared = prepare_topic(**admin, {topic, -1, -1, {}});
  }
  return prepared;
}

/// The record headers that series ids are made of: "header:region" names one.
std::vector<std::string> headers_in(const std::vector<std::string>& series_from) {
  constexpr std::string_view kPrefix = "header:";
  std::vector<std::string> headers;
  for (const std::string& part : series_from) {
    if (part.starts_with(kPrefix)) headers.push_back(part.substr(kPrefix.size()));
  }
  return headers;
}

/// How a topic of requests is opened; empty without one.
runtime::RequestTopic::OpenFn feed(const connectors::KafkaOptions& kafka, const std::string& topic,
                                   connectors::KafkaFeed::Start start) {
  if (topic.empty()) return {};
  return [kafka, topic, start](std::optional<std::vector<Position>> from) {
    return connectors::KafkaFeed::open(kafka, topic, start, std::move(from), log_kafka);
  };
}

/// At the start there are no labels: they come with `anomalyctl train`, or with feedback later.
std::optional<std::string> complaint_of_labels(const config::Options& options) {
  if (!models::needs_labels(options.model.kind) || !options.service.checkpoint.empty()) return {};
  return "'" + options.model.kind +
         "' learns from labels, which there are none of at the start; expected model.checkpoint to "
         "name "
         "what `anomalyctl train --train-labels` wrote";
}

template <typename T>
std::optional<std::string> complaint_of(const Result<T>& made) {
  if (made) return std::nullopt;
  return made.error().message;
}

}  // namespace

config::Context context_of_parts() {
  config::Context context;
  context.kafka_property = connectors::check_property;
  context.checks = {{{"input"},
                     [](const config::Options& options) {
                       return complaint_of(connectors::SampleDecoder::create(options.input.records,
                                                                             system_clock()));
                     }},
                    {{"model.kind"}, complaint_of_labels},
                    {{"model"}, [](const config::Options& options) {
                       return complaint_of(models::TorchModelFactory::create(options.model));
                     }}};
  return context;
}

runtime::ModelOrigin origin_of(const config::Options& options) {
  return {config::effective_json(options, {"input.channels", "window", "training", "model"}),
          options.model.seed};
}

void adapt_to_records(config::Options& options) {
  if (connectors::SampleDecoder::gives_partial_rows(options.input.records)) {
    options.pipeline.window.shape = pipeline::Windower::RowShape::kPartial;
  }
}

Result<std::unique_ptr<runtime::Service>> build_service(config::Options options, Clock& clock) {
  const connectors::KafkaOptions kafka = options.kafka.for_clients();
  runtime::Service::Parts parts;

  auto decoder = connectors::SampleDecoder::create(options.input.records, clock);
  if (!decoder) return fail(std::move(decoder.error()), "reading the input options");
  parts.decoder = std::move(*decoder);

  auto models = models::TorchModelFactory::create(options.model);
  if (!models) return fail(std::move(models.error()), "setting up the models");
  parts.models = std::move(*models);

  auto lock = runtime::StateLock::acquire(options.service.state_dir, "anomalyd");
  if (!lock) return fail(std::move(lock.error()), "opening the state folder");
  parts.lock = *std::move(lock);

  connectors::KafkaSource::Options source{};
  source.kafka = kafka;
  source.topics = options.input.topics;
  source.group = options.kafka.group;
  source.start = options.input.start == config::InputOptions::Start::kLatest
                     ? connectors::KafkaSource::Start::kLatest
                     : connectors::KafkaSource::Start::kEarliest;
  source.headers = headers_in(options.input.records.series.from);
  auto connected = connectors::KafkaSource::connect(std::move(source), log_kafka);
  if (!connected) return fail(std::move(connected.error()), "connecting to the input topics");
  parts.source = std::move(*connected);

  auto alerts = connectors::KafkaAlertSink::connect({kafka, options.alert_topic, {}}, log_kafka);
  if (!alerts) return fail(std::move(alerts.error()), "connecting to the alert topic");
  parts.alerts = std::move(*alerts);
  parts.prepare = [kafka, alerts = options.alert_topic,
                   others = std::vector{options.input.dead_letter_topic, options.audit_topic,
                                        options.feedback_topic, options.control_topic}] {
    return prepare_topics(kafka, alerts, others);
  };
  // A daemon that is new learns what was said before it came, and does not do what was asked for.
  parts.open_feedback =
      feed(kafka, options.feedback_topic, connectors::KafkaFeed::Start::kBeginning);
  parts.open_control = feed(kafka, options.control_topic, connectors::KafkaFeed::Start::kEnd);

  if (!options.input.dead_letter_topic.empty()) {
    auto dead = connectors::KafkaDeadLetterSink::connect({kafka, options.input.dead_letter_topic},
                                                         log_kafka);
    if (!dead) return fail(std::move(dead.error()), "connecting to the dead-letter topic");
    parts.dead_letters = std::move(*dead);
  }

  if (!options.audit_topic.empty()) {
    auto audit = connectors::KafkaAuditSink::connect({kafka, options.audit_topic}, log_kafka);
    if (!audit) return fail(std::move(audit.error()), "connecting to the audit topic");
    parts.audit = std::move(*audit);
  }

  options.service.origin = origin_of(options);
  adapt_to_records(options);
  return runtime::Service::create(std::move(options.service), options.pipeline, std::move(parts),
                                  clock);
}

}  // namespace anomalyd
