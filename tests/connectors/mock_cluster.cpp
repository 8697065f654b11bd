#include "tests/connectors/mock_cluster.hpp"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace anomalyd::testing {
namespace {

constexpr int kBroker = 1;
constexpr std::int16_t kProduceKey = 0;
constexpr std::int16_t kOffsetCommitKey = 8;

}  // namespace

struct MockCluster::Impl {
  Impl() : owner{make_owner()}, cluster{rd_kafka_mock_cluster_new(owner, 1)} {}
  ~Impl() {
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
  }
  static rd_kafka_t* make_owner() {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr);  // that it has no brokers of its own is no news
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  }

  rd_kafka_t* owner;
  rd_kafka_mock_cluster_t* cluster;
};

MockCluster::MockCluster()
    : impl_{std::make_unique<Impl>()}, brokers_{rd_kafka_mock_cluster_bootstraps(impl_->cluster)} {}
MockCluster::~MockCluster() = default;

void MockCluster::create_topic(const std::string& name, int partitions) {
  rd_kafka_mock_topic_create(impl_->cluster, name.c_str(), partitions, 1);
}
void MockCluster::take_broker_down() { rd_kafka_mock_broker_set_down(impl_->cluster, kBroker); }
void MockCluster::bring_broker_up() { rd_kafka_mock_broker_set_up(impl_->cluster, kBroker); }

void MockCluster::fail_next(Request request, int times) {
  for (int i = 0; i < times; ++i) {
    if (request == Request::kProduce) {
      rd_kafka_mock_push_request_errors(impl_->cluster, kProduceKey, 1,
                                        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    } else {
      rd_kafka_mock_push_request_errors(impl_->cluster, kOffsetCommitKey, 1,
                                        RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
    }
  }
}

}  // namespace anomalyd::testing
