// What the Kafka clients do when brokers go away or refuse: against librdkafka's mock cluster.
#include <atomic>
#include <future>
#include <map>
#include <set>

#include "connectors/kafka/kafka_sinks.hpp"
#include "tests/connectors/kafka_listener.hpp"
#include "tests/connectors/mock_cluster.hpp"

namespace anomalyd::testing {
namespace {

using connectors::KafkaAlertSink;
using connectors::KafkaDeadLetterSink;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::unique_ptr<KafkaSource> subscribe(const std::string& brokers, const std::string& topic) {
  return KafkaSource::connect({.kafka = {.brokers = brokers,
                                         .properties = {{"fetch.wait.max.ms", "10"},
                                                        {"session.timeout.ms", "6000"}}},
                               .topics = {topic},
                               .group = "g",
                               .close_timeout = 3s})
      .value();
}

TEST(KafkaSource, SaysThatBrokersAreAwayAndGoesOnWhenTheyAreBack) {
  MockCluster cluster;
  cluster.create_topic("in", 1);
  auto producer = connect_producer(cluster.brokers());
  produce_numbers(*producer, "in", 0, 100);
  auto source = subscribe(cluster.brokers(), "in");
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() == 100; }));
  EXPECT_FALSE(source->brokers_away());

  cluster.take_broker_down();
  Status status;
  EXPECT_TRUE(poll_until(*source, listener, [&] {
    status = source->poll(10ms, listener);
    return !status.has_value();
  }));
  EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(status.error().message, HasSubstr("no broker answers"));
  EXPECT_TRUE(source->brokers_away());

  cluster.bring_broker_up();
  produce_numbers(*producer, "in", 100, 100);
  // Records fetched before may come first; a broker's answer ends the outage.
  ASSERT_TRUE(poll_until(*source, listener, [&] {
    return listener.records.size() >= 200 && !source->brokers_away();
  }));
  EXPECT_THAT(listener.values(), ElementsAreArray(numbers(0, 200)));
}

TEST(KafkaSource, LosesNothingAroundPauseAndResume) {
  MockCluster cluster;
  cluster.create_topic("in", 4);
  auto producer = connect_producer(cluster.brokers());
  produce_numbers(*producer, "in", 0, 20'000);
  auto source = subscribe(cluster.brokers(), "in");
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return !listener.records.empty(); }));
  for (int i = 0; i < 10; ++i) {
    const auto partitions = listener.assigned;
    source->pause(partitions);
    (void)source->poll(10ms, listener);
    const auto paused_at = listener.records.size();
    for (int j = 0; j < 3; ++j) (void)source->poll(10ms, listener);
    EXPECT_EQ(listener.records.size(), paused_at) << "records came while everything was paused";
    source->resume(partitions);
    (void)source->poll(50ms, listener);
  }
  // Counted are places in the topic: a producer that was not answered in time writes a record
  // twice.
  const auto distinct_values = [&] {
    const auto values = listener.values();
    return std::set(values.begin(), values.end()).size();
  };
  ASSERT_TRUE(poll_until(*source, listener, [&] {
    return listener.records.size() >= 20'000 && distinct_values() == 20'000;
  })) << "some records were lost";
  std::map<PartitionId, Offset> next;
  for (const Kept& record : listener.records) {
    ASSERT_EQ(record.offset, next[record.partition]) << "records are lost, or came twice";
    ++next[record.partition];
  }
}

TEST(KafkaSource, CountsACommitThatFailsAndMakesItGoodWithTheNext) {
  MockCluster cluster;
  cluster.create_topic("in", 1);
  auto producer = connect_producer(cluster.brokers());
  produce_numbers(*producer, "in", 0, 10);
  auto source = subscribe(cluster.brokers(), "in");
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() == 10; }));
  cluster.fail_next(MockCluster::Request::kOffsetCommit, 1);
  const Position place{{"in", 0}, 7};
  source->commit({&place, 1});
  EXPECT_TRUE(
      poll_until(*source, listener, [&] { return source->counters().commit_failures == 1; }));

  listener.on_revoke = [&] { source->commit({&place, 1}); };
  source->close(listener);
  EXPECT_EQ(source->counters().commit_failures, 1u);
  source.reset();

  auto second = subscribe(cluster.brokers(), "in");
  Listener later;
  ASSERT_TRUE(poll_until(*second, later, [&] { return later.records.size() == 3; }));
  EXPECT_THAT(later.values(), ElementsAreArray(numbers(7, 3)));
  second->close(later);
}

/// It has read a record and will commit when it closes; its broker is gone.
class AbandonedKafkaSource : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.create_topic("in", 1);
    produce_numbers(*connect_producer(cluster_.brokers()), "in", 0, 1);
    source_ = subscribe(cluster_.brokers(), "in");
    ASSERT_TRUE(poll_until(*source_, listener_, [&] { return listener_.records.size() == 1; }));
    cluster_.take_broker_down();
    listener_.on_revoke = [this] {
      const Position place{{"in", 0}, 1};
      source_->commit({&place, 1});
    };
  }

  MockCluster cluster_;
  std::unique_ptr<KafkaSource> source_;
  Listener listener_;
};

