#include "connectors/kafka/kafka_client.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <thread>

namespace anomalyd::connectors {
namespace {

KafkaClientState& state_of(void* opaque) { return *static_cast<KafkaClientState*>(opaque); }

// Syslog levels. Lines about connections are for debugging: `error_cb` tells what matters of them.
KafkaLogLevel level_of(int syslog_level, std::string_view facility) {
  if (facility == "FAIL" || facility == "ERROR" || facility == "CONFWARN") {
    return KafkaLogLevel::kDebug;
  }
  if (syslog_level <= 3) return KafkaLogLevel::kError;
  if (syslog_level == 4) return KafkaLogLevel::kWarning;
  return syslog_level <= 6 ? KafkaLogLevel::kInfo : KafkaLogLevel::kDebug;
}

void on_log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  state_of(rd_kafka_opaque(client))
      .log(level_of(level, facility), fmt::format("librdkafka: {}", text));
}

void on_error(rd_kafka_t*, int error, const char* reason, void* opaque) {
  KafkaClientState& state = state_of(opaque);
  switch (error) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: return state.brokers_went(reason);
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE: return state.connection_failed(reason);
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
      state.log(KafkaLogLevel::kWarning, reason);
      return state.connection_failed(reason);
    default:
      state.log(KafkaLogLevel::kWarning,
                fmt::format("{} ({})", reason,
                            rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(error))));
  }
}

Status set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> reason{};
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason.data(), reason.size()) ==
      RD_KAFKA_CONF_OK) {
    return {};
  }
  return fail(ErrorKind::kInvalid, fmt::format("kafka property {}: {}", name, reason.data()));
}

Result<RdKafka> make_client(rd_kafka_type_t type, RdKafkaConf conf) {
  std::array<char, 512> reason{};
  RdKafka client{rd_kafka_new(type, conf.get(), reason.data(), reason.size())};
  if (!client) {
    return fail(ErrorKind::kInvalid, fmt::format("kafka: {}; expected properties that librdkafka "
                                                 "accepts together",
                                                 reason.data()));
  }
  (void)conf.release();  // the client owns it now
  return client;
}

std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

bool a_broker_answers(rd_kafka_s* client, std::chrono::milliseconds timeout) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error =
      rd_kafka_metadata(client, 0, nullptr, &metadata, static_cast<int>(timeout.count()));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_metadata_destroy(metadata);
  return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

Record to_record(const rd_kafka_message_t& message) {
  Record record;
  record.partition = message.partition;
  record.topic = rd_kafka_topic_name(message.rkt);
  record.offset = message.offset;
  record.key = {static_cast<const char*>(message.key), message.key_len};
  record.value = {static_cast<const char*>(message.payload), message.len};
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t millis = rd_kafka_message_timestamp(&message, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0) {
    record.timestamp = EventTime{std::chrono::milliseconds{millis}};
  }
  return record;
}

}  // namespace

