#include "connectors/kafka/kafka_source.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "connectors/kafka/kafka_client.hpp"

namespace anomalyd::connectors {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kProbe{100};

bool is_configuration_fault(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__FATAL: return true;
    default: return false;
  }
}

}  // namespace

struct KafkaSource::Impl : KafkaClientState {
  Impl(Options chosen, KafkaLogFn log)
      : KafkaClientState{std::move(log)},
        options{std::move(chosen)},
        records{options.max_records, options.headers} {}

  static void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t* partitions, void* opaque);
  static void on_commit(rd_kafka_t* client, rd_kafka_resp_err_t error,
                        rd_kafka_topic_partition_list_t* offsets, void* opaque);

  Status subscribe();
  void take(RdKafkaMessage message);
  void take_event(const rd_kafka_message_t& message);
  void hand_over();
  void assign(rd_kafka_topic_partition_list_t* partitions);
  void revoke(rd_kafka_topic_partition_list_t* partitions);
  void commit_and_wait(const rd_kafka_topic_partition_list_t* offsets);
  void check(rd_kafka_error_t* error, std::string_view action) const;

  Options options;
  SourceHandler* handler = nullptr;        // while inside poll or close
  std::map<PartitionId, Offset> assigned;  // with the last known end; -1 before any
  std::set<PartitionId> paused;            // of the assigned ones
  bool joined = false;                     // partitions were assigned at least once
  bool revoking = false;
  bool unanswered = false;  // closed, but the group did not say so
  unsigned busy_polls = 0;
  std::optional<Error> fault;  // to be returned by the poll that met it

  KafkaRecords records;  // collected by poll and not handed over yet

  std::atomic<std::uint64_t> num_rebalances = 0;
  std::atomic<std::uint64_t> num_commit_failures = 0;
  RdKafka client;  // last: its threads call back into the rest
};

Result<std::unique_ptr<KafkaSource>> KafkaSource::connect(Options options, KafkaLogFn log) {
  if (options.topics.empty()) {
    return fail(ErrorKind::kInvalid, "input.topics: found none; expected at least one topic");
  }
  auto impl = std::make_unique<Impl>(std::move(options), std::move(log));
  const Options& chosen = impl->options;
  auto conf = make_conf(
      chosen.kafka,
      {{"group.id", chosen.group},
       {"auto.offset.reset", chosen.start == Start::kEarliest ? "earliest" : "latest"},
       {"partition.assignment.strategy", "cooperative-sticky"},
       {"enable.auto.commit", "false"},
       {"enable.auto.offset.store", "false"},
       {"enable.partition.eof", "true"},
       // The number of messages never stops the fetcher, the bytes do: it would sleep for a second.
       {"queued.min.messages", "10000000"},
       {"queued.max.messages.kbytes", std::to_string(chosen.queue_kbytes)},
       {"fetch.message.max.bytes", "4194304"},
       {"fetch.wait.max.ms", "100"},
       {"check.crcs", "true"}},
      *impl);
  if (!conf) return Failure{std::move(conf.error())};
  rd_kafka_conf_set_rebalance_cb(conf->get(), Impl::on_rebalance);
  rd_kafka_conf_set_offset_commit_cb(conf->get(), Impl::on_commit);
  auto client = make_consumer(std::move(*conf));
  if (!client) return Failure{std::move(client.error())};
  impl->client = std::move(*client);
  if (auto ok = impl->subscribe(); !ok) return Failure{std::move(ok.error())};
  return std::unique_ptr<KafkaSource>{new KafkaSource{std::move(impl)}};
}

KafkaSource::KafkaSource(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}

// A client that still waits for an answer of its group would make whoever destroys it wait too, for
// as long as the brokers are away. It is left to the end of the process.
KafkaSource::~KafkaSource() {
  if (!impl_ || !impl_->unanswered) return;
  impl_->mute();
  static_cast<void>(impl_.release());
}

