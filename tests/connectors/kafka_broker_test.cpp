// The Kafka clients against a real Apache Kafka.
#include <unistd.h>

#include <future>
#include <set>
#include <thread>

#include "connectors/kafka/kafka_admin.hpp"
#include "connectors/kafka/kafka_reader.hpp"
#include "connectors/kafka/kafka_sinks.hpp"
#include "tests/connectors/kafka_listener.hpp"
#include "tests/support/local_kafka.hpp"
#include "tests/support/test_brokers.hpp"

namespace anomalyd::testing {
namespace {

using connectors::KafkaAdmin;
using connectors::KafkaAlertSink;
using connectors::KafkaAuditSink;
using connectors::KafkaDeadLetterSink;
using connectors::KafkaReader;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;
using From = KafkaReader::From;

/// Topics and groups that no other test, and no other run, has.
class KafkaBrokerTest : public ::testing::Test {
 protected:
  std::string make_topic(int partitions, const std::string& name = "t") {
    std::string topic = unique(name);
    const auto made = admin_->ensure_topic({.name = topic, .partitions = partitions});
    if (!made) throw std::runtime_error{made.error().message};
    return topic;
  }
  [[nodiscard]] std::string unique(const std::string& name) const {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    return std::string{test->name()} + "." + name + "." + std::to_string(::getpid()) + "." +
           std::to_string(test->result()->start_timestamp());
  }
  [[nodiscard]] KafkaSource::Options options(const std::vector<std::string>& topics) const {
    return {.kafka = {.brokers = brokers_}, .topics = topics, .group = unique("group")};
  }
  [[nodiscard]] std::unique_ptr<KafkaSource> subscribe(
      const std::vector<std::string>& topics) const {
    return KafkaSource::connect(options(topics)).value();
  }
  std::vector<Kept> read_all(const KafkaReader::Options& wanted) const {
    auto chosen = wanted;
    chosen.kafka.brokers = brokers_;
    auto opened = KafkaReader::open(std::move(chosen));
    if (!opened) throw std::runtime_error{opened.error().message};
    const auto reader = std::move(*opened);
    std::vector<Kept> records;
    for (int i = 0; i < 300 && !reader->at_end(); ++i) {
      const auto ok = reader->poll(100ms, [&](std::span<const Record> batch) {
        for (const Record& record : batch) records.push_back(keep(record));
      });
      EXPECT_TRUE(ok.has_value()) << ok.error().message;
    }
    EXPECT_TRUE(reader->at_end());
    EXPECT_EQ(reader->done(), reader->total());
    return records;
  }

  std::string brokers_ = test_brokers();
  std::unique_ptr<KafkaAdmin> admin_ = KafkaAdmin::connect({.brokers = brokers_}).value();
  std::unique_ptr<KafkaProducer> producer_ = connect_producer(brokers_);
};

TEST_F(KafkaBrokerTest, MakesATopicOnce) {
  const std::string topic = unique("t");
  const KafkaAdmin::TopicSpec spec{
      .name = topic, .partitions = 3, .config = {{"cleanup.policy", "compact"}}};
  EXPECT_TRUE(admin_->ensure_topic(spec).value());
  EXPECT_FALSE(admin_->ensure_topic(spec).value());
  EXPECT_EQ(admin_->num_partitions(topic).value(), 3);
  EXPECT_THAT(admin_->topics().value(), Contains(topic));
  const auto refused = admin_->ensure_topic({.name = unique("u"), .config = {{"no.such", "1"}}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("refused to make it"));
}

TEST_F(KafkaBrokerTest, SuggestsTheNearestTopic) {
  const std::string topic = make_topic(1);
  const auto missing = admin_->num_partitions(topic.substr(1));
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr("did you mean '" + topic + "'?"));
  const auto reader = KafkaReader::open({.kafka = {.brokers = brokers_}, .topics = {topic + "x"}});
  ASSERT_FALSE(reader.has_value());
  EXPECT_THAT(reader.error().message, HasSubstr("did you mean '" + topic + "'?"));
}

TEST_F(KafkaBrokerTest, KnowsWhereEachPartitionBeginsAndEnds) {
  const std::string topic = make_topic(2);
  produce_numbers(*producer_, topic, 0, 10);
  const auto ranges = admin_->ranges(topic).value();
  ASSERT_THAT(ranges, SizeIs(2));
  EXPECT_EQ(ranges[0].begin, 0);
  EXPECT_EQ(ranges[0].end + ranges[1].end, 10);
}

TEST_F(KafkaBrokerTest, SourceMayBeClosedWhileRecordsKeepComing) {
  const std::string topic = make_topic(4);
  produce_numbers(*producer_, topic, 0, 100);
  std::jthread stream{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      (void)producer_->send({.topic = topic, .key = {}, .value = "on and on"});
    }
  }};
  for (int i = 0; i < 3; ++i) {
    auto source = subscribe({topic});
    Listener listener;
    ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() > 1'000; }));
    source->close(listener);
    EXPECT_THAT(listener.revoked, SizeIs(4));
  }
}

