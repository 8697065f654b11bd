#pragma once

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace anomalyd::testing {

/// Returns the bootstrap address of the Kafka that tests labelled `kafka` share: the cluster named
/// by ANOMALYD_TEST_BROKERS, else the broker that ctest started (tests/CMakeLists.txt).
///
/// Other tests, and other runs, use the same broker: take topic and group names nobody else has,
/// and create topics before use, for a mistyped one is an error there.
/// Errors   throws, which fails the test with this sentence, when there is neither.
inline std::string test_brokers() {
  if (const char* brokers = std::getenv("ANOMALYD_TEST_BROKERS"); brokers && *brokers) {
    return brokers;
  }
  const char* path = std::getenv("ANOMALYD_TEST_BROKERS_FILE");
  std::string address;
  if (!path || !std::getline(std::ifstream{path}, address)) {
    throw std::runtime_error{
        "no Kafka to test against; run this test by `ctest -L kafka`, or set "
        "ANOMALYD_TEST_BROKERS to the last line of `tools/kafka-local up`"};
  }
  return address;
}

}  // namespace anomalyd::testing
