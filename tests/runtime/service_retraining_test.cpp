// Retraining of a running service: from the request to the swap, and what may go otherwise.

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "connectors/codec/sample_decoder.hpp"
#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/service.hpp"
#include "tests/support/memory_feed.hpp"
#include "tests/support/memory_io.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using anomalyd::testing::MemoryFeed;
using anomalyd::testing::MemorySink;
using anomalyd::testing::MemorySource;
using anomalyd::testing::MemoryTopic;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::RequestRecords;
using anomalyd::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::size_t kTrainingRows = 800;
constexpr std::size_t kRowsBefore = 2600;  // that have been written when retraining begins

MemoryTopic two_machines(std::size_t rows) {
  MemoryTopic topic;
  std::mt19937 random{5};
  std::normal_distribution<double> noise{0, 1};
  for (std::size_t t = 0; t < rows; ++t) {
    for (int machine = 0; machine < 2; ++machine) {
      topic.records[machine].push_back(R"({"series":"m)" + std::to_string(machine) + R"(","ts":)" +
                                       std::to_string(1'700'000'000 + t) + R"(,"load":)" +
                                       std::to_string(40 + noise(random)) + R"(,"heat":)" +
                                       std::to_string(20 + noise(random)) + "}");
    }
  }
  return topic;
}

class ServiceRetraining : public ::testing::Test {
 protected:
  ServiceRetraining() {
    (void)spdlog::default_logger();
    options_.state_dir = folder_.path();
    options_.snapshot_interval = 20ms;
    options_.status_interval = 20ms;
    options_.threads = 2;
    options_.poll.poll_timeout = 1ms;
    options_.batch.max_delay = 1ms;
    options_.http.listen = "127.0.0.1:0";
    options_.origin.seed = 7;
    options_.gate.faults = 4;
    pipeline_.training.rows = kTrainingRows;
    pipeline_.retraining.schedule = {};
    pipeline_.retraining.unseen_share = 0.25;
    pipeline_.retraining.shadow_rows = 400;
    pipeline_.retraining.shadow_time = 100s;
    pipeline_.retraining.drift.enabled = false;
  }
  void TearDown() override { stop(); }

  /// Runs until the rows that are there have been judged.
  void start() {
    topic_.written->store(kRowsBefore);
    reads_commands_ = false;
    Service::Parts parts;
    parts.source = std::make_unique<MemorySource>(topic_);
    parts.decoder = connectors::SampleDecoder::create({}, system_clock()).value();
    parts.alerts = std::make_unique<MemorySink>(log_);
    auto factory = std::make_unique<PersistenceFactory>();
    factory_ = factory.get();
    parts.models = std::move(factory);
    parts.open_control = [this](const std::optional<std::vector<Position>>& from)
        -> Result<std::unique_ptr<RecordFeed>> {
      auto feed =
          std::make_unique<MemoryFeed>(commands_, from ? from->front().offset : commands_.size());
      reads_commands_ = true;
      return feed;
    };
    auto service = Service::create(options_, pipeline_, std::move(parts), system_clock());
    ASSERT_TRUE(service) << service.error().message;
    service_ = *std::move(service);
    running_ = std::async(std::launch::async, [this] { return service_->run(); });
    ASSERT_TRUE(eventually([&] {
      const auto status = service_->status();
      return status.readiness().ready == 2 && status.idle() && status.lag() == 0 && reads_commands_;
    }));
    factory_->version = "second";
  }
  void stop() {
    if (service_ == nullptr) return;
    service_->stop();
    EXPECT_EQ(running_.get(), 0);
    service_ = nullptr;
  }
  /// Within a minute: a retraining has the lowest priority on a host that has other work.
  static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 6000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return holds();
  }
  std::string post(const std::string& path, const std::string& body) const {
    const auto reply = http_post(service_->http_address(), path, {"application/json", body}, 10s);
    return reply ? std::to_string(reply->status) + " " + reply->body : reply.error().message;
  }
  /// Asks for a retraining, once there are rows to learn from.
  void retrain(const std::string& request = "{}") {
    ASSERT_TRUE(eventually([&] {
      const auto status = service_->status();
      return std::ranges::all_of(status.partitions, [](const PartitionTask::Status& partition) {
        return partition.counters.windows_judged > 0;
      });
    }));
    EXPECT_THAT(post("/models/retrain", request), HasSubstr("200"));
  }
  [[nodiscard]] Retrainer::Progress progress() const { return service_->status().retraining; }
  [[nodiscard]] bool reaches(Retrainer::Phase phase) const {
    return eventually([&] { return progress().phase == phase; });
  }
  /// What came of the next run to end.
  Retrainer::Progress outcome() const {
    EXPECT_TRUE(eventually([&] {
      return progress().phase == Retrainer::Phase::kIdle && !progress().outcome.empty();
    })) << to_string(progress().phase);
    return progress();
  }
  [[nodiscard]] std::string serving() const { return service_->status().models.at(0).version; }
  [[nodiscard]] Champion champion() const {
    return *ModelRegistry::open(folder_.path() / "models", ModelRegistry::Access::kRead,
                                {system_clock(), {}})
                .value()
                ->group("")
                .value()
                .champion;
  }
  [[nodiscard]] std::vector<json> audit_lines() const {
    std::vector<json> all;
    std::ifstream lines{folder_.path() / "audit.ndjson"};
    for (std::string line; std::getline(lines, line);) {
      if (json one = json::parse(line, nullptr, false); one.is_object()) all.push_back(one);
    }
    return all;
  }
  [[nodiscard]] std::vector<std::string> audit() const {
    std::vector<std::string> events;
    for (const json& line : audit_lines()) events.push_back(line.at("event").get<std::string>());
    return events;
  }
  /// The reason of the last line of an event, with who asked: "anna: the reason". Waits for one.
  [[nodiscard]] std::string said(const std::string& event) const {
    std::string reason;
    EXPECT_TRUE(eventually([&] {
      for (const json& line : audit_lines()) {
        if (line.at("event") != event) continue;
        reason = line.at("by").get<std::string>() + ": " + line.at("reason").get<std::string>();
      }
      return !reason.empty();
    })) << event;
    return reason;
  }

  TemporaryFolder folder_;
  MemoryTopic topic_ = two_machines(kRowsBefore + 1000);
  MemorySink::Log log_;
  RequestRecords commands_;
  std::atomic<bool> reads_commands_ = false;
  Service::Options options_;
  pipeline::PipelineOptions pipeline_;
  PersistenceFactory* factory_ = nullptr;
  std::unique_ptr<Service> service_;
  std::future<int> running_;
};

