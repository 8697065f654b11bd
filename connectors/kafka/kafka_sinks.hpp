#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "connectors/codec/alert_encoder.hpp"
#include "connectors/kafka/kafka_producer.hpp"
#include "daemon/core/ports.hpp"

namespace anomalyd::connectors {

/// Sends alerts to a topic, keyed by incident, so that the topic may be compacted.
///
/// Alerts of one incident stay in order. It never gives up while brokers are away; `done` gets
/// kInvalid when trying again cannot help: the topic does not exist, or access is denied.
class KafkaAlertSink final : public AlertSink {
 public:
  struct Options {
    KafkaOptions kafka{};
    std::string topic = "anomalies";  ///< Where alerts go. See KafkaAdmin::ensure_topic.
    AlertEncoder::Options encoder{};
  };

  /// The brokers need not be there yet. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<KafkaAlertSink>> connect(Options options,
                                                                       KafkaLogFn log = {});

  void send(Alert alert, std::function<void(Status)> done) override;
  [[nodiscard]] Status flush(std::chrono::milliseconds timeout) override;

  [[nodiscard]] bool brokers_away() const { return producer_->brokers_away(); }
  [[nodiscard]] std::size_t num_waiting() const { return producer_->num_waiting(); }

 private:
  KafkaAlertSink(Options options, std::unique_ptr<KafkaProducer> producer);
  std::string topic_;
  AlertEncoder encoder_;
  std::unique_ptr<KafkaProducer> producer_;
};

/// Sends records that cannot be used to a topic: key, value and timestamp as they were, and the
/// headers reason, detail, topic, partition and offset.
///
/// Never holds up its caller: when the queue is full, or the brokers are away for long, records are
/// dropped and counted.
class KafkaDeadLetterSink final : public DeadLetterSink {
 public:
  struct Options {
    KafkaOptions kafka{};
    std::string topic{};                              ///< Where they go.
    std::chrono::milliseconds give_up_after{60'000};  ///< 1000..3600000 ms without a broker.
  };

  /// The brokers need not be there yet. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<KafkaDeadLetterSink>> connect(Options options,
                                                                            KafkaLogFn log = {});

  void send(const Record& record, const Rejected& why) override;
  [[nodiscard]] Status flush(std::chrono::milliseconds timeout);
  /// Records that did not get there.
  [[nodiscard]] std::uint64_t num_dropped() const { return num_refused_ + producer_->num_failed(); }

 private:
  KafkaDeadLetterSink(std::string topic, std::unique_ptr<KafkaProducer> producer);
  std::string topic_;
  std::atomic<std::uint64_t> num_refused_ = 0;
  std::unique_ptr<KafkaProducer> producer_;
};

/// Sends steps in the lives of models to a topic, keyed by group, one JSON object per record.
///
/// Never holds up its caller: when the queue is full, records are dropped and counted. The file in
/// the state folder has them all.
class KafkaAuditSink final : public AuditSink {
 public:
  struct Options {
    KafkaOptions kafka{};
    std::string topic{};  ///< Where they go.
  };

  /// The brokers need not be there yet. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<KafkaAuditSink>> connect(Options options,
                                                                       KafkaLogFn log = {});
  /// Waits a second for what is on its way.
  ~KafkaAuditSink() override;

  void send(std::string_view group, std::string_view line) override;
  [[nodiscard]] Status flush(std::chrono::milliseconds timeout);
  /// Records that did not get there.
  [[nodiscard]] std::uint64_t num_dropped() const { return num_refused_ + producer_->num_failed(); }

 private:
  KafkaAuditSink(std::string topic, std::unique_ptr<KafkaProducer> producer);
  std::string topic_;
  std::atomic<std::uint64_t> num_refused_ = 0;
  std::unique_ptr<KafkaProducer> producer_;
};

}  // namespace anomalyd::connectors