void RdKafkaDelete::operator()(rd_kafka_s* client) const noexcept {
  rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
void RdKafkaDelete::operator()(rd_kafka_conf_s* conf) const noexcept {
  rd_kafka_conf_destroy(conf);
}
void RdKafkaDelete::operator()(rd_kafka_message_s* message) const noexcept {
  rd_kafka_message_destroy(message);
}
void RdKafkaDelete::operator()(rd_kafka_queue_s* queue) const noexcept {
  rd_kafka_queue_destroy(queue);
}
void RdKafkaDelete::operator()(rd_kafka_topic_partition_list_s* list) const noexcept {
  rd_kafka_topic_partition_list_destroy(list);
}

void KafkaClientState::brokers_went(std::string reason) {
  const std::lock_guard lock{mutex_};
  if (reach_ == Reach::kAway) return;
  log(KafkaLogLevel::kWarning, fmt::format("no broker answers ({}); trying again", reason));
  reason_ = std::move(reason);
  reach_ = Reach::kAway;
}

// librdkafka says that all are down at most once an outage, and not at all if the last to go is one
// whose address it does not know: the group's coordinator, for example.
void KafkaClientState::connection_failed(std::string reason) {
  log(KafkaLogLevel::kDebug, fmt::format("librdkafka: {}", reason));
  const std::lock_guard lock{mutex_};
  if (reach_ != Reach::kAnswers) return;
  reason_ = std::move(reason);
  in_doubt_since_ = system_clock().monotonic();
  reach_ = Reach::kInDoubt;
}

void KafkaClientState::brokers_came() {
  if (reach_ == Reach::kAnswers) return;
  if (reach_.exchange(Reach::kAnswers) == Reach::kAway) {
    log(KafkaLogLevel::kInfo, "a broker answers again");
  }
}

void KafkaClientState::look_for_brokers(rd_kafka_s* client, std::chrono::milliseconds timeout) {
  if (reach_ == Reach::kAnswers) return;
  if (a_broker_answers(client, timeout)) return brokers_came();
  std::string reason;
  {
    const std::lock_guard lock{mutex_};
    if (system_clock().monotonic() - in_doubt_since_ < kPatience) return;
    reason = reason_;
  }
  brokers_went(std::move(reason));
}

Error KafkaClientState::away_error() const {
  const std::lock_guard lock{mutex_};
  return {ErrorKind::kUnavailable, fmt::format("kafka: no broker answers ({})", reason_)};
}

Result<RdKafkaConf> make_conf(const KafkaOptions& options, RdKafkaProperties ours,
                              KafkaClientState& state) {
  if (options.brokers.empty()) {
    return fail(ErrorKind::kInvalid, "kafka.brokers: found nothing; expected host:port");
  }
  if (const auto problems = check_properties(options.properties); !problems.empty()) {
    return fail(ErrorKind::kInvalid, problems.front());
  }
  RdKafkaConf conf{rd_kafka_conf_new()};
  rd_kafka_conf_set_opaque(conf.get(), &state);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  const RdKafkaProperties shared{
      {"bootstrap.servers", options.brokers}, {"client.id", options.client_id},
      {"socket.keepalive.enable", "true"},    {"socket.nagle.disable", "true"},
      {"reconnect.backoff.max.ms", "2000"},   {"log.connection.close", "false"}};
  for (const RdKafkaProperties* properties : {&shared, &std::as_const(ours)}) {
    for (const auto& [name, value] : *properties) {
      if (auto ok = set(conf.get(), name, value); !ok) return Failure{std::move(ok.error())};
    }
  }
  for (const auto& [name, value] : options.properties) {
    if (auto ok = set(conf.get(), name, value); !ok) return Failure{std::move(ok.error())};
  }
  return conf;
}

Result<RdKafka> make_consumer(RdKafkaConf conf) {
  auto client = make_client(RD_KAFKA_CONSUMER, std::move(conf));
  if (client) rd_kafka_poll_set_consumer(client->get());
  return client;
}

Result<RdKafka> make_producer(RdKafkaConf conf) {
  return make_client(RD_KAFKA_PRODUCER, std::move(conf));
}

RdKafkaPartitions to_list(std::span<const PartitionId> partitions) {
  RdKafkaPartitions list{rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size()))};
  for (const PartitionId& id : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), id.topic.c_str(), id.partition);
  }
  return list;
}

RdKafkaPartitions to_list(std::span<const Position> positions) {
  RdKafkaPartitions list{rd_kafka_topic_partition_list_new(static_cast<int>(positions.size()))};
  for (const Position& position : positions) {
    rd_kafka_topic_partition_list_add(list.get(), position.partition.topic.c_str(),
                                      position.partition.partition)
        ->offset = position.offset;
  }
  return list;
}

std::vector<PartitionId> to_ids(const rd_kafka_topic_partition_list_s* list) {
  std::vector<PartitionId> ids;
  for (const auto& entry : std::span{list->elems, static_cast<std::size_t>(list->cnt)}) {
    ids.push_back({entry.topic, entry.partition});
  }
  return ids;
}

KafkaRecords::KafkaRecords(std::size_t capacity, std::vector<std::string> headers)
    : header_names_{std::move(headers)} {
  messages_.reserve(capacity);
  records_.reserve(capacity);
  headers_.reserve(capacity * header_names_.size());
}