Status KafkaSource::Impl::subscribe() {
  std::vector<PartitionId> topics;
  for (const std::string& topic : options.topics) topics.push_back({topic, RD_KAFKA_PARTITION_UA});
  const auto error = rd_kafka_subscribe(client.get(), to_list(topics).get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return fail(
      ErrorKind::kInvalid,
      fmt::format("input.topics: found {}; expected names or valid regular expressions ({})",
                  fmt::join(options.topics, ", "), rd_kafka_err2str(error)));
}

Status KafkaSource::poll(milliseconds timeout, SourceHandler& handler) {
  impl_->handler = &handler;
  int wait = static_cast<int>(timeout.count());
  for (std::size_t n = 0; n < impl_->options.max_records; ++n, wait = 0) {
    RdKafkaMessage message{rd_kafka_consumer_poll(impl_->client.get(), wait)};
    if (!message) break;
    impl_->take(std::move(message));
  }
  const bool idle = impl_->records.empty();
  impl_->hand_over();
  impl_->handler = nullptr;
  // Records prove nothing: they may have been fetched before the brokers went.
  if (idle || ++impl_->busy_polls % 16 == 0) impl_->look_for_brokers(impl_->client.get(), kProbe);
  if (auto fault = std::exchange(impl_->fault, std::nullopt)) return Failure{std::move(*fault)};
  if (impl_->brokers_away()) return Failure{impl_->away_error()};
  return {};
}

void KafkaSource::Impl::take(RdKafkaMessage message) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return take_event(*message);
  records.add(std::move(message));
}

void KafkaSource::Impl::take_event(const rd_kafka_message_t& message) {
  hand_over();
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    const PartitionId id{rd_kafka_topic_name(message.rkt), message.partition};
    const auto known = assigned.find(id);
    if (known == assigned.end()) return;
    known->second = message.offset;
    return handler->on_end(id, message.offset);
  }
  const std::string_view reason = rd_kafka_message_errstr(&message);
  if (is_configuration_fault(message.err)) {
    const auto sentence = fmt::format(
        "kafka: {}; expected topics that exist and may be read by "
        "group '{}'",
        reason, options.group);
    fault = Error{ErrorKind::kInvalid, sentence};
  } else {
    log(KafkaLogLevel::kWarning, reason);
  }
}

// Records reach the handler before whatever came after them: an end, a rebalance.
void KafkaSource::Impl::hand_over() {
  if (!records.empty()) handler->on_records(records.view());
  records.clear();
}

void KafkaSource::Impl::on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t error,
                                     rd_kafka_topic_partition_list_t* partitions, void* opaque) {
  auto& self = *static_cast<Impl*>(static_cast<KafkaClientState*>(opaque));
  ++self.num_rebalances;
  self.hand_over();
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) return self.assign(partitions);
  if (error != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    self.log(KafkaLogLevel::kError, fmt::format("rebalance: {}", rd_kafka_err2str(error)));
  }
  self.revoke(partitions);
}

void KafkaSource::Impl::assign(rd_kafka_topic_partition_list_t* partitions) {
  joined = true;
  const auto ids = to_ids(partitions);
  for (const Position& start : handler->on_assigned(ids)) {
    auto* entry = rd_kafka_topic_partition_list_find(partitions, start.partition.topic.c_str(),
                                                     start.partition.partition);
    if (entry != nullptr) entry->offset = start.offset;
  }
  for (const PartitionId& id : ids) assigned.emplace(id, -1);
  // A group that still has an eager member falls back to its protocol.
  if (std::string_view{rd_kafka_rebalance_protocol(client.get())} == "COOPERATIVE") {
    check(rd_kafka_incremental_assign(client.get(), partitions), "taking partitions");
  } else {
    rd_kafka_assign(client.get(), partitions);
  }
}

void KafkaSource::Impl::revoke(rd_kafka_topic_partition_list_t* partitions) {
  const auto ids = to_ids(partitions);
  const bool lost = rd_kafka_assignment_lost(client.get()) != 0;
  const auto forget = [&] {
    for (const PartitionId& id : ids) {
      assigned.erase(id);
      paused.erase(id);
    }
  };
  if (lost) forget();  // so that nobody commits what belongs to somebody else
  revoking = true;
  handler->on_revoked(ids, lost);
  revoking = false;
  forget();
  if (std::string_view{rd_kafka_rebalance_protocol(client.get())} == "COOPERATIVE") {
    check(rd_kafka_incremental_unassign(client.get(), partitions), "giving partitions back");
  } else {
    rd_kafka_assign(client.get(), nullptr);
  }
}

void KafkaSource::Impl::check(rd_kafka_error_t* error, std::string_view action) const {
  if (error == nullptr) return;
  log(KafkaLogLevel::kError, fmt::format("{}: {}", action, rd_kafka_error_string(error)));
  rd_kafka_error_destroy(error);
}

void KafkaSource::pause(std::span<const PartitionId> partitions) {
  std::vector<PartitionId> running;
  for (const PartitionId& id : partitions) {
    if (impl_->assigned.contains(id) && impl_->paused.insert(id).second) running.push_back(id);
  }
  rd_kafka_pause_partitions(impl_->client.get(), to_list(running).get());
}

