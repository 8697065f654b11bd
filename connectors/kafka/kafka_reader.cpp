#include "connectors/kafka/kafka_reader.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <map>
#include <regex>

#include "connectors/kafka/kafka_client.hpp"

namespace anomalyd::connectors {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kProbe{100};

std::int64_t millis_of(EventTime time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}

// The partitions of the topics that `patterns` name.
Result<std::vector<PartitionId>> partitions_of(std::span<const std::string> patterns,
                                               std::span<const KafkaTopic> known) {
  std::vector<PartitionId> ids;
  for (const std::string& pattern : patterns) {
    const std::size_t before = ids.size();
    for (const KafkaTopic& topic : known) {
      const bool matches = pattern.starts_with('^')
                               ? std::regex_search(topic.name, std::regex{pattern})
                               : topic.name == pattern;
      for (int i = 0; matches && i < topic.num_partitions; ++i) ids.push_back({topic.name, i});
    }
    if (ids.size() == before) return Failure{no_such_topic(pattern, known)};
  }
  return ids;
}

}  // namespace

struct KafkaReader::Impl : KafkaClientState {
  struct Range {
    Offset begin = 0;
    Offset next = 0;
    Offset end = 0;
  };

  Impl(Options chosen, KafkaLogFn log)
      : KafkaClientState{std::move(log)},
        options{std::move(chosen)},
        records{options.max_records, options.headers} {}

  Status find_ranges();
  Result<std::vector<Position>> begins(std::span<const PartitionId> ids,
                                       std::span<const Position> ends);
  Status start();
  void take(RdKafkaMessage message);

  Options options;
  std::map<PartitionId, Range> ranges;
  std::optional<Error> fault;  // to be returned by the poll that met it
  KafkaRecords records;        // collected by poll and not handed over yet
  RdKafka client;
};

Result<std::unique_ptr<KafkaReader>> KafkaReader::open(Options options, KafkaLogFn log) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(log));
  // A group is asked for by librdkafka, but nothing is ever joined or committed.
  auto conf = make_conf(impl->options.kafka,
                        {{"group.id", "anomalyd-reader"},
                         {"auto.offset.reset", "earliest"},
                         {"enable.auto.commit", "false"},
                         {"enable.auto.offset.store", "false"},
                         {"enable.partition.eof", "true"},
                         {"queued.min.messages", "10000000"},
                         {"queued.max.messages.kbytes", "131072"},
                         {"fetch.wait.max.ms", "100"},
                         {"check.crcs", "true"}},
                        *impl);
  if (!conf) return Failure{std::move(conf.error())};
  auto client = make_consumer(std::move(*conf));
  if (!client) return Failure{std::move(client.error())};
  impl->client = std::move(*client);
  if (auto ok = impl->find_ranges(); !ok) return Failure{std::move(ok.error())};
  if (auto ok = impl->start(); !ok) return Failure{std::move(ok.error())};
  return std::unique_ptr<KafkaReader>{new KafkaReader{std::move(impl)}};
}

KafkaReader::KafkaReader(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}
KafkaReader::~KafkaReader() = default;

Status KafkaReader::Impl::find_ranges() try {
  auto topics = list_topics(client.get(), options.timeout);
  if (!topics) return Failure{std::move(topics.error())};
  auto ids = partitions_of(options.topics, *topics);
  if (!ids) return Failure{std::move(ids.error())};
  auto ends = offsets_at(client.get(), *ids, options.until ? millis_of(*options.until) : kLatest,
                         options.timeout);
  if (!ends) return Failure{std::move(ends.error())};
  auto begins = this->begins(*ids, *ends);
  if (!begins) return Failure{std::move(begins.error())};
  for (const Position& end : *ends) ranges[end.partition].end = end.offset;
  for (const Position& begin : *begins) ranges[begin.partition].begin = begin.offset;
  for (const Position& begin : options.positions) {
    if (const auto range = ranges.find(begin.partition); range != ranges.end()) {
      range->second.begin = begin.offset;
    }
  }
  for (auto& [id, range] : ranges) range.next = range.begin;
  return {};
} catch (const std::regex_error& error) {
  return fail(ErrorKind::kInvalid, fmt::format("topics: found {}; expected a regular expression "
                                               "after '^' ({})",
                                               fmt::join(options.topics, ", "), error.what()));
}

