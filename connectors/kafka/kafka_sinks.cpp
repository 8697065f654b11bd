#include "connectors/kafka/kafka_sinks.hpp"

#include <array>

namespace anomalyd::connectors {

Result<std::unique_ptr<KafkaAlertSink>> KafkaAlertSink::connect(Options options, KafkaLogFn log) {
  auto producer =
      KafkaProducer::connect({.kafka = options.kafka, .topics = {options.topic}}, std::move(log));
  if (!producer) return Failure{std::move(producer.error())};
  return std::unique_ptr<KafkaAlertSink>{
      new KafkaAlertSink{std::move(options), std::move(*producer)}};
}

KafkaAlertSink::KafkaAlertSink(Options options, std::unique_ptr<KafkaProducer> producer)
    : topic_{std::move(options.topic)},
      encoder_{std::move(options.encoder)},
      producer_{std::move(producer)} {}

void KafkaAlertSink::send(Alert alert, std::function<void(Status)> done) {
  const std::string text = encoder_.encode(alert);
  const std::array headers{Header{"content-type", kAlertContentType}};
  const auto sent = producer_->send(
      {.topic = topic_, .key = alert.id, .value = text, .timestamp = {}, .headers = headers}, done);
  if (!sent) done(sent);
}

Status KafkaAlertSink::flush(std::chrono::milliseconds timeout) {
  return producer_->flush(timeout);
}

Result<std::unique_ptr<KafkaDeadLetterSink>> KafkaDeadLetterSink::connect(Options options,
                                                                          KafkaLogFn log) {
  auto producer = KafkaProducer::connect({.kafka = options.kafka,
                                          .queue_messages = 10'000,
                                          .queue_kbytes = 16'384,
                                          .topics = {options.topic},
                                          .give_up_after = options.give_up_after},
                                         std::move(log));
  if (!producer) return Failure{std::move(producer.error())};
  return std::unique_ptr<KafkaDeadLetterSink>{
      new KafkaDeadLetterSink{std::move(options.topic), std::move(*producer)}};
}

KafkaDeadLetterSink::KafkaDeadLetterSink(std::string topic, std::unique_ptr<KafkaProducer> producer)
    : topic_{std::move(topic)}, producer_{std::move(producer)} {}

void KafkaDeadLetterSink::send(const Record& record, const Rejected& why) {
  const std::string partition = std::to_string(record.partition);
  const std::string offset = std::to_string(record.offset);
  const std::array headers{Header{"reason", to_string(why.reason)}, Header{"detail", why.detail},
                           Header{"topic", record.topic}, Header{"partition", partition},
                           Header{"offset", offset}};
  const auto sent = producer_->send({.topic = topic_,
                                     .key = record.key,
                                     .value = record.value,
                                     .timestamp = record.timestamp,
                                     .headers = headers},
                                    {}, KafkaProducer::WhenFull::kRefuse);
  if (!sent) ++num_refused_;
}

Status KafkaDeadLetterSink::flush(std::chrono::milliseconds timeout) {
  return producer_->flush(timeout);
}

Result<std::unique_ptr<KafkaAuditSink>> KafkaAuditSink::connect(Options options, KafkaLogFn log) {
  auto producer = KafkaProducer::connect({.kafka = options.kafka,
                                          .queue_messages = 10'000,
                                          .queue_kbytes = 16'384,
                                          .topics = {options.topic}},
                                         std::move(log));
  if (!producer) return Failure{std::move(producer.error())};
  return std::unique_ptr<KafkaAuditSink>{
      new KafkaAuditSink{std::move(options.topic), std::move(*producer)}};
}

KafkaAuditSink::KafkaAuditSink(std::string topic, std::unique_ptr<KafkaProducer> producer)
    : topic_{std::move(topic)}, producer_{std::move(producer)} {}

KafkaAuditSink::~KafkaAuditSink() { (void)producer_->flush(std::chrono::seconds{1}); }

void KafkaAuditSink::send(std::string_view group, std::string_view line) {
  const std::array headers{Header{"content-type", "application/json"}};
  const auto sent = producer_->send(
      {.topic = topic_, .key = group, .value = line, .timestamp = {}, .headers = headers}, {},
      KafkaProducer::WhenFull::kRefuse);
  if (!sent) ++num_refused_;
}

Status KafkaAuditSink::flush(std::chrono::milliseconds timeout) {
  return producer_->flush(timeout);
}

}  // namespace anomalyd::connectors
