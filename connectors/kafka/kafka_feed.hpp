#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "connectors/kafka/kafka_reader.hpp"
#include "daemon/core/record_feed.hpp"

namespace anomalyd::connectors {

/// A topic that is read by no consumer group: every daemon sees every record.
class KafkaFeed final : public RecordFeed {
 public:
  enum class Start : std::uint8_t {
    kBeginning,
    kEnd,
  };
  /// Goes on at the positions `from`, and at the beginning of partitions that came later; without
  /// any, begins at `start`. Errors: those of KafkaReader::open.
  [[nodiscard]] static Result<std::unique_ptr<RecordFeed>> open(
      const KafkaOptions& kafka, const std::string& topic, Start start,
      std::optional<std::vector<Position>> from, KafkaLogFn log = {});
  [[nodiscard]] Status poll(std::chrono::milliseconds timeout, const TakeFn& take) override;
  [[nodiscard]] std::vector<Position> positions() const override { return reader_->positions(); }

 private:
  explicit KafkaFeed(std::unique_ptr<KafkaReader> reader) : reader_{std::move(reader)} {}
  std::unique_ptr<KafkaReader> reader_;
};

}  // namespace anomalyd::connectors
