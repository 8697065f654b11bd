// The whole daemon in this process, against a real Kafka: records that cannot be used.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "config/load.hpp"
#include "connectors/kafka/kafka_admin.hpp"
#include "connectors/kafka/kafka_producer.hpp"
#include "connectors/kafka/kafka_reader.hpp"
#include "daemon/core/time.hpp"
#include "daemon/runtime/http_client.hpp"
#include "daemon/wiring.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/test_brokers.hpp"

namespace anomalyd::testing {
namespace {

using connectors::KafkaAdmin;
using connectors::KafkaProducer;
using connectors::KafkaReader;
using nlohmann::json;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr int kTrainingRows = 128, kRows = 400, kMachines = 2;
constexpr std::int64_t kStart = 1'790'000'000'000;  // milliseconds

/// A record for every reason there is. The key of each is its reason.
std::map<std::string, std::string> bad_records() {
  return {{"malformed", R"({"series":"m-0","ts":)"},
          {"wrong_type", R"({"series":"m-0","ts":true,"cpu":1})"},
          {"no_series", R"({"series":"","ts":1790000000000,"cpu":1})"},
          {"no_time", R"({"series":"m-0","ts":null,"cpu":1})"},
          {"time_absurd", R"({"series":"m-0","ts":1,"cpu":1})"},
          {"no_channels", R"({"series":"m-0","ts":1790000000000})"},
          {"too_long", fmt::format(R"({{"series":"m-0","note":"{}"}})", std::string(2000, 'x'))},
          {"too_many_series", R"({"series":"m-99","ts":1790000000000,"cpu":1})"},
          {"too_many_channels", R"({"series":"m-0","ts":1790000000000,"a":1,"b":2,"c":3})"}};
}

std::string good_record(int machine, int row) {
  return fmt::format(R"({{"series":"m-{}","ts":{},"cpu":{},"memory":{}}})", machine,
                     kStart + row * 60'000, 40 + 10 * std::sin(row * 0.1) + row * 7 % 5,
                     60 + 5 * std::cos(row * 0.1) + row * 11 % 7);
}

/// The configuration of a daemon on `topic` that keeps its state in `folder`.
config::Options configuration(const std::string& brokers, const std::string& topic,
                              const std::filesystem::path& folder) {
  const auto loaded =
      config::load(fmt::format(R"(
kafka: {{brokers: ["{0}"], group: {1}, properties: {{group.instance.id: {1}}}}}
input:
  topics: [{1}]
  dead_letter_topic: {1}-dead
  series: {{from: [series]}}
  time: {{field: ts, unit: ms}}
  max_record_bytes: 1KiB
  max_series: {2}
  max_channels: {2}
window: {{period: 1m}}
training: {{rows: {3}, provisional_rows: 64}}
alerts: {{topic: {1}-alerts}}
state: {{dir: {4}, snapshot_interval: 1s}}
http: {{listen: "127.0.0.1:0"}}
)",
                               brokers, topic, kMachines, kTrainingRows, folder.string()),
                   "rejects.yaml", {});
  if (!loaded.problems.empty()) {
    throw std::runtime_error{config::format_problems(loaded.problems, loaded.file)};
  }
  return loaded.options;
}

class RejectsScenario : public ::testing::Test {
 public:
  RejectsScenario() {
    const auto admin = KafkaAdmin::connect({.brokers = brokers_}).value();
    EXPECT_TRUE(admin->ensure_topic({.name = topic_, .partitions = 1}).value());
    service_ =
        build_service(configuration(brokers_, topic_, folder_.path()), system_clock()).value();
    thread_ = std::thread{[this] { exit_code_ = service_->run(); }};
  }
  ~RejectsScenario() override {
    if (thread_.joinable()) stop();
  }

 protected:
  /// Publishes good rows, and every bad record once in their middle.
  void publish() {
    const auto producer = KafkaProducer::connect({.kafka = {.brokers = brokers_}}).value();
    const auto send = [&](const std::string& key, const std::string& value) {
      ASSERT_TRUE(producer->send({.topic = topic_, .key = key, .value = value}).has_value());
      ++num_sent_;
    };
    for (int row = 0; row < kRows; ++row) {
      for (int machine = 0; machine < kMachines; ++machine) {
        send(fmt::format("m-{}", machine), good_record(machine, row));
      }
      if (row != kRows / 2) continue;
      for (const auto& [reason, value] : bad_records()) send(reason, value);
    }
    ASSERT_TRUE(producer->flush(30s).has_value());
  }