TEST_F(ServiceRetraining, AChallengerThatPassesGateAndShadowServes) {
  start();
  retrain(R"({"by":"anna","why":"a try"})");
  ASSERT_TRUE(reaches(Retrainer::Phase::kShadow)) << progress().sentence;
  EXPECT_EQ(serving(), "test") << "only the champion decides";
  EXPECT_EQ(champion().version, "test");
  topic_.written->store(kRowsBefore + 300);

  const Retrainer::Progress end = outcome();
  EXPECT_EQ(end.outcome, "promoted") << end.reason << ": " << end.sentence;
  EXPECT_THAT(end.sentence, HasSubstr("rows"));
  ASSERT_NE(end.report, nullptr);
  EXPECT_EQ(end.report->gate.challenger, "second");
  ASSERT_TRUE(end.report->incidents) << "the shadow has been";
  EXPECT_GE(end.report->incidents->rows, 400u);
  const json status = json::parse(service_->status().json()).at("retraining");
  EXPECT_THAT(status.at("gate").get<std::string>(), HasSubstr("challenger second, champion test"));
  EXPECT_EQ(status.at("report").at("gate").at("outcome"), "passed");
  EXPECT_EQ(status.at("report").at("incidents").at("rows"), end.report->incidents->rows);
  EXPECT_TRUE(eventually([&] { return serving() == "second"; }));
  EXPECT_EQ(champion().version, "second");
  EXPECT_EQ(champion().previous, "test");
  ASSERT_EQ(champion().since.size(), 2u) << "of each partition, from where on it judges";
  for (const Position& since : champion().since) {
    EXPECT_GT(since.offset, static_cast<Offset>(kRowsBefore));
    EXPECT_LE(since.offset, static_cast<Offset>(kRowsBefore + 300));
  }
  EXPECT_THAT(audit(),
              ElementsAre("added", "promoted", "retraining", "added", "shadow", "promoted"));

  topic_.written->store(kRowsBefore + 1000);
  EXPECT_TRUE(
      eventually([&] { return service_->status().lag() == 0 && service_->status().idle(); }));
  EXPECT_THAT(post("/models/rollback", "{}"), HasSubstr(R"("version":"test")"));
  EXPECT_EQ(serving(), "test");
  stop();
  EXPECT_EQ(champion().version, "test");
}

TEST_F(ServiceRetraining, RowsAreOnDiskWhenASnapshotGoesPastThem) {
  start();
  topic_.written->store(kRowsBefore + 1000);
  std::size_t rows = 0;
  EXPECT_TRUE(eventually([&] {
    const auto summary = ReservoirReader{folder_.path() / "reservoir"}.summary("load,heat");
    rows = summary ? summary->all.rows : 0;
    return rows > kRowsBefore;
  })) << rows
      << ": a kill now loses the others";
}

TEST_F(ServiceRetraining, AShadowThatGetsNoRowsEnds) {
  pipeline_.retraining.shadow_deadline = 100ms;
  start();
  retrain();
  const Retrainer::Progress end = outcome();
  EXPECT_EQ(end.outcome, "refused");
  EXPECT_EQ(end.reason, "shadow_starved");
  EXPECT_EQ(champion().version, "test");
}

