#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "connectors/kafka/kafka_producer.hpp"
#include "connectors/kafka/kafka_source.hpp"
#include "daemon/core/ports.hpp"

namespace anomalyd::testing {

using namespace std::chrono_literals;
using connectors::KafkaProducer;
using connectors::KafkaSource;

/// A record that outlives its hand-over.
struct Kept {
  PartitionId partition;
  Offset offset = 0;
  std::optional<EventTime> timestamp;
  std::string key, value;
  std::vector<std::pair<std::string, std::string>> headers;
};

inline Kept keep(const Record& record) {
  Kept kept{{std::string{record.topic}, record.partition},
            record.offset,
            record.timestamp,
            std::string{record.key},
            std::string{record.value},
            {}};
  for (const Header& header : record.headers) {
    kept.headers.emplace_back(std::string{header.name}, std::string{header.value});
  }
  return kept;
}

/// Keeps everything a source tells. `on_revoke` runs inside on_revoked.
struct Listener final : SourceHandler {
  void on_records(std::span<const Record> batch) override {
    for (const Record& record : batch) records.push_back(keep(record));
  }
  std::vector<Position> on_assigned(const std::vector<PartitionId>& partitions) override {
    assigned.insert(assigned.end(), partitions.begin(), partitions.end());
    ++num_assignments;
    return starts;
  }
  void on_revoked(const std::vector<PartitionId>& partitions, bool lost) override {
    if (on_revoke) on_revoke();
    for (const PartitionId& id : partitions) std::erase(assigned, id);
    revoked.insert(revoked.end(), partitions.begin(), partitions.end());
    any_lost = any_lost || lost;
  }
  void on_end(const PartitionId& partition, Offset offset) override { ends[partition] = offset; }

  [[nodiscard]] std::vector<std::string> values() const {
    std::vector<std::string> list;
    for (const Kept& record : records) list.push_back(record.value);
    return list;
  }

  std::vector<Position> starts;
  std::vector<PartitionId> assigned, revoked;
  std::vector<Kept> records;
  std::map<PartitionId, Offset> ends;
  std::function<void()> on_revoke;
  int num_assignments = 0;
  bool any_lost = false;
};

/// Polls until `enough` or, so that a broken client fails its test, 30 s of empty polls.
inline bool poll_until(KafkaSource& source, Listener& listener,
                       const std::function<bool()>& enough) {
  for (int i = 0; i < 600 && !enough(); ++i) (void)source.poll(50ms, listener);
  return enough();
}

/// Sends "<first>", "<first + 1>", ... and waits for the acknowledgements.
inline void produce_numbers(KafkaProducer& producer, const std::string& topic, int first,
                            int count) {
  for (int i = first; i < first + count; ++i) {
    const std::string text = std::to_string(i);
    ASSERT_TRUE(producer.send({.topic = topic, .key = text, .value = text}).has_value());
  }
  const auto flushed = producer.flush(30s);
  ASSERT_TRUE(flushed.has_value()) << flushed.error().message;
}

inline std::vector<std::string> numbers(int first, int count) {
  std::vector<std::string> list;
  for (int i = first; i < first + count; ++i) list.push_back(std::to_string(i));
  return list;
}

inline std::unique_ptr<KafkaProducer> connect_producer(const std::string& brokers) {
  return KafkaProducer::connect({.kafka = {.brokers = brokers}}).value();
}

}  // namespace anomalyd::testing
