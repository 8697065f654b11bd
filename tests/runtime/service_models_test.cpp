// The models of a running service: versions, promotion, rollback, migration of the old layout.

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <random>

#include "connectors/codec/sample_decoder.hpp"
#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/model_package.hpp"
#include "daemon/runtime/service.hpp"
#include "tests/support/memory_io.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using anomalyd::testing::MemorySink;
using anomalyd::testing::MemorySource;
using anomalyd::testing::MemoryTopic;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr int kRows = 800;
const std::string kKey = "load,heat";

MemoryTopic topic_of_two_machines() {
  MemoryTopic topic;
  std::mt19937 random{5};
  std::normal_distribution<double> noise{0, 1};
  for (int t = 0; t < kRows + 200; ++t) {
    for (int machine = 0; machine < 2; ++machine) {
      topic.records[machine].push_back(R"({"series":"m)" + std::to_string(machine) + R"(","ts":)" +
                                       std::to_string(1'700'000'000 + t) + R"(,"load":)" +
                                       std::to_string(40 + noise(random)) + R"(,"heat":)" +
                                       std::to_string(20 + noise(random)) + "}");
    }
  }
  return topic;
}

class CountingAudit final : public AuditSink {
 public:
  explicit CountingAudit(std::vector<std::string>& events) : events_{events} {}
  void send(std::string_view group, std::string_view line) override {
    const std::lock_guard lock{mutex_};
    events_.push_back(std::string{group} + " " + json::parse(line).at("event").get<std::string>());
  }

 private:
  std::mutex mutex_;
  std::vector<std::string>& events_;
};

class ServiceModels : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Service>> create(bool exit_at_end) {
    (void)spdlog::default_logger();
    Service::Options options;
    options.state_dir = folder_.path();
    options.snapshot_interval = 20ms;
    options.status_interval = 20ms;
    options.threads = 2;
    options.exit_at_end = exit_at_end;
    options.poll.poll_timeout = 1ms;
    options.batch.max_delay = 1ms;
    options.http.listen = "127.0.0.1:0";
    options.checkpoint = checkpoint_;
    options.origin = {R"({"training.rows":800})", 7};
    pipeline::PipelineOptions pipeline;
    pipeline.training.rows = kRows;
    Service::Parts parts;
    parts.source = std::make_unique<MemorySource>(topic_);
    parts.decoder = connectors::SampleDecoder::create({}, system_clock()).value();
    parts.alerts = std::make_unique<MemorySink>(log_);
    parts.models = std::make_unique<PersistenceFactory>();
    parts.audit = std::make_unique<CountingAudit>(audit_);
    return Service::create(std::move(options), pipeline, std::move(parts), system_clock());
  }
  void run_to_the_end() {
    auto service = create(true);
    ASSERT_TRUE(service) << service.error().message;
    ASSERT_EQ((*service)->run(), 0);
  }
  ModelRegistry::Group group() const {
    return ModelRegistry::open(folder_.path() / "models", ModelRegistry::Access::kRead,
                               {system_clock(), {}})
        .value()
        ->group("")
        .value();
  }
  fs::path group_folder() const { return folder_.path() / "models" / ModelRegistry::id_of(kKey); }

  /// A version made of the checkpoint `test` of the state folder under another name, exported.
  std::string package_of(const std::string& version) const {
    const TemporaryFolder other;
    PersistenceFactory factory;
    auto loaded = factory.load(group_folder() / "test.ckpt").value();
    const auto registry = ModelRegistry::open(other.path() / "models",
                                              ModelRegistry::Access::kWrite, {system_clock(), {}})
                              .value();
    auto draft = registry->begin().value();
    const testing::PersistenceScorer scorer{loaded.scorer->info().channels, 4, version};
    EXPECT_TRUE(factory.save(scorer, loaded.extras, draft->checkpoint()));
    const auto manifest =
        registry->add(std::move(draft), manifest_of(scorer.info()), "test").value();
    EXPECT_TRUE(export_version(*registry, manifest, other.path() / "package"));
    return read_whole(other.path() / "package", 1 << 20).value();
  }

  TemporaryFolder folder_;
  MemoryTopic topic_ = topic_of_two_machines();
  MemorySink::Log log_;
  std::vector<std::string> audit_;
  fs::path checkpoint_;
};