TEST_F(KafkaBrokerTest, SourceGivesRecordsAsTheyWereSent) {
  const std::string topic = make_topic(1);
  const EventTime time{1'700'000'000'123ms};
  const Header headers[] = {{"site", "zrh"}, {"rack", "7"}, {"site", "gva"}};
  ASSERT_TRUE(producer_->send(
      {.topic = topic, .key = "k", .value = "v", .timestamp = time, .headers = headers}));
  ASSERT_TRUE(producer_->send({.topic = topic, .value = "plain"}));
  ASSERT_TRUE(producer_->flush(30s));
  auto chosen = options({topic});
  chosen.headers = {"rack", "absent", "site"};
  auto source = KafkaSource::connect(chosen).value();
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() == 2; }));
  const Kept& record = listener.records[0];
  EXPECT_EQ(record.partition, (PartitionId{topic, 0}));
  EXPECT_EQ(record.offset, 0);
  EXPECT_EQ(record.key, "k");
  EXPECT_EQ(record.value, "v");
  EXPECT_EQ(record.timestamp, time);
  EXPECT_THAT(record.headers, ElementsAre(Pair("rack", "7"), Pair("site", "gva")));
  EXPECT_EQ(listener.records[1].key, "");
  EXPECT_THAT(listener.records[1].headers, IsEmpty());
  source->close(listener);
}

TEST_F(KafkaBrokerTest, SourceSaysWhereAPartitionEndsAndHowFarBehindItIs) {
  const std::string topic = make_topic(1);
  produce_numbers(*producer_, topic, 0, 100);
  auto chosen = options({topic});
  chosen.max_records = 10;
  auto source = KafkaSource::connect(chosen).value();
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() == 10; }));
  const PartitionId id{topic, 0};
  EXPECT_THAT(source->lag(), ElementsAre(Pair(id, 90)));
  EXPECT_THAT(listener.ends, IsEmpty());
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.ends.contains(id); }));
  EXPECT_EQ(listener.ends[id], 100);
  EXPECT_THAT(source->lag(), ElementsAre(Pair(id, 0)));
  source->close(listener);
}

TEST_F(KafkaBrokerTest, SourceGoesOnWhereItsGroupCommitted) {
  const std::string topic = make_topic(1);
  produce_numbers(*producer_, topic, 0, 100);
  const Position place{{topic, 0}, 60};
  {
    auto source = subscribe({topic});
    Listener listener;
    ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() == 100; }));
    listener.on_revoke = [&] { source->commit({&place, 1}); };
    source->close(listener);
    EXPECT_EQ(listener.revoked, std::vector{place.partition});
    EXPECT_FALSE(listener.any_lost);
  }
  auto source = subscribe({topic});
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() >= 40; }));
  EXPECT_THAT(listener.values(), ElementsAreArray(numbers(60, 40)));
  source->close(listener);
}