// Before 2.4.0 resuming a partition that is not paused may jump back to an old position (#4636).
void KafkaSource::resume(std::span<const PartitionId> partitions) {
  std::vector<PartitionId> waiting;
  for (const PartitionId& id : partitions) {
    if (impl_->paused.erase(id) > 0) waiting.push_back(id);
  }
  rd_kafka_resume_partitions(impl_->client.get(), to_list(waiting).get());
}

void KafkaSource::commit(std::span<const Position> positions) {
  std::vector<Position> ours;
  std::ranges::copy_if(positions, std::back_inserter(ours), [this](const Position& position) {
    return impl_->assigned.contains(position.partition);
  });
  // Without a broker, a commit would wait in the client and keep it from closing.
  if (ours.empty() || impl_->brokers_away()) return;
  const auto offsets = to_list(ours);
  if (impl_->revoking) return impl_->commit_and_wait(offsets.get());
  rd_kafka_commit(impl_->client.get(), offsets.get(), 1);
}

void KafkaSource::Impl::commit_and_wait(const rd_kafka_topic_partition_list_t* offsets) {
  const RdKafkaQueue queue{rd_kafka_queue_new(client.get())};
  rd_kafka_commit_queue(client.get(), offsets, queue.get(), Impl::on_commit,
                        static_cast<KafkaClientState*>(this));
  const auto wait = static_cast<int>(options.close_timeout.count() / 3);
  if (rd_kafka_queue_poll_callback(queue.get(), wait) == 0) {
    ++num_commit_failures;
    log(KafkaLogLevel::kWarning,
        fmt::format("no answer to a commit within {} ms; records may be read again", wait));
  }
}

void KafkaSource::Impl::on_commit(rd_kafka_t*, rd_kafka_resp_err_t error,
                                  rd_kafka_topic_partition_list_t* offsets, void* opaque) {
  auto& self = *static_cast<Impl*>(static_cast<KafkaClientState*>(opaque));
  for (int i = 0; offsets != nullptr && i < offsets->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    error = offsets->elems[i].err;
  }
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
  ++self.num_commit_failures;
  self.log(KafkaLogLevel::kWarning, fmt::format("commit failed ({}); the next one makes it "
                                                "good",
                                                rd_kafka_err2str(error)));
}

std::vector<std::pair<PartitionId, std::int64_t>> KafkaSource::lag() const {
  std::vector<PartitionId> ids;
  for (const auto& [id, end] : impl_->assigned) ids.push_back(id);
  const auto positions = to_list(ids);
  rd_kafka_position(impl_->client.get(), positions.get());
  std::vector<std::pair<PartitionId, std::int64_t>> lags;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    if (rd_kafka_get_watermark_offsets(impl_->client.get(), ids[i].topic.c_str(), ids[i].partition,
                                       &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0) {
      continue;  // nothing was fetched yet
    }
    // At an end the position is the end, which a transaction's markers place after the last record.
    const Offset next = std::max(positions->elems[i].offset, impl_->assigned.at(ids[i]));
    lags.emplace_back(ids[i], std::max<std::int64_t>(0, high - std::max(next, low)));
  }
  return lags;
}

void KafkaSource::close(SourceHandler& handler) {
  rd_kafka_t* const client = impl_->client.get();
  // Before 2.3.0 closing a cooperative consumer that never had a partition crashes (#4381). It has
  // nothing to give back, so the group may find out by its session timeout.
  if (client == nullptr || !impl_->joined) return;
  impl_->handler = &handler;
  impl_->hand_over();
  {
    const RdKafkaQueue queue{rd_kafka_queue_new(client)};
    impl_->check(rd_kafka_consumer_close_queue(client, queue.get()), "leaving the group");
    constexpr milliseconds kStep{50};
    for (milliseconds waited{0};
         waited < impl_->options.close_timeout && rd_kafka_consumer_closed(client) == 0;) {
      // Not rd_kafka_queue_poll_callback: it aborts on records, which may still come. They are not
      // taken; whoever has the partition next reads them. Taking one is no waiting.
      const RdKafkaMessage late{
          rd_kafka_consume_queue(queue.get(), static_cast<int>(kStep.count()))};
      if (!late) waited += kStep;
    }
  }
  impl_->handler = nullptr;
  impl_->joined = false;
  impl_->unanswered = rd_kafka_consumer_closed(client) == 0;
  if (impl_->unanswered) {
    impl_->log(KafkaLogLevel::kWarning, "left without an answer of the group's coordinator");
  }
}

bool KafkaSource::brokers_away() const { return impl_->brokers_away(); }

KafkaSource::Counters KafkaSource::counters() const {
  return {impl_->num_rebalances, impl_->num_commit_failures};
}

}  // namespace anomalyd::connectors
