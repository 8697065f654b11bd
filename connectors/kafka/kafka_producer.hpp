#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/kafka/kafka_options.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd::connectors {

/// Sends bytes to topics, in order per partition and without duplicates of its own.
///
/// While no broker answers, messages wait in a bounded queue and are sent when one does.
///
/// Runs on   any thread. Callbacks run on a thread of the producer, one at a time.
class KafkaProducer {
 public:
  struct Options {
    KafkaOptions kafka{};
    std::chrono::milliseconds linger{5};   ///< 0..60000 ms to wait for more of a batch.
    std::string compression = "lz4";       ///< none, gzip, snappy, lz4 or zstd.
    std::size_t queue_messages = 100'000;  ///< 1..10000000 messages that wait.
    std::size_t queue_kbytes = 131'072;    ///< 1..2097151 KiB that wait.
    /// Looked up when connecting: else the first message to a topic waits a second for that.
    std::vector<std::string> topics{};
    std::chrono::milliseconds give_up_after{0};  ///< 0: never, as long as it may help.
  };
  /// What to send. The views are copied.
  struct Message {
    std::string_view topic{};
    std::string_view key{};  ///< Chooses the partition, as Java's producers do; empty: any.
    std::string_view value{};
    std::optional<EventTime> timestamp{};  ///< Now, if absent.
    std::span<const Header> headers{};
  };
  enum class WhenFull : std::uint8_t {
    kWait,    ///< Back-pressure: `send` returns when there is room.
    kRefuse,  ///< kExhausted at once.
  };
  /// Runs once when the message is acknowledged by all in-sync replicas, or given up.
  using DoneFn = std::function<void(Status)>;

  /// The brokers need not be there yet. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<KafkaProducer>> connect(Options options,
                                                                      KafkaLogFn log = {});
  /// What is still waiting is given up (kCancelled).
  ~KafkaProducer();

  /// If this fails, `done` has not been and will not be called.
  [[nodiscard]] Status send(const Message& message, DoneFn done = {},
                            WhenFull when_full = WhenFull::kWait);
  /// Waits until nothing is waiting, at most `timeout`. Errors: kUnavailable, saying how many are.
  [[nodiscard]] Status flush(std::chrono::milliseconds timeout);

  [[nodiscard]] std::size_t num_waiting() const;
  [[nodiscard]] std::uint64_t num_failed() const;  ///< Accepted by `send`, then given up.
  [[nodiscard]] bool brokers_away() const;

 private:
  struct Impl;
  explicit KafkaProducer(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anomalyd::connectors