Result<std::vector<Position>> KafkaReader::Impl::begins(std::span<const PartitionId> ids,
                                                        std::span<const Position> ends) {
  switch (options.from) {
    case From::kBeginning: return offsets_at(client.get(), ids, kEarliest, options.timeout);
    case From::kTime:
      return offsets_at(client.get(), ids, millis_of(options.time), options.timeout);
    case From::kEnd: return std::vector<Position>{ends.begin(), ends.end()};
    case From::kTail: break;
  }
  auto begins = offsets_at(client.get(), ids, kEarliest, options.timeout);
  for (std::size_t i = 0; begins && i < begins->size(); ++i) {
    const auto end = std::ranges::find(ends, (*begins)[i].partition, &Position::partition);
    (*begins)[i].offset = std::max((*begins)[i].offset, end->offset - options.tail);
  }
  return begins;
}

Status KafkaReader::Impl::start() {
  const auto positions = [this] {
    std::vector<Position> list;
    for (const auto& [id, range] : ranges) list.push_back({id, range.next});
    return to_list(list);
  }();
  const auto error = rd_kafka_assign(client.get(), positions.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return fail(ErrorKind::kInvalid, fmt::format("kafka: {}", rd_kafka_err2str(error)));
}

Status KafkaReader::poll(milliseconds timeout, const RecordsFn& take) {
  Impl& self = *impl_;
  int wait = static_cast<int>(timeout.count());
  for (std::size_t n = 0; n < self.options.max_records; ++n, wait = 0) {
    RdKafkaMessage message{rd_kafka_consumer_poll(self.client.get(), wait)};
    if (!message) break;
    self.take(std::move(message));
  }
  const bool idle = self.records.empty();
  if (!idle) take(self.records.view());
  self.records.clear();
  if (idle) self.look_for_brokers(self.client.get(), kProbe);
  if (auto fault = std::exchange(self.fault, std::nullopt)) return Failure{std::move(*fault)};
  if (idle && self.brokers_away()) return Failure{self.away_error()};
  return {};
}

void KafkaReader::Impl::take(RdKafkaMessage message) {
  const bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_end) {
    fault = Error{ErrorKind::kInvalid,
                  fmt::format("kafka: {}", rd_kafka_message_errstr(message.get()))};
    return;
  }
  Range& range = ranges.at({rd_kafka_topic_name(message->rkt), message->partition});
  // At an end the offset is the position, which a transaction's markers place after the last
  // record.
  range.next = is_end ? message->offset : message->offset + 1;
  const bool beyond = options.until && message->offset >= range.end;
  if (!is_end && !beyond) records.add(std::move(message));
}

bool KafkaReader::at_end() const {
  return std::ranges::all_of(
      impl_->ranges, [](const auto& entry) { return entry.second.next >= entry.second.end; });
}

std::int64_t KafkaReader::total() const {
  std::int64_t sum = 0;
  for (const auto& [id, range] : impl_->ranges) {
    sum += std::max<std::int64_t>(0, range.end - range.begin);
  }
  return sum;
}

std::int64_t KafkaReader::done() const {
  std::int64_t sum = 0;
  for (const auto& [id, range] : impl_->ranges) {
    sum += std::max<std::int64_t>(0, std::min(range.next, range.end) - range.begin);
  }
  return sum;
}

std::vector<Position> KafkaReader::positions() const {
  std::vector<Position> list;
  for (const auto& [id, range] : impl_->ranges) list.push_back({id, range.next});
  return list;
}

}  // namespace anomalyd::connectors
