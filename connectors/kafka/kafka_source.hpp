#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connectors/kafka/kafka_options.hpp"
#include "daemon/core/ports.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::connectors {

/// Records of Kafka topics, read as a member of a consumer group.
///
/// Partitions are shared cooperatively: those that stay are never stopped by a rebalance. Nothing
/// is committed but by `commit`. Fetching runs ahead in librdkafka's threads, bounded by
/// `queue_kbytes`; when nobody polls, it stops by itself, yet somebody must poll every five minutes
/// or the group gives the partitions to others.
///
/// Messages are taken one by one although librdkafka has a batch call that saves 0.04 us of 0.35 on
/// each: up to version 2.13 that call loses or repeats records around pause, seek and rebalance,
/// and before 2.2 it crashes on a topic that does not exist.
///
/// Runs on   the polling thread, except for what is marked "any thread".
class KafkaSource final : public Source {
 public:
  /// Where to begin in a partition for which the group has no offset.
  enum class Start : std::uint8_t { kEarliest, kLatest };
  struct Options {
    KafkaOptions kafka{};
    std::vector<std::string> topics{};  ///< Names, or regular expressions that begin with ^.
    std::string group = "anomalyd";     ///< Instances of one group share the partitions.
    Start start = Start::kEarliest;
    std::size_t queue_kbytes = 32'768;   ///< 1024..2097151 KiB fetched ahead.
    std::size_t max_records = 2'000;     ///< 1..100000 handed over at once.
    std::vector<std::string> headers{};  ///< Names of the headers that records shall carry.
    std::chrono::milliseconds close_timeout{10'000};  ///< 100..600000 ms to leave the group.
  };
  /// Counts since the start.
  struct Counters {
    std::uint64_t rebalances = 0;
    std::uint64_t commit_failures = 0;
  };

  /// Subscribes; the brokers need not be there yet. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<KafkaSource>> connect(Options options,
                                                                    KafkaLogFn log = {});
  ~KafkaSource() override;

  /// Errors: kUnavailable while no broker answers: call again, it recovers by itself. kInvalid if a
  /// topic does not exist or access is denied: it recovers if somebody mends that.
  [[nodiscard]] Status poll(std::chrono::milliseconds timeout, SourceHandler& handler) override;
  void pause(std::span<const PartitionId> partitions) override;
  void resume(std::span<const PartitionId> partitions) override;
  /// Inside `on_revoked` it waits for the broker, at most a third of `close_timeout`. While no
  /// broker answers it does nothing.
  void commit(std::span<const Position> positions) override;
  [[nodiscard]] std::vector<std::pair<PartitionId, std::int64_t>> lag() const override;
  void close(SourceHandler& handler) override;

  [[nodiscard]] bool brokers_away() const;  ///< Any thread.
  [[nodiscard]] Counters counters() const;  ///< Any thread.

 private:
  struct Impl;
  explicit KafkaSource(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anomalyd::connectors
