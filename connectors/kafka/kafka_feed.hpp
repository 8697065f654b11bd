#pragma once

#include <memory>
#include <string>
#include <vector>

#include "connectors/kafka/kafka_reader.hpp"
#include "daemon/core/record_feed.hpp"

namespace anomalyd::connectors {

/// A topic that is read from its beginning, or from where it was left off, by no consumer group:
/// every daemon sees every record.
class KafkaFeed final : public RecordFeed {
 public:
  /// Errors: those of KafkaReader::open.
  [[nodiscard]] static Result<std::unique_ptr<RecordFeed>> open(const KafkaOptions& kafka,
                                                                const std::string& topic,
                                                                std::vector<Position> from,
                                                                KafkaLogFn log = {});
  [[nodiscard]] Status poll(std::chrono::milliseconds timeout, const TakeFn& take) override;
  [[nodiscard]] std::vector<Position> positions() const override { return reader_->positions(); }

 private:
  explicit KafkaFeed(std::unique_ptr<KafkaReader> reader) : reader_{std::move(reader)} {}
  std::unique_ptr<KafkaReader> reader_;
};

}  // namespace anomalyd::connectors