TEST_F(ServiceModels, WhatIsLearnedIsAVersionWithItsOrigin) {
  run_to_the_end();
  const ModelRegistry::Group learned = group();
  ASSERT_TRUE(learned.champion);
  EXPECT_EQ(learned.champion->version, "test");
  EXPECT_EQ(learned.champion->why, "cold start");
  ASSERT_EQ(learned.versions.size(), 1u);
  const Manifest& manifest = learned.versions.front();
  EXPECT_EQ(manifest.reason, "cold start");
  EXPECT_EQ(manifest.kind, "persistence");
  EXPECT_EQ(manifest.seed, 7u);
  EXPECT_EQ(manifest.configuration, R"({"training.rows":800})");
  EXPECT_EQ(manifest.num_series, 2u);
  ASSERT_EQ(manifest.data.size(), 2u);
  EXPECT_EQ(manifest.data[0].partition, (PartitionId{"metrics", 0}));
  EXPECT_EQ(manifest.data[0].first, 0);
  EXPECT_EQ(manifest.data[0].rows, static_cast<std::uint64_t>(manifest.data[0].last + 1));
  EXPECT_EQ(manifest.data[0].from, EventTime{std::chrono::seconds{1'700'000'000}});
  EXPECT_THAT(audit_, ElementsAre(kKey + " added", kKey + " promoted"));
  EXPECT_THAT(read_whole(folder_.path() / "audit.ndjson", 1 << 20).value(),
              AllOf(HasSubstr(R"("event":"added")"), HasSubstr(R"("reason":"cold start")")));

  run_to_the_end();
  EXPECT_EQ(group().versions.size(), 1u) << "and a restart loads it";
  EXPECT_EQ(audit_.size(), 2u);
}

TEST_F(ServiceModels, AVersionIsImportedPromotedPinnedAndTakenBackWhileItRuns) {
  run_to_the_end();
  auto service = create(false);
  ASSERT_TRUE(service) << service.error().message;
  const std::string address = (*service)->http_address();
  auto running = std::async(std::launch::async, [&] { return (*service)->run(); });
  const auto post = [&](const std::string& path, const std::string& body,
                        const std::string& type = "application/json") {
    const auto reply = http_post(address, path, {type, body}, 10s);
    return reply ? std::to_string(reply->status) + " " + reply->body : reply.error().message;
  };
  const auto champion = [&] {
    const auto groups = parse_groups(http_get(address, "/models", 5s)->body).value();
    return groups.at(0).champion->version;
  };
  EXPECT_THAT(post("/models/import", package_of("second"), "application/octet-stream"),
              AllOf(HasSubstr("200"), HasSubstr(R"("version":"second")")));
  EXPECT_EQ(champion(), "test") << "what is imported does not serve yet";
  EXPECT_THAT(post("/models/import", "garbage", "application/octet-stream"), HasSubstr("409"));

  EXPECT_THAT(post("/models/promote", R"({"version":"sec","by":"anna","why":"a try"})"),
              AllOf(HasSubstr(R"("previous":"test")"), HasSubstr("no promotion gate")));
  EXPECT_EQ(champion(), "second");
  EXPECT_THAT(http_get(address, "/status", 5s)->body, HasSubstr(R"("version": "second")"));
  EXPECT_THAT(post("/models/promote", R"({"version":"second"})"), HasSubstr(R"("unchanged":true)"));
  EXPECT_THAT(post("/models/pin", R"({"version":"second"})"), HasSubstr("200"));

  EXPECT_THAT(post("/models/rollback", "{}"), HasSubstr(R"("version":"test")"));
  EXPECT_EQ(champion(), "test");
  EXPECT_EQ(group().champion->version, "test") << "on the disk too";
  EXPECT_TRUE(group().find("second")->pinned);

  EXPECT_THAT(post("/models/promote", R"({"version":"zzz"})"),
              AllOf(HasSubstr("400"), HasSubstr("version 'zzz' of group")));
  EXPECT_THAT(post("/models/promote", R"({"versoin":"x"})"), HasSubstr("found field 'versoin'"));
  (*service)->stop();
  EXPECT_EQ(running.get(), 0);
  EXPECT_THAT(audit_, ElementsAre(kKey + " added", kKey + " promoted", kKey + " imported",
                                  kKey + " promoted", kKey + " pinned", kKey + " rolled_back"));
}

TEST_F(ServiceModels, ADamagedVersionIsNotPromotedAndTheChampionStays) {
  run_to_the_end();
  auto service = create(false);
  ASSERT_TRUE(service) << service.error().message;
  const std::string address = (*service)->http_address();
  auto running = std::async(std::launch::async, [&] { return (*service)->run(); });
  ASSERT_TRUE(http_post(address, "/models/import",
                        {"application/octet-stream", package_of("second")}, 10s));
  std::ofstream{group_folder() / "second.ckpt"} << "damaged";
  const auto reply =
      http_post(address, "/models/promote", {"application/json", R"({"version":"second"})"}, 10s);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 409);
  EXPECT_THAT(reply->body, HasSubstr("found sha256"));
  (*service)->stop();
  EXPECT_EQ(running.get(), 0);
  EXPECT_EQ(group().champion->version, "test");
  EXPECT_EQ(audit_.back(), kKey + " refused");
}

TEST_F(ServiceModels, ACheckpointOfTheOldLayoutBecomesAVersion) {
  run_to_the_end();
  const std::string id = ModelRegistry::id_of(kKey);
  fs::rename(group_folder() / "test.ckpt", folder_.path() / "models" / (id + ".ckpt"));
  fs::remove_all(group_folder());
  audit_.clear();
  run_to_the_end();
  EXPECT_EQ(group().champion->version, "test");
  EXPECT_EQ(group().versions.front().reason, "found " + id + ".ckpt");
  EXPECT_FALSE(fs::exists(folder_.path() / "models" / (id + ".ckpt")));
  EXPECT_THAT(audit_, ElementsAre(kKey + " migrated", kKey + " promoted"));
}

TEST_F(ServiceModels, AChampionThatDoesNotLoadGivesWayToItsPredecessor) {
  run_to_the_end();
  const std::string package = package_of("second");
  {
    const auto registry = ModelRegistry::open(folder_.path() / "models",
                                              ModelRegistry::Access::kWrite, {system_clock(), {}})
                              .value();
    const fs::path file = folder_.write("package", package);
    ASSERT_TRUE(import_version(*registry, file, "test",
                               [](const auto&, const Manifest&) { return Status{}; }));
    ASSERT_TRUE(registry->promote(kKey, "second", {.why = "", .by = "", .since = {}}));
  }
  const auto size = fs::file_size(group_folder() / "second.ckpt");
  std::ofstream{group_folder() / "second.ckpt"} << std::string(size, 'x');
  audit_.clear();
  run_to_the_end();
  EXPECT_EQ(group().champion->version, "test");
  EXPECT_THAT(group().champion->why, HasSubstr("second.ckpt: found sha256"));
  EXPECT_THAT(audit_, ElementsAre(kKey + " fell_back"));

  const auto old_size = fs::file_size(group_folder() / "test.ckpt");  // opening it cuts it
  std::ofstream{group_folder() / "test.ckpt"} << std::string(old_size, 'x');
  const auto none = create(true);
  ASSERT_FALSE(none) << "nothing is left that could serve";
  EXPECT_EQ(none.error().kind, ErrorKind::kIncompatible);
  EXPECT_THAT(none.error().message, HasSubstr("loading version test of group"));
}

TEST_F(ServiceModels, TheConfiguredCheckpointServesWhereThereIsNoChampion) {
  run_to_the_end();
  checkpoint_ = folder_.path() / "begin.ckpt";
  fs::rename(group_folder() / "test.ckpt", checkpoint_);
  fs::remove_all(folder_.path() / "models");
  run_to_the_end();
  EXPECT_EQ(group().champion->why, "model.checkpoint");

  PersistenceFactory factory;
  auto loaded = factory.load(checkpoint_).value();
  const testing::PersistenceScorer other{loaded.scorer->info().channels, 4, "other"};
  ASSERT_TRUE(factory.save(other, loaded.extras, checkpoint_));
  run_to_the_end();
  EXPECT_EQ(group().champion->version, "test") << "it replaces none";
  EXPECT_NE(group().find("other"), nullptr) << "but may be promoted";
}

TEST_F(ServiceModels, FeedbackOnAnIncidentIsKeptWhereItIsKnownAndTold) {
  for (int t = 0; t < 20; ++t) {  // m0 goes mad
    topic_.records[0].push_back(R"({"series":"m0","ts":)" + std::to_string(1'700'001'000 + t) +
                                R"(,"load":)" + std::to_string(t % 2 == 0 ? 900 : -900) +
                                R"(,"heat":20})");
  }
  run_to_the_end();
  const auto incidents = IncidentLog{folder_.path()}.read().value();
  ASSERT_FALSE(incidents.empty());
  const KnownIncident& incident = incidents.back();
  EXPECT_EQ(incident.series, "m0");
  EXPECT_EQ(incident.model_version, "test");
  EXPECT_GE(incident.end, EventTime{1'700'001'000s});

  auto service = create(false);
  ASSERT_TRUE(service) << service.error().message;
  const std::string address = (*service)->http_address();
  auto running = std::async(std::launch::async, [&] { return (*service)->run(); });
  const auto say = [&](const std::string& body) {
    const auto reply = http_post(address, "/feedback", {"application/json", body}, 10s);
    return reply ? std::to_string(reply->status) + " " + reply->body : reply.error().message;
  };
  const std::string id = R"({"incident":")" + incident.id + R"(",)";
  EXPECT_THAT(say(id + R"("verdict":"benign","name":"backup","by":"anna"})"),
              AllOf(HasSubstr("200"), HasSubstr(R"("series":"m0")"), HasSubstr("backup")));
  EXPECT_THAT(say(id + R"("verdict":"odd"})"),
              AllOf(HasSubstr("400"), HasSubstr("expected benign or fault")));
  EXPECT_THAT(say(R"({"incident":"zz","verdict":"fault"})"),
              AllOf(HasSubstr("400"), HasSubstr("incident 'zz' is unknown")));
  EXPECT_THAT(say("{"), AllOf(HasSubstr("400"), HasSubstr("found no JSON object")));
  (*service)->stop();
  EXPECT_EQ(running.get(), 0);
  const auto kept = FeedbackStore{folder_.path()}.read().value().feedback;
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(class_of(kept[0]), "benign: backup");
  EXPECT_EQ(kept[0].incident, incident.id);
  EXPECT_THAT(read_whole(folder_.path() / "audit.ndjson", 1 << 20).value(),
              AllOf(HasSubstr(R"("event":"feedback")"), HasSubstr(R"("by":"anna")")));
}

TEST_F(ServiceModels, ASecondDaemonOnTheSameFolderIsRefused) {
  const auto first = create(false);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = create(false);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("found the state folder of anomalyd"));
  const auto holder = StateLock::holder(folder_.path());
  ASSERT_TRUE(holder && *holder);
  EXPECT_EQ((*holder)->http, (*first)->http_address());
}

}  // namespace
}  // namespace anomalyd::runtime
