#pragma once

// What the Kafka clients share. librdkafka's header stays in the .cpp files of this folder, so its
// types are declared by hand here.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/kafka/kafka_options.hpp"
#include "daemon/core/ports.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_partition_list_s;

namespace anomalyd::connectors {

struct RdKafkaDelete {
  void operator()(rd_kafka_s* client) const noexcept;
  void operator()(rd_kafka_conf_s* conf) const noexcept;
  void operator()(rd_kafka_message_s* message) const noexcept;
  void operator()(rd_kafka_queue_s* queue) const noexcept;
  void operator()(rd_kafka_topic_partition_list_s* list) const noexcept;
};
/// Consumers are closed by their owners before; this never waits for a group.
using RdKafka = std::unique_ptr<rd_kafka_s, RdKafkaDelete>;
using RdKafkaConf = std::unique_ptr<rd_kafka_conf_s, RdKafkaDelete>;
using RdKafkaMessage = std::unique_ptr<rd_kafka_message_s, RdKafkaDelete>;
using RdKafkaQueue = std::unique_ptr<rd_kafka_queue_s, RdKafkaDelete>;
using RdKafkaPartitions = std::unique_ptr<rd_kafka_topic_partition_list_s, RdKafkaDelete>;

/// What librdkafka reports about the connection of one client, and who wants to hear of it. It is
/// the opaque pointer of the client's callbacks: clients derive from it.
class KafkaClientState {
 public:
  explicit KafkaClientState(KafkaLogFn log) : log_fn_{std::move(log)} {}

  void log(KafkaLogLevel level, std::string_view sentence) const {
    if (log_fn_ && !muted_) log_fn_(level, sentence);
  }
  /// From now on nothing is logged.
  void mute() noexcept { muted_ = true; }
  /// No broker can be reached, for this reason.
  void brokers_went(std::string reason);
  /// A connection failed. Others may stand: whoever looks next finds out.
  void connection_failed(std::string reason);
  /// A broker answered.
  void brokers_came();
  /// Unless nothing failed since a broker answered last, asks all of them; waits up to `timeout`.
  /// They are gone when nobody has answered for kPatience.
  void look_for_brokers(rd_kafka_s* client, std::chrono::milliseconds timeout);
  [[nodiscard]] bool brokers_away() const noexcept { return reach_ == Reach::kAway; }
  /// kUnavailable, with the reason.
  [[nodiscard]] Error away_error() const;

 private:
  enum class Reach { kAnswers, kInDoubt, kAway };
  static constexpr std::chrono::seconds kPatience{2};

  KafkaLogFn log_fn_;
  std::atomic<bool> muted_ = false;
  std::atomic<Reach> reach_ = Reach::kAnswers;
  mutable std::mutex mutex_;        // callbacks come from any thread of librdkafka
  std::string reason_;              // guarded by mutex_
  MonotonicTime in_doubt_since_{};  // guarded by mutex_
};

using RdKafkaProperties = std::initializer_list<std::pair<const char*, std::string>>;

/// A configuration with `ours`, then the user's properties on top, and the callbacks that keep
/// `state` up to date. Errors: kInvalid, naming the property.
[[nodiscard]] Result<RdKafkaConf> make_conf(const KafkaOptions& options, RdKafkaProperties ours,
                                            KafkaClientState& state);
[[nodiscard]] Result<RdKafka> make_consumer(RdKafkaConf conf);
[[nodiscard]] Result<RdKafka> make_producer(RdKafkaConf conf);

[[nodiscard]] RdKafkaPartitions to_list(std::span<const PartitionId> partitions);
[[nodiscard]] RdKafkaPartitions to_list(std::span<const Position> positions);
[[nodiscard]] std::vector<PartitionId> to_ids(const rd_kafka_topic_partition_list_s* list);

/// Messages taken from a consumer, as records to hand over.
class KafkaRecords {
 public:
  /// Holds at most `capacity` messages; records carry the headers of these names.
  KafkaRecords(std::size_t capacity, std::vector<std::string> headers);

  /// `message` has no error.
  void add(RdKafkaMessage message);
  [[nodiscard]] std::span<const Record> view() const noexcept { return records_; }
  [[nodiscard]] bool empty() const noexcept { return records_.empty(); }
  /// Lets go of the messages; a message that is kept would pin all that was fetched with it.
  void clear();

 private:
  void add_headers(const rd_kafka_message_s& message, Record& record);

  std::vector<std::string> header_names_;
  std::vector<RdKafkaMessage> messages_;
  std::vector<Record> records_;
  std::vector<Header> headers_;  // never grows beyond what is reserved: records point into it
};

/// A topic and how many partitions it has.
struct KafkaTopic {
  std::string name;
  int num_partitions = 0;
};
/// All topics of the cluster by name. Errors: kUnavailable.
[[nodiscard]] Result<std::vector<KafkaTopic>> list_topics(rd_kafka_s* client,
                                                          std::chrono::milliseconds timeout);

/// The offsets of each partition at a time, or at one of these logical times.
inline constexpr std::int64_t kLatest = -1;
inline constexpr std::int64_t kEarliest = -2;
/// `millis` is a time since the epoch, kLatest or kEarliest. A time after the last record gives the
/// end of the partition. Errors: kUnavailable.
[[nodiscard]] Result<std::vector<Position>> offsets_at(rd_kafka_s* client,
                                                       std::span<const PartitionId> partitions,
                                                       std::int64_t millis,
                                                       std::chrono::milliseconds timeout);

/// "no such topic", with the nearest name.
[[nodiscard]] Error no_such_topic(std::string_view name, std::span<const KafkaTopic> known);

/// The name in `known` with the fewest edits to `name`, or "" if none is near.
[[nodiscard]] std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace anomalyd::connectors
