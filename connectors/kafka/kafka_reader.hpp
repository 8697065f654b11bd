#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "connectors/kafka/kafka_options.hpp"
#include "daemon/core/ports.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::connectors {

/// Reads ranges of topics without a consumer group: for training, replay and looking around.
///
/// Runs on   one thread.
class KafkaReader {
 public:
  enum class From : std::uint8_t {
    kBeginning,
    kEnd,   ///< Only what comes after opening.
    kTail,  ///< The last `tail` records of each partition.
    kTime,  ///< The first record whose timestamp is `time` or later.
  };
  struct Options {
    KafkaOptions kafka{};
    std::vector<std::string> topics{};  ///< Names, or regular expressions that begin with ^.
    From from = From::kBeginning;
    std::int64_t tail = 1000;
    EventTime time{};
    std::optional<EventTime> until{};   ///< at_end() before the first record of that time or later.
    std::vector<Position> positions{};  ///< Begin here instead, in the partitions named.
    std::vector<std::string> headers{};         ///< Names of the headers that records shall carry.
    std::size_t max_records = 2'000;            ///< 1..100000 handed over at once.
    std::chrono::milliseconds timeout{10'000};  ///< How long opening waits for the brokers.
  };
  using RecordsFn = std::function<void(std::span<const Record>)>;

  /// Finds the partitions and the offsets to begin and end at. Errors: kUnavailable (no broker
  /// answers), kInvalid (no such topic: the message names the nearest one).
  [[nodiscard]] static Result<std::unique_ptr<KafkaReader>> open(Options options,
                                                                 KafkaLogFn log = {});
  ~KafkaReader();

  /// Waits at most `timeout` for records and hands them over; the views die when `take` returns.
  /// Goes on past at_end(), so a caller may follow. Errors: as KafkaSource::poll.
  [[nodiscard]] Status poll(std::chrono::milliseconds timeout, const RecordsFn& take);

  /// True once every partition was read up to the end it had when the reader was opened.
  [[nodiscard]] bool at_end() const;
  /// Offsets between begin and end of all partitions when opened: the most records there can be.
  [[nodiscard]] std::int64_t total() const;
  /// How many of them are behind: for progress lines.
  [[nodiscard]] std::int64_t done() const;
  /// Where each partition goes on.
  [[nodiscard]] std::vector<Position> positions() const;

 private:
  struct Impl;
  explicit KafkaReader(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anomalyd::connectors
