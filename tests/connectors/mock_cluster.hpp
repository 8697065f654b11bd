#pragma once

#include <memory>
#include <string>

namespace anomalyd::testing {

/// librdkafka's cluster inside the process: for faults a real broker cannot be asked for. It knows
/// groups and commits, but neither transactions, compaction, admin calls nor seeking by time.
///
/// Its interface is experimental, so every call to it is in mock_cluster.cpp.
class MockCluster {
 public:
  MockCluster();
  ~MockCluster();

  [[nodiscard]] const std::string& brokers() const { return brokers_; }
  void create_topic(const std::string& name, int partitions);
  void take_broker_down();  ///< Connections break and are refused.
  void bring_broker_up();

  enum class Request { kProduce, kOffsetCommit };
  /// The next `times` requests of this kind are refused: produce with "not enough replicas", which
  /// a client tries again, commits with "metadata too large", which it does not.
  void fail_next(Request request, int times);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::string brokers_;
};

}  // namespace anomalyd::testing
