#include "connectors/kafka/kafka_producer.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <atomic>
#include <thread>

#include "connectors/kafka/kafka_client.hpp"

namespace anomalyd::connectors {
namespace {

using std::chrono::milliseconds;
struct TopicDelete {
  void operator()(rd_kafka_topic_t* topic) const noexcept { rd_kafka_topic_destroy(topic); }
};
using Topic = std::unique_ptr<rd_kafka_topic_t, TopicDelete>;
using Headers = std::unique_ptr<rd_kafka_headers_t, decltype(&rd_kafka_headers_destroy)>;

constexpr int kServeMillis = 100;

// Nothing that waiting can mend.
bool is_hopeless(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR__FATAL: return true;
    default: return false;
  }
}

Status outcome(rd_kafka_resp_err_t error, std::string_view topic) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  const bool ours =
      error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
  const auto kind = ours                 ? ErrorKind::kCancelled
                    : is_hopeless(error) ? ErrorKind::kInvalid
                                         : ErrorKind::kUnavailable;
  return fail(kind, fmt::format("kafka topic '{}': a message was not delivered ({})", topic,
                                rd_kafka_err2str(error)));
}

Headers to_headers(std::span<const Header> headers) {
  Headers list{rd_kafka_headers_new(headers.size()), rd_kafka_headers_destroy};
  for (const Header& header : headers) {
    rd_kafka_header_add(list.get(), header.name.data(), static_cast<ssize_t>(header.name.size()),
                        header.value.data(), static_cast<ssize_t>(header.value.size()));
  }
  return list;
}

}  // namespace

struct KafkaProducer::Impl : KafkaClientState {
  explicit Impl(KafkaLogFn log) : KafkaClientState{std::move(log)} {}

  static void on_delivered(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque);

  std::atomic<std::uint64_t> num_failed = 0;
  std::atomic<std::size_t> num_waiting = 0;  // librdkafka's own count includes its events
  RdKafka client;
  std::vector<Topic> topics;  // held so that the client keeps their metadata
  std::jthread server;        // serves callbacks; gone before the client
};

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::connect(Options options, KafkaLogFn log) {
  auto impl = std::make_unique<Impl>(std::move(log));
  auto conf = make_conf(options.kafka,
                        {{"enable.idempotence", "true"},  // acks=all, in order, no duplicates
                         {"message.timeout.ms", std::to_string(options.give_up_after.count())},
                         {"linger.ms", std::to_string(options.linger.count())},
                         {"compression.codec", options.compression},
                         {"partitioner", "murmur2_random"},
                         {"queue.buffering.max.messages", std::to_string(options.queue_messages)},
                         {"queue.buffering.max.kbytes", std::to_string(options.queue_kbytes)}},
                        *impl);
  if (!conf) return Failure{std::move(conf.error())};
  rd_kafka_conf_set_dr_msg_cb(conf->get(), Impl::on_delivered);
  auto client = make_producer(std::move(*conf));
  if (!client) return Failure{std::move(client.error())};
  impl->client = std::move(*client);
  for (const std::string& topic : options.topics) {
    impl->topics.emplace_back(rd_kafka_topic_new(impl->client.get(), topic.c_str(), nullptr));
  }
  impl->server = std::jthread{[impl = impl.get()](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      rd_kafka_poll(impl->client.get(), kServeMillis);
      impl->look_for_brokers(impl->client.get(), milliseconds{kServeMillis});
    }
  }};
  return std::unique_ptr<KafkaProducer>{new KafkaProducer{std::move(impl)}};
}

KafkaProducer::KafkaProducer(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}

KafkaProducer::~KafkaProducer() {
  rd_kafka_t* const client = impl_->client.get();
  rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(client, 10 * kServeMillis);  // waits until the callbacks of the purge have run
}

Status KafkaProducer::send(const Message& message, DoneFn done, WhenFull when_full) {
  const std::string topic{message.topic};
  auto headers = to_headers(message.headers);
  auto waiting = done ? std::make_unique<DoneFn>(std::move(done)) : nullptr;
  const int block = when_full == WhenFull::kWait ? RD_KAFKA_MSG_F_BLOCK : 0;
  const std::int64_t millis =
      message.timestamp
          ? std::chrono::floor<milliseconds>(*message.timestamp).time_since_epoch().count()
          : 0;
  std::array<rd_kafka_vu_t, 7> fields{};
  fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  fields[0].u.cstr = topic.c_str();
  fields[1].vtype = RD_KAFKA_VTYPE_VALUE;
  fields[1].u.mem = {const_cast<char*>(message.value.data()), message.value.size()};
  fields[2].vtype = RD_KAFKA_VTYPE_KEY;  // a null pointer means no key
  fields[2].u.mem = {message.key.empty() ? nullptr : const_cast<char*>(message.key.data()),
                     message.key.size()};
  fields[3].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  fields[3].u.i64 = millis;
  fields[4].vtype = RD_KAFKA_VTYPE_HEADERS;
  fields[4].u.headers = headers.get();
  fields[5].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  fields[5].u.i = RD_KAFKA_MSG_F_COPY | block;
  fields[6].vtype = RD_KAFKA_VTYPE_OPAQUE;
  fields[6].u.ptr = waiting.get();
  ++impl_->num_waiting;
  rd_kafka_error_t* error = rd_kafka_produceva(impl_->client.get(), fields.data(), fields.size());
  if (error != nullptr) {
    --impl_->num_waiting;
    const auto code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      return fail(ErrorKind::kExhausted,
                  fmt::format("kafka topic '{}': {} messages wait; expected room for one more",
                              topic, num_waiting()));
    }
    return outcome(code, topic);
  }
  // librdkafka owns both now; on_delivered takes `waiting` back.
  (void)headers.release();
  (void)waiting.release();
  return {};
}

void KafkaProducer::Impl::on_delivered(rd_kafka_t*, const rd_kafka_message_t* message,
                                       void* opaque) {
  auto& self = *static_cast<Impl*>(static_cast<KafkaClientState*>(opaque));
  const std::unique_ptr<DoneFn> done{static_cast<DoneFn*>(message->_private)};
  --self.num_waiting;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    self.brokers_came();
  } else {
    ++self.num_failed;
  }
  if (done) (*done)(outcome(message->err, rd_kafka_topic_name(message->rkt)));
}

Status KafkaProducer::flush(milliseconds timeout) {
  if (rd_kafka_flush(impl_->client.get(), static_cast<int>(timeout.count())) ==
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    return {};
  }
  return fail(ErrorKind::kUnavailable, fmt::format("kafka: {} messages still wait after {} ms",
                                                   num_waiting(), timeout.count()));
}

std::size_t KafkaProducer::num_waiting() const { return impl_->num_waiting; }
std::uint64_t KafkaProducer::num_failed() const { return impl_->num_failed; }
bool KafkaProducer::brokers_away() const { return impl_->brokers_away(); }

}  // namespace anomalyd::connectors