TEST_F(KafkaBrokerTest, SourceBeginsWhereItsOwnerWants) {
  const std::string topic = make_topic(1);
  produce_numbers(*producer_, topic, 0, 100);
  auto source = subscribe({topic});
  Listener listener;
  listener.starts = {{{topic, 0}, 95}};
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() >= 5; }));
  EXPECT_THAT(listener.values(), ElementsAreArray(numbers(95, 5)));
  source->close(listener);
}

TEST_F(KafkaBrokerTest, SourceFollowsTopicsByRegularExpression) {
  const std::string first = make_topic(1, "cpu");
  const std::string second = make_topic(1, "mem");
  produce_numbers(*producer_, first, 0, 5);
  produce_numbers(*producer_, second, 5, 5);
  auto source = subscribe({"^" + unique("cpu") + "$|^" + unique("mem") + "$"});
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() >= 10; }));
  EXPECT_THAT(listener.values(), UnorderedElementsAreArray(numbers(0, 10)));
  source->close(listener);
}

TEST_F(KafkaBrokerTest, SourceSaysThatATopicDoesNotExist) {
  auto source = subscribe({unique("none")});
  Listener listener;
  Status status;
  for (int i = 0; i < 300 && status.has_value(); ++i) status = source->poll(100ms, listener);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(status.error().message, HasSubstr(unique("none")));
  source->close(listener);
}

TEST_F(KafkaBrokerTest, MembersShareThePartitionsAndKeepTheirOwn) {
  const std::string topic = make_topic(6);
  auto first = subscribe({topic});
  Listener one;
  ASSERT_TRUE(poll_until(*first, one, [&] { return one.assigned.size() == 6; }));
  auto second = subscribe({topic});
  Listener two;
  ASSERT_TRUE(poll_until(*first, one, [&] {
    (void)second->poll(50ms, two);
    return two.assigned.size() == 3 && one.assigned.size() == 3;
  }));
  EXPECT_THAT(one.revoked, SizeIs(3)) << "only what moved was taken away";

  second->close(two);
  second.reset();
  ASSERT_TRUE(poll_until(*first, one, [&] { return one.assigned.size() == 6; }));
  EXPECT_THAT(one.revoked, SizeIs(3));
  produce_numbers(*producer_, topic, 0, 60);
  ASSERT_TRUE(poll_until(*first, one, [&] { return one.records.size() >= 60; }));
  EXPECT_THAT(one.values(), UnorderedElementsAreArray(numbers(0, 60)));
  first->close(one);
}

