#include "connectors/kafka/kafka_client.hpp"

#include <gmock/gmock.h>

#include "tests/connectors/mock_cluster.hpp"

namespace anomalyd::connectors {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(KafkaClientState, FindsOutWhetherTheConnectionThatFailedWasTheLast) {
  anomalyd::testing::MockCluster cluster;
  KafkaClientState state{{}};
  auto conf = make_conf({.brokers = cluster.brokers(), .properties = {}}, {}, state).value();
  const auto client = make_producer(std::move(conf)).value();
  const auto look = [&](auto timeout) { state.look_for_brokers(client.get(), timeout); };

  state.connection_failed("one of several");
  EXPECT_FALSE(state.brokers_away()) << "nobody has looked";
  look(20s);
  EXPECT_FALSE(state.brokers_away()) << "another one answers";

  cluster.take_broker_down();
  look(20s);
  EXPECT_FALSE(state.brokers_away()) << "nothing was reported, so nobody was asked";
  state.connection_failed("the last");
  look(300ms);
  EXPECT_FALSE(state.brokers_away()) << "it may be slow";
  look(2s);
  EXPECT_TRUE(state.brokers_away());
  EXPECT_THAT(state.away_error().message, HasSubstr("no broker answers (the last)"));

  cluster.bring_broker_up();
  look(20s);
  EXPECT_FALSE(state.brokers_away());
}

}  // namespace
}  // namespace anomalyd::connectors