TEST_F(ServiceRetraining, WithoutRowsToJudgeByItIsPostponedAndThenRefused) {
  options_.gate.min_rows = options_.gate.max_rows = 1'000'000;
  options_.gate.data_limit = 1ms;  // the second training takes longer
  start();
  retrain();
  EXPECT_EQ(outcome().outcome, "postponed") << outcome().sentence;
  EXPECT_EQ(progress().reason, "too_few_unseen_rows");
  factory_->version = "third";
  retrain();
  ASSERT_TRUE(eventually([&] { return progress().runs == 2; }));
  EXPECT_EQ(outcome().outcome, "refused") << "it has waited for long enough";
  EXPECT_EQ(champion().version, "test");
}

TEST_F(ServiceRetraining, ATrainingThatFailsLeavesTheChampionAndAnotherMayBegin) {
  start();
  factory_->failures = 1;
  retrain();
  EXPECT_EQ(outcome().outcome, "failed");
  EXPECT_THAT(progress().sentence, HasSubstr("failed in a test"));
  EXPECT_EQ(serving(), "test");
  retrain();
  EXPECT_TRUE(reaches(Retrainer::Phase::kShadow)) << progress().sentence;
}

TEST_F(ServiceRetraining, APromotionByHandEndsTheShadow) {
  start();
  retrain();
  ASSERT_TRUE(reaches(Retrainer::Phase::kShadow)) << progress().sentence;
  EXPECT_THAT(post("/models/promote", R"({"version":"second"})"), HasSubstr("200"));
  EXPECT_EQ(outcome().outcome, "refused");
  EXPECT_EQ(progress().reason, "champion_changed");
  EXPECT_EQ(serving(), "second");
}

TEST_F(ServiceRetraining, AStopDuringTheShadowKeepsTheChampionAndTheNextStartIsClean) {
  start();
  retrain();
  ASSERT_TRUE(reaches(Retrainer::Phase::kShadow)) << progress().sentence;
  stop();
  EXPECT_EQ(champion().version, "test");
  start();
  EXPECT_EQ(serving(), "test");
  EXPECT_EQ(progress().phase, Retrainer::Phase::kIdle);
}

TEST_F(ServiceRetraining, RecordsAskForATrainingAPromotionAndARollback) {
  commands_.add(R"({"action":"retrain","by":"long ago"})");
  start();
  commands_.add(R"({"action":"retrain","by":"anna","why":"new cooling"})");
  ASSERT_TRUE(reaches(Retrainer::Phase::kShadow)) << progress().sentence;
  EXPECT_EQ(progress().trigger, "control_topic");
  EXPECT_EQ(said("retraining"), "anna: control_topic: new cooling");
  commands_.add(R"({"action":"promote","version":"second"})");
  commands_.add(R"({"action":"rollback","why":"false alarms"})");
  EXPECT_EQ(said("rolled_back"), "control topic: false alarms");
  EXPECT_EQ(said("promoted"), "control topic: asked for");
  EXPECT_TRUE(eventually([&] { return serving() == "test"; }));
  EXPECT_EQ(progress().runs, 1U) << "what was asked for before the daemon came is not done";

  stop();
  start();
  commands_.add(R"({"action":"pin","version":"second","by":"eve"})");
  EXPECT_EQ(said("pinned").substr(0, 3), "eve");
  EXPECT_EQ(std::ranges::count(audit(), "rolled_back"), 1) << "nothing is done twice";
  EXPECT_EQ(progress().runs, 0U);
}

TEST_F(ServiceRetraining, RecordsThatAskForWhatCannotBeAreRefused) {
  start();
  const auto refused = [&](const std::string& record) {
    const auto lines = std::ranges::count(audit(), "control_refused");
    commands_.add(record);
    EXPECT_TRUE(eventually([&] { return std::ranges::count(audit(), "control_refused") > lines; }))
        << record;
    return said("control_refused");
  };
  EXPECT_EQ(refused("now!"), "control topic: said[0]@0: found no JSON object; expected one");
  EXPECT_EQ(refused(R"({"group":"x"})"),
            "control topic: said[0]@1: 'action' is null; expected one of promote, rollback, "
            "retrain, pin, unpin");
  EXPECT_THAT(refused(R"({"action":"import"})"), HasSubstr(R"('action' is "import"; expected)"));
  EXPECT_THAT(refused(R"({"action":"retrain","when":"now"})"), HasSubstr("found field 'when'"));
  EXPECT_THAT(refused(R"({"action":"promote","version":"ffff","by":"anna"})"),
              HasSubstr("anna: said[0]@4: "));
  EXPECT_THAT(refused(R"({"action":"rollback"})"), HasSubstr("has no version to go back to"));
  EXPECT_EQ(champion().version, "test");
}

TEST_F(ServiceRetraining, IsToldOffWhereItIsSwitchedOff) {
  pipeline_.retraining.enabled = false;
  start();
  EXPECT_THAT(post("/models/retrain", "{}"), HasSubstr("retraining.enabled"));
}

}  // namespace
}  // namespace anomalyd::runtime