TEST_F(KafkaBrokerTest, ReaderReadsEverythingOrTheEndOrFromATime) {
  const std::string topic = make_topic(2);
  for (int i = 0; i < 100; ++i) {
    const std::string text = std::to_string(i);
    ASSERT_TRUE(producer_->send({.topic = topic,
                                 .key = i % 2 == 0 ? "a" : "giberish123456789",
                                 .value = text,
                                 .timestamp = EventTime{std::chrono::seconds{1'700'000'000 + i}}}));
  }
  ASSERT_TRUE(producer_->flush(30s));
  EXPECT_THAT(read_all({.topics = {topic}}), SizeIs(100));
  EXPECT_THAT(read_all({.topics = {topic}, .from = From::kEnd}), IsEmpty());
  const auto since =
      read_all({.topics = {topic}, .from = From::kTime, .time = EventTime{1'700'000'090s}});
  EXPECT_THAT(since, SizeIs(10));
  const auto range = read_all({.topics = {topic},
                               .from = From::kTime,
                               .time = EventTime{1'700'000'040s},
                               .until = EventTime{1'700'000'060s}});
  std::vector<std::string> values;
  for (const Kept& record : range) values.push_back(record.value);
  EXPECT_THAT(values, UnorderedElementsAreArray(numbers(40, 20)));
}

TEST_F(KafkaBrokerTest, ReaderReadsTheLastRecordsOfAPartitionOrFromOffsets) {
  const std::string topic = make_topic(1);
  produce_numbers(*producer_, topic, 0, 100);
  const auto tail = read_all({.topics = {topic}, .from = From::kTail, .tail = 3});
  ASSERT_THAT(tail, SizeIs(3));
  EXPECT_EQ(tail[0].value, "97");
  const auto from = read_all({.topics = {topic}, .positions = {{{topic, 0}, 99}}});
  ASSERT_THAT(from, SizeIs(1));
  EXPECT_EQ(from[0].value, "99");
}

TEST_F(KafkaBrokerTest, ReaderMayFollowATopicBeyondItsEnd) {
  const std::string topic = make_topic(1);
  produce_numbers(*producer_, topic, 0, 3);
  auto reader =
      KafkaReader::open({.kafka = {.brokers = brokers_}, .topics = {topic}, .from = From::kEnd})
          .value();
  EXPECT_TRUE(reader->at_end());
  produce_numbers(*producer_, topic, 3, 2);
  std::vector<std::string> values;
  for (int i = 0; i < 300 && values.size() < 2; ++i) {
    ASSERT_TRUE(reader
                    ->poll(100ms,
                           [&](std::span<const Record> records) {
                             for (const Record& record : records) values.emplace_back(record.value);
                           })
                    .has_value());
  }
  EXPECT_THAT(values, ElementsAreArray(numbers(3, 2)));
}

TEST_F(KafkaBrokerTest, ProducerPutsAKeyWhereJavaProducersPutIt) {
  const std::string topic = make_topic(7);
  // (murmur2(key) & 0x7fffffff) % 7, with the hashes of Kafka's own tests.
  const std::pair<std::string, std::int32_t> keys[] = {
      {"kafka", 0x5067cf64 % 7}, {"giberish123456789", 0x0f552b0c % 7}, {"1234", 0x1fc97b14 % 7}};
  for (const auto& [key, partition] : keys) {
    ASSERT_TRUE(producer_->send({.topic = topic, .key = key, .value = key}));
  }
  ASSERT_TRUE(producer_->flush(30s));
  const auto records = read_all({.topics = {topic}});
  ASSERT_THAT(records, SizeIs(3));
  for (const Kept& record : records) {
    const auto* expected =
        std::ranges::find(keys, record.key, [](const auto& entry) { return entry.first; });
    EXPECT_EQ(record.partition.partition, expected->second) << record.key;
  }
}

TEST_F(KafkaBrokerTest, AlertsAreKeyedByIncidentAndInOrder) {
  const std::string topic = make_topic(4);
  auto sink = KafkaAlertSink::connect({.kafka = {.brokers = brokers_}, .topic = topic}).value();
  int acknowledged = 0;
  for (const auto state : {AlertState::kOpen, AlertState::kUpdate, AlertState::kResolve}) {
    Alert alert;
    alert.id = "5f0c9d3e1b7a4c21";
    alert.series = "web-07";
    alert.state = state;
    sink->send(alert, [&](const Status& status) { acknowledged += status.has_value() ? 1 : 0; });
  }
  ASSERT_TRUE(sink->flush(30s).has_value());
  EXPECT_EQ(acknowledged, 3);
  const auto records = read_all({.topics = {topic}, .headers = {"content-type"}});
  ASSERT_THAT(records, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(records[i].key, "5f0c9d3e1b7a4c21");
    EXPECT_EQ(records[i].partition, records[0].partition);
    EXPECT_THAT(records[i].headers,
                ElementsAre(Pair("content-type", connectors::kAlertContentType)));
    EXPECT_EQ(connectors::parse_alert(records[i].value).value().state, static_cast<AlertState>(i));
  }
}

TEST_F(KafkaBrokerTest, AlertSinkSaysThatItsTopicDoesNotExist) {
  const std::string topic = unique("none");
  auto sink = KafkaAlertSink::connect(
                  {.kafka = {.brokers = brokers_,
                             .properties = {{"topic.metadata.propagation.max.ms", "500"}}},
                   .topic = topic})
                  .value();
  std::promise<Status> outcome;
  auto future = outcome.get_future();
  sink->send({}, [&](Status status) { outcome.set_value(std::move(status)); });
  ASSERT_EQ(future.wait_for(30s), std::future_status::ready);
  const Status status = future.get();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(status.error().message, HasSubstr("kafka topic '" + topic + "'"));
}

TEST_F(KafkaBrokerTest, DeadLettersKeepTheirBytesAndSayWhereTheyCameFrom) {
  const std::string topic = make_topic(1);
  auto sink =
      KafkaDeadLetterSink::connect({.kafka = {.brokers = brokers_}, .topic = topic}).value();
  const std::string bytes{"\x00\xff not json", 11};
  const EventTime time{1'700'000'000'000ms};
  sink->send(
      {.partition = 3, .topic = "in", .offset = 42, .timestamp = time, .key = "k", .value = bytes},
      {RejectReason::kMalformed, "not valid JSON"});
  ASSERT_TRUE(sink->flush(30s).has_value());
  const auto records = read_all(
      {.topics = {topic}, .headers = {"reason", "detail", "topic", "partition", "offset"}});
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].value, bytes);
  EXPECT_EQ(records[0].key, "k");
  EXPECT_EQ(records[0].timestamp, time);
  EXPECT_THAT(records[0].headers,
              ElementsAre(Pair("reason", "malformed"), Pair("detail", "not valid JSON"),
                          Pair("topic", "in"), Pair("partition", "3"), Pair("offset", "42")));
  EXPECT_EQ(sink->num_dropped(), 0u);
}

TEST_F(KafkaBrokerTest, AuditLinesAreKeyedByGroup) {
  const std::string topic = make_topic(1);
  auto sink = KafkaAuditSink::connect({.kafka = {.brokers = brokers_}, .topic = topic}).value();
  sink->send("load,heat", R"({"event":"promoted"})");
  ASSERT_TRUE(sink->flush(30s).has_value());
  const auto records = read_all({.topics = {topic}, .headers = {"content-type"}});
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].key, "load,heat");
  EXPECT_EQ(records[0].value, R"({"event":"promoted"})");
  EXPECT_THAT(records[0].headers, ElementsAre(Pair("content-type", "application/json")));
}

TEST(KafkaRestart, LosesAndRepeatsNothingThatWasSentWhileTheBrokerWasStopped) {
  LocalKafka kafka{::testing::TempDir() + "anomalyd-restart-" + std::to_string(::getpid())};
  auto admin = KafkaAdmin::connect({.brokers = kafka.brokers()}).value();
  ASSERT_TRUE(admin->ensure_topic({.name = "t", .partitions = 1}).value());
  auto producer = connect_producer(kafka.brokers());
  produce_numbers(*producer, "t", 0, 100);
  auto source =
      KafkaSource::connect({.kafka = {.brokers = kafka.brokers()}, .topics = {"t"}}).value();
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() == 100; }));
  const Position place{{"t", 0}, 100};
  source->commit({&place, 1});

  kafka.stop();
  for (const auto& number : numbers(100, 100)) {
    ASSERT_TRUE(producer->send({.topic = "t", .value = number}).has_value());
  }
  Status status;
  EXPECT_TRUE(poll_until(*source, listener, [&] {
    status = source->poll(50ms, listener);
    return !status.has_value();
  }));
  EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(producer->brokers_away());

  kafka.start();
  const auto flushed = producer->flush(60s);
  ASSERT_TRUE(flushed.has_value()) << flushed.error().message;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() >= 200; }));
  EXPECT_THAT(listener.values(), ElementsAreArray(numbers(0, 200)));
  EXPECT_FALSE(listener.any_lost);
  source->close(listener);
}

}  // namespace
}  // namespace anomalyd::testing
