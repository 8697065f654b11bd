#include "connectors/kafka/kafka_admin.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <thread>

#include "connectors/kafka/kafka_client.hpp"

namespace anomalyd::connectors {
namespace {

using std::chrono::milliseconds;

constexpr int kVisibleTries = 250;
constexpr milliseconds kVisiblePause{20};

struct Deleter {
  void operator()(rd_kafka_NewTopic_t* topic) const noexcept { rd_kafka_NewTopic_destroy(topic); }
  void operator()(rd_kafka_AdminOptions_t* options) const noexcept {
    rd_kafka_AdminOptions_destroy(options);
  }
  void operator()(rd_kafka_event_t* event) const noexcept { rd_kafka_event_destroy(event); }
};

// What the brokers said of the one topic asked for.
Result<bool> created(rd_kafka_event_t* event, const std::string& topic, milliseconds timeout) {
  if (event == nullptr || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(ErrorKind::kUnavailable,
                fmt::format("kafka topic '{}': not made within {} ms ({})", topic, timeout.count(),
                            event == nullptr ? "no answer" : rd_kafka_event_error_string(event)));
  }
  std::size_t count = 0;
  const auto** topics =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  const auto error = rd_kafka_topic_result_error(topics[0]);
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return false;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  const char* reason = rd_kafka_topic_result_error_string(topics[0]);
  return fail(ErrorKind::kInvalid,
              fmt::format("kafka topic '{}': the brokers refused to make it ({})", topic,
                          reason != nullptr ? reason : rd_kafka_err2str(error)));
}

}  // namespace

struct KafkaAdmin::Impl : KafkaClientState {
  Impl(KafkaLogFn log, milliseconds wait) : KafkaClientState{std::move(log)}, timeout{wait} {}

  milliseconds timeout;
  RdKafka client;
};

Result<std::unique_ptr<KafkaAdmin>> KafkaAdmin::connect(const KafkaOptions& options, KafkaLogFn log,
                                                        milliseconds timeout) {
  auto impl = std::make_unique<Impl>(std::move(log), timeout);
  auto conf = make_conf(options, {}, *impl);
  if (!conf) return Failure{std::move(conf.error())};
  auto client = make_producer(std::move(*conf));
  if (!client) return Failure{std::move(client.error())};
  impl->client = std::move(*client);
  return std::unique_ptr<KafkaAdmin>{new KafkaAdmin{std::move(impl)}};
}

KafkaAdmin::KafkaAdmin(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}
KafkaAdmin::~KafkaAdmin() = default;

Result<std::vector<std::string>> KafkaAdmin::topics() {
  const auto all = list_topics(impl_->client.get(), impl_->timeout);
  if (!all) return Failure{all.error()};
  std::vector<std::string> names;
  for (const KafkaTopic& topic : *all) {
    if (!topic.name.starts_with("__")) names.push_back(topic.name);
  }
  return names;
}

Result<int> KafkaAdmin::num_partitions(const std::string& topic) {
  auto all = list_topics(impl_->client.get(), impl_->timeout);
  if (!all) return Failure{std::move(all.error())};
  const auto found = std::ranges::find(*all, topic, &KafkaTopic::name);
  if (found != all->end()) return found->num_partitions;
  return Failure{no_such_topic(topic, *all)};
}

Result<std::vector<KafkaAdmin::Range>> KafkaAdmin::ranges(const std::string& topic) {
  const auto count = num_partitions(topic);
  if (!count) return Failure{count.error()};
  std::vector<PartitionId> ids;
  for (int i = 0; i < *count; ++i) ids.push_back({topic, i});
  const auto begins = offsets_at(impl_->client.get(), ids, kEarliest, impl_->timeout);
  if (!begins) return Failure{begins.error()};
  const auto ends = offsets_at(impl_->client.get(), ids, kLatest, impl_->timeout);
  if (!ends) return Failure{ends.error()};
  std::vector<Range> ranges(ids.size());
  for (const Position& begin : *begins) {
    ranges[static_cast<std::size_t>(begin.partition.partition)].begin = begin.offset;
  }
  for (const Position& end : *ends) {
    ranges[static_cast<std::size_t>(end.partition.partition)].end = end.offset;
  }
  return ranges;
}

Result<bool> KafkaAdmin::ensure_topic(const TopicSpec& spec) {
  const auto known = topics();
  if (!known) return Failure{known.error()};
  if (std::ranges::binary_search(*known, spec.name)) return false;

  std::array<char, 512> reason{};
  const std::unique_ptr<rd_kafka_NewTopic_t, Deleter> topic{rd_kafka_NewTopic_new(
      spec.name.c_str(), spec.partitions, spec.replication, reason.data(), reason.size())};
  if (!topic) {
    return fail(ErrorKind::kInvalid, fmt::format("kafka topic '{}': {}", spec.name, reason.data()));
  }
  for (const auto& [name, value] : spec.config) {
    rd_kafka_NewTopic_set_config(topic.get(), name.c_str(), value.c_str());
  }
  rd_kafka_t* const client = impl_->client.get();
  const auto millis = static_cast<int>(impl_->timeout.count());
  const std::unique_ptr<rd_kafka_AdminOptions_t, Deleter> options{
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS)};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), millis, reason.data(), reason.size());
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), millis, reason.data(), reason.size());
  const RdKafkaQueue queue{rd_kafka_queue_new(client)};
  rd_kafka_NewTopic_t* wanted = topic.get();
  rd_kafka_CreateTopics(client, &wanted, 1, options.get(), queue.get());
  const std::unique_ptr<rd_kafka_event_t, Deleter> event{
      rd_kafka_queue_poll(queue.get(), 2 * millis)};
  auto made = created(event.get(), spec.name, impl_->timeout);
  // A broker may acknowledge a topic before it tells others of it.
  for (int tries = 0; made && !num_partitions(spec.name) && tries < kVisibleTries; ++tries) {
    std::this_thread::sleep_for(kVisiblePause);
  }
  return made;
}

}  // namespace anomalyd::connectors
