#include "connectors/kafka/kafka_feed.hpp"

#include <utility>

namespace anomalyd::connectors {

Result<std::unique_ptr<RecordFeed>> KafkaFeed::open(const KafkaOptions& kafka,
                                                    const std::string& topic, Start start,
                                                    std::optional<std::vector<Position>> from,
                                                    KafkaLogFn log) {
  KafkaReader::Options options;
  options.kafka = kafka;
  options.topics = {topic};
  if (!from && start == Start::kEnd) options.from = KafkaReader::From::kEnd;
  if (from) options.positions = *std::move(from);
  options.timeout = std::chrono::seconds{2};  // a daemon that stops waits for it
  auto reader = KafkaReader::open(std::move(options), std::move(log));
  if (!reader) return Failure{std::move(reader.error())};
  return std::unique_ptr<RecordFeed>{new KafkaFeed{std::move(*reader)}};
}

Status KafkaFeed::poll(std::chrono::milliseconds timeout, const TakeFn& take) {
  return reader_->poll(timeout, [&](std::span<const Record> records) {
    for (const Record& record : records) take(record);
  });
}

}  // namespace anomalyd::connectors