TEST_F(AbandonedKafkaSource, ClosesInTime) {
  source_->close(listener_);
  EXPECT_THAT(listener_.revoked, SizeIs(1)) << "the owner hears of it all the same";
}

TEST_F(AbandonedKafkaSource, AsksForNoCommitThatNobodyCanAnswer) {
  ASSERT_TRUE(poll_until(*source_, listener_, [&] { return source_->brokers_away(); }));
  source_->close(listener_);
  EXPECT_EQ(source_->counters().commit_failures, 0u) << "it waited in vain";
}

TEST(KafkaSource, MayBeClosedBeforeItHadAPartition) {
  auto source = subscribe("127.0.0.1:1", "in");
  Listener listener;
  for (int i = 0; i < 100 && source->poll(20ms, listener).has_value(); ++i) {
  }
  EXPECT_TRUE(source->brokers_away());
  source->close(listener);
  EXPECT_EQ(listener.num_assignments, 0);
}

TEST(KafkaProducer, KeepsOrderAndLosesNothingWhileTheBrokerIsAway) {
  MockCluster cluster;
  cluster.create_topic("out", 1);
  auto producer = connect_producer(cluster.brokers());
  produce_numbers(*producer, "out", 0, 10);
  cluster.take_broker_down();
  std::atomic<int> done = 0;
  for (const auto& number : numbers(10, 500)) {
    ASSERT_TRUE(producer
                    ->send({.topic = "out", .value = number},
                           [&](Status status) { done += status.has_value() ? 1 : -1000; })
                    .has_value());
  }
  EXPECT_FALSE(producer->flush(300ms).has_value());
  EXPECT_EQ(done, 0);
  cluster.bring_broker_up();
  ASSERT_TRUE(producer->flush(30s).has_value());
  EXPECT_EQ(done, 500);

  auto source = subscribe(cluster.brokers(), "out");
  Listener listener;
  ASSERT_TRUE(poll_until(*source, listener, [&] { return listener.records.size() >= 510; }));
  EXPECT_THAT(listener.values(), ElementsAreArray(numbers(0, 510)));
}

TEST(KafkaProducer, TriesAgainWhenTheBrokerRefusesForNow) {
  MockCluster cluster;
  cluster.create_topic("out", 1);
  auto producer = connect_producer(cluster.brokers());
  produce_numbers(*producer, "out", 0, 1);
  cluster.fail_next(MockCluster::Request::kProduce, 3);
  produce_numbers(*producer, "out", 1, 10);
  EXPECT_EQ(producer->num_failed(), 0u);
}

TEST(KafkaProducer, RefusesWhenItsQueueIsFullAndCancelsWhatWaitsAtItsEnd) {
  auto producer =
      KafkaProducer::connect({.kafka = {.brokers = "127.0.0.1:1"}, .queue_messages = 2}).value();
  std::vector<ErrorKind> outcomes;
  const auto note = [&](Status status) { outcomes.push_back(status.error().kind); };
  using When = KafkaProducer::WhenFull;
  EXPECT_TRUE(producer->send({.topic = "out", .value = "1"}, note, When::kRefuse).has_value());
  EXPECT_TRUE(producer->send({.topic = "out", .value = "2"}, note, When::kRefuse).has_value());
  const auto refused = producer->send({.topic = "out", .value = "3"}, note, When::kRefuse);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("2 messages wait"));
  EXPECT_THAT(outcomes, IsEmpty());
  producer.reset();
  EXPECT_THAT(outcomes, ::testing::ElementsAre(ErrorKind::kCancelled, ErrorKind::kCancelled));
}

TEST(KafkaAlertSink, ReportsAnAlertOnlyWhenTheBrokerHasIt) {
  MockCluster cluster;
  cluster.create_topic("anomalies", 4);
  auto sink = KafkaAlertSink::connect({.kafka = {.brokers = cluster.brokers()}}).value();
  cluster.take_broker_down();
  Alert alert;
  alert.id = "i1";
  std::promise<Status> outcome;
  auto future = outcome.get_future();
  sink->send(alert, [&](Status status) { outcome.set_value(std::move(status)); });
  EXPECT_EQ(future.wait_for(300ms), std::future_status::timeout);
  EXPECT_EQ(sink->num_waiting(), 1u);
  cluster.bring_broker_up();
  ASSERT_EQ(future.wait_for(30s), std::future_status::ready);
  EXPECT_TRUE(future.get().has_value());
}

TEST(KafkaDeadLetterSink, DropsAndCountsInsteadOfWaiting) {
  auto sink = KafkaDeadLetterSink::connect(
                  {.kafka = {.brokers = "127.0.0.1:1"}, .topic = "dead", .give_up_after = 1s})
                  .value();
  for (int i = 0; i < 10'500; ++i) {
    sink->send({.topic = "in", .timestamp = {}, .key = "", .value = "?"},
               {RejectReason::kMalformed, ""});
  }
  EXPECT_EQ(sink->num_dropped(), 500u) << "its queue holds 10 000";
  EXPECT_TRUE(sink->flush(30s).has_value());
  EXPECT_EQ(sink->num_dropped(), 10'500u) << "the rest was given up after a second";
}

}  // namespace
}  // namespace anomalyd::testing