  std::string get(const std::string& path) {
    const auto reply = runtime::http_get(service_->http_address(), path, 5s);
    return reply ? reply->body : "null";
  }
  /// Waits until the daemon's status is as wanted, at most a minute.
  bool wait_until(const std::function<bool(const json& status)>& wanted) {
    const MonotonicTime end = system_clock().monotonic() + 60s;
    while (system_clock().monotonic() < end) {
      if (wanted(json::parse(get("/status")))) return true;
      std::this_thread::sleep_for(100ms);
    }
    return false;
  }
  void stop() {
    service_->stop();
    thread_.join();
  }

  struct DeadLetter {
    std::string value;
    std::map<std::string, std::string> headers;
  };
  /// By the key of the record.
  std::map<std::string, DeadLetter> dead_letters() {
    const auto reader =
        KafkaReader::open({.kafka = {.brokers = brokers_},
                           .topics = {topic_ + "-dead"},
                           .headers = {"reason", "detail", "topic", "partition", "offset"}})
            .value();
    std::map<std::string, DeadLetter> letters;
    for (int i = 0; i < 300 && !reader->at_end(); ++i) {
      (void)reader->poll(100ms, [&](std::span<const Record> records) {
        for (const Record& record : records) {
          DeadLetter& letter = letters[std::string{record.key}];
          letter.value = record.value;
          for (const Header& header : record.headers) {
            letter.headers.emplace(header.name, header.value);
          }
        }
      });
    }
    return letters;
  }

  const std::string brokers_ = test_brokers();
  const std::string topic_ = fmt::format("rejects-{}", ::getpid());
  const TemporaryFolder folder_;
  std::unique_ptr<runtime::Service> service_;
  std::thread thread_;
  std::atomic<int> exit_code_ = -1;
  std::int64_t num_sent_ = 0;
};

TEST_F(RejectsScenario, CountsKeepsAndPassesByEveryBadRecordAndJudgesTheGoodOnes) {
  publish();
  ASSERT_TRUE(wait_until([this](const json& status) {
    return !status["partitions"].empty() && status["partitions"][0]["finished_offset"] == num_sent_;
  })) << get("/status");

  const std::string metrics = get("/metrics");
  for (const auto& [reason, value] : bad_records()) {
    EXPECT_THAT(metrics, HasSubstr(fmt::format(
                             "anomalyd_records_rejected_total{{reason=\"{}\"}} 1\n", reason)));
  }
  EXPECT_TRUE(wait_until([](const json& status) {
    return status["judged"]["windows"] == kMachines * (kRows - kTrainingRows);
  })) << get("/status");
  stop();
  EXPECT_EQ(exit_code_, 0);

  const auto letters = dead_letters();
  EXPECT_EQ(letters.size(), bad_records().size());
  int offset = (kRows / 2 + 1) * kMachines;
  for (const auto& [reason, value] : bad_records()) {
    const auto letter = letters.find(reason);
    ASSERT_NE(letter, letters.end()) << reason;
    EXPECT_EQ(letter->second.value, value);
    auto headers = letter->second.headers;
    EXPECT_EQ(headers["reason"], reason);
    EXPECT_EQ(headers["topic"], topic_);
    EXPECT_FALSE(headers["detail"].empty()) << reason;
    EXPECT_EQ(headers["partition"], "0");
    EXPECT_EQ(headers["offset"], std::to_string(offset++));
  }
}

// Were the folder looked at last, the second one would by then have driven the first out of the
// group.
TEST_F(RejectsScenario, LeavesTheFirstDaemonAloneWhenAnotherWantsItsFolder) {
  const auto assigned = [](const json& status) { return !status["partitions"].empty(); };
  ASSERT_TRUE(wait_until(assigned)) << get("/status");
  const auto second =
      build_service(configuration(brokers_, topic_, folder_.path()), system_clock());
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("opening the state folder"));
  publish();
  EXPECT_TRUE(wait_until([this](const json& status) {
    return status["partitions"][0]["finished_offset"] == num_sent_;
  })) << get("/status");
  stop();
  EXPECT_EQ(exit_code_, 0);
}

}  // namespace
}  // namespace anomalyd::testing