void KafkaRecords::add(RdKafkaMessage message) {
  Record record = to_record(*message);
  if (!header_names_.empty()) add_headers(*message, record);
  records_.push_back(record);
  messages_.push_back(std::move(message));
}

void KafkaRecords::add_headers(const rd_kafka_message_s& message, Record& record) {
  rd_kafka_headers_t* found = nullptr;
  if (rd_kafka_message_headers(&message, &found) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const std::size_t begin = headers_.size();
  for (const std::string& name : header_names_) {
    const void* value = nullptr;
    std::size_t size = 0;
    if (rd_kafka_header_get_last(found, name.c_str(), &value, &size) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      headers_.push_back({name, {static_cast<const char*>(value), size}});
    }
  }
  record.headers = std::span{headers_}.subspan(begin);
}

void KafkaRecords::clear() {
  records_.clear();
  headers_.clear();
  messages_.clear();
}

Result<std::vector<KafkaTopic>> list_topics(rd_kafka_s* client, std::chrono::milliseconds timeout) {
  const rd_kafka_metadata_t* metadata = nullptr;
  if (const auto error =
          rd_kafka_metadata(client, 1, nullptr, &metadata, static_cast<int>(timeout.count()))) {
    return fail(ErrorKind::kUnavailable, fmt::format("kafka: no broker answered within {} ms ({})",
                                                     timeout.count(), rd_kafka_err2str(error)));
  }
  std::vector<KafkaTopic> topics;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    topics.push_back({metadata->topics[i].topic, metadata->topics[i].partition_cnt});
  }
  rd_kafka_metadata_destroy(metadata);
  std::ranges::sort(topics, {}, &KafkaTopic::name);
  return topics;
}

// rd_kafka_query_watermark_offsets would be the obvious call for both ends, but before 2.3.0 it
// ignores its timeout (librdkafka #4460). A list-offsets request for logical times does not.
namespace {

constexpr std::chrono::milliseconds kElectionPause{100};

/// What brokers answer for a moment after a topic was made or a leader has changed.
bool passes_by_itself(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
         error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

}  // namespace

Result<std::vector<Position>> offsets_at(rd_kafka_s* client,
                                         std::span<const PartitionId> partitions,
                                         std::int64_t millis, std::chrono::milliseconds timeout) {
  auto tries = timeout / kElectionPause;
  std::vector<Position> positions;
  bool beyond_end = false;
  auto error = RD_KAFKA_RESP_ERR_NO_ERROR;
  do {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) std::this_thread::sleep_for(kElectionPause);
    const auto list = to_list(partitions);
    for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = millis;
    error = rd_kafka_offsets_for_times(client, list.get(), static_cast<int>(timeout.count()));
    positions.clear();
    beyond_end = false;
    for (int i = 0; i < list->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      const auto& entry = list->elems[i];
      error = entry.err;
      beyond_end = beyond_end || entry.offset < 0;
      positions.push_back({{entry.topic, entry.partition}, entry.offset});
    }
  } while (passes_by_itself(error) && --tries > 0);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(ErrorKind::kUnavailable,
                fmt::format("kafka: the offsets of {} partitions could not be read ({})",
                            partitions.size(), rd_kafka_err2str(error)));
  }
  if (!beyond_end) return positions;
  auto ends = offsets_at(client, partitions, kLatest, timeout);
  if (!ends) return ends;
  for (Position& position : positions) {
    const auto end = std::ranges::find(*ends, position.partition, &Position::partition);
    if (position.offset < 0 && end != ends->end()) position.offset = end->offset;
  }
  return positions;
}

Error no_such_topic(std::string_view name, std::span<const KafkaTopic> known) {
  std::vector<std::string> names;
  for (const KafkaTopic& topic : known) names.push_back(topic.name);
  const auto nearest = nearest_name(name, names);
  return {
      ErrorKind::kInvalid,
      fmt::format("kafka: no topic '{}'; expected one of the {} there are{}", name, names.size(),
                  nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest))};
}

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
  std::string nearest;
  std::size_t fewest = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t edits = edits_between(name, candidate);
    if (edits < fewest) {
      fewest = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace anomalyd::connectors
