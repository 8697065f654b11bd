#include "daemon/runtime/service.hpp"

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <random>
#include <set>

#include "connectors/codec/sample_decoder.hpp"
#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "tests/support/memory_io.hpp"
#include "tests/support/persistence_model.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::runtime {
namespace {

using anomalyd::testing::MemorySink;
using anomalyd::testing::MemorySource;
using anomalyd::testing::MemoryTopic;
using anomalyd::testing::PersistenceFactory;
using anomalyd::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr int kTrainingRows = 800;

/// Two machines in each of two partitions; some rows are far off.
MemoryTopic topic_with_faults(int rows) {
  MemoryTopic topic;
  std::mt19937 random{11};
  std::normal_distribution<double> noise{0, 1};
  for (int t = 0; t < rows; ++t) {
    for (int machine = 0; machine < 4; ++machine) {
      const bool fault = t > kTrainingRows && (t + 61 * machine) % 211 < 3;
      const double load = 40 + noise(random) + (fault ? 50 : 0);
      topic.records[machine % 2].push_back(R"({"series":"m)" + std::to_string(machine) +
                                           R"(","ts":)" + std::to_string(1'700'000'000 + t) +
                                           R"(,"load":)" + std::to_string(load) + R"(,"heat":)" +
                                           std::to_string(20 + noise(random)) + "}");
    }
  }
  return topic;
}

/// Reads a topic as fast as a test allows, so that the daemon gets around to other things
/// meanwhile.
class PacedSource final : public Source {
 public:
  PacedSource(MemoryTopic& topic, std::atomic<int>& polls) : inside_{topic}, polls_{polls} {}
  Status poll(std::chrono::milliseconds timeout, SourceHandler& handler) override {
    if (polls_ <= 0) return {};
    --polls_;
    return inside_.poll(timeout, handler);
  }
  void pause(std::span<const PartitionId> partitions) override { inside_.pause(partitions); }
  void resume(std::span<const PartitionId> partitions) override { inside_.resume(partitions); }
  void commit(std::span<const Position> positions) override { inside_.commit(positions); }
  std::vector<std::pair<PartitionId, std::int64_t>> lag() const override { return inside_.lag(); }
  void close(SourceHandler& handler) override { inside_.close(handler); }

 private:
  MemorySource inside_;
  std::atomic<int>& polls_;
};

class ServiceTest : public ::testing::Test {
 protected:
  std::unique_ptr<Service> make(MemoryTopic& topic) {
    (void)spdlog::default_logger();  // made here, as in a program: TSan cannot see inside spdlog
    if (models_ == nullptr) models_ = std::make_unique<PersistenceFactory>();
    Service::Options options;
    options.state_dir = folder_.path();
    options.snapshot_interval = 20ms;
    options.status_interval = 20ms;
    options.threads = 2;
    options.exit_at_end = exit_at_end_;
    options.poll.poll_timeout = 1ms;
    options.poll.queue_bytes = queue_bytes_;
    options.batch.max_delay = 1ms;
    options.http.listen = "127.0.0.1:0";
    options.self_test = self_test_;
    pipeline::PipelineOptions pipeline;
    pipeline.training.rows = kTrainingRows;
    pipeline.budget = pipeline::AlertBudget::parse("1 per series per 1000 rows").value();
    Service::Parts parts;
    if (polls_ == nullptr)
      parts.source = std::make_unique<MemorySource>(topic);
    else
      parts.source = std::make_unique<PacedSource>(topic, *polls_);
    parts.decoder = connectors::SampleDecoder::create({}, system_clock()).value();
    parts.alerts = std::make_unique<MemorySink>(log_);
    parts.models = std::move(models_);
    auto service = Service::create(std::move(options), pipeline, std::move(parts), system_clock());
    EXPECT_TRUE(service) << (service ? "" : service.error().message);
    return service ? std::move(*service) : nullptr;
  }
  std::set<std::string> incident_ids() {
    std::set<std::string> ids;
    for (const Alert& alert : log_.copy()) {
      if (alert.type == AlertType::kAnomaly) ids.insert(alert.id);
    }
    return ids;
  }

  TemporaryFolder folder_;
  MemorySink::Log log_;
  std::unique_ptr<PersistenceFactory> models_;
  bool exit_at_end_ = true;
  std::size_t queue_bytes_ = 32 << 20;
  std::atomic<int>* polls_ = nullptr;  // that the source may make; any number without
  SelfTestOptions self_test_;
};

TEST_F(ServiceTest, LearnsFromTheTopicAndPublishesIncidents) {
  MemoryTopic topic = topic_with_faults(2400);
  ASSERT_EQ(make(topic)->run(), 0);
  EXPECT_GE(incident_ids().size(), 8u);
  EXPECT_EQ(topic.committed[0], 4800) << "everything is finished and committed";
  EXPECT_EQ(topic.committed[1], 4800);
}

TEST_F(ServiceTest, FindsTheSameIncidentsWhenItIsRestartedOnTheWay) {
  MemoryTopic whole = topic_with_faults(2000);
  ASSERT_EQ(make(whole)->run(), 0);
  const std::set<std::string> expected = incident_ids();
  ASSERT_THAT(expected, Not(IsEmpty()));

  TemporaryFolder other;
  log_.alerts.clear();
  std::filesystem::remove_all(folder_.path() / "partitions");
  std::filesystem::remove_all(folder_.path() / "models");
  MemoryTopic growing = topic_with_faults(2000);
  const auto records = growing.records;
  for (const std::size_t upto : {600U, 1700U, 2900U, 4000U}) {
    for (auto& [partition, log] : growing.records) {
      log.assign(records.at(partition).begin(),
                 records.at(partition).begin() + static_cast<std::ptrdiff_t>(upto));
    }
    ASSERT_EQ(make(growing)->run(), 0);
  }
  EXPECT_EQ(incident_ids(), expected);
}

TEST_F(ServiceTest, EndsThoughASeriesHasTooFewRowsToBeLearned) {
  MemoryTopic topic = topic_with_faults(kTrainingRows + 100);
  std::erase_if(topic.records[1], [rows = 0](const std::string& record) mutable {
    return record.find("m3") != std::string::npos && ++rows > 100;
  });
  ASSERT_EQ(make(topic)->run(), 0);
  EXPECT_EQ(topic.committed[0], 2 * (kTrainingRows + 100)) << "the others were learned and judged";
}

TEST_F(ServiceTest, LeavesTheOffsetOfItsGroupAloneWhereItHasReadNothing) {
  MemoryTopic topic = topic_with_faults(1100);
  ASSERT_EQ(make(topic)->run(), 0);
  ASSERT_EQ(topic.committed[0], 2200);
  std::filesystem::remove_all(folder_.path() / "partitions");
  ASSERT_EQ(make(topic)->run(), 0) << "a new host, say, takes the partitions over";
  EXPECT_EQ(topic.committed[0], 2200);
}

TEST_F(ServiceTest, FindsTheSameIncidentsWithNothingButTheModelLeft) {
  MemoryTopic topic = topic_with_faults(2000);
  ASSERT_EQ(make(topic)->run(), 0);
  const std::vector<Alert> expected = log_.copy();
  const std::set<std::string> ids = incident_ids();
  log_.alerts.clear();
  topic.committed.clear();
  std::filesystem::remove_all(folder_.path() / "partitions");
  ASSERT_EQ(make(topic)->run(), 0);
  EXPECT_EQ(incident_ids(), ids);
  EXPECT_EQ(log_.copy().size(), expected.size()) << "rows that were learned from are no fault";
}

TEST_F(ServiceTest, CommitsNothingBeforeItsAlertsAreAcknowledged) {
  MemoryTopic topic = topic_with_faults(kTrainingRows + 10);
  ASSERT_EQ(make(topic)->run(), 0) << "a first run learns";
  const Offset learned = topic.committed.at(0);

  exit_at_end_ = false;
  topic.records = topic_with_faults(2000).records;
  log_.corked = true;
  auto service = make(topic);
  auto running = std::async(std::launch::async, [&] { return service->run(); });
  while (log_.copy().empty() || !service->status().input.at_end) std::this_thread::yield();
  const Alert first = log_.copy().front();
  const Offset committed = topic.committed.at(first.input.partition);
  EXPECT_GE(committed, learned);
  EXPECT_LE(committed, first.first_offset);
  log_.uncork();
  service->stop();
  EXPECT_EQ(running.get(), 0);
  EXPECT_EQ(topic.committed.at(first.input.partition), 4000);
}

TEST_F(ServiceTest, PausesPartitionsInsteadOfGrowingWithoutBound) {
  queue_bytes_ = 1 << 10;
  MemoryTopic topic = topic_with_faults(3000);
  ASSERT_EQ(make(topic)->run(), 0);
  EXPECT_GT(topic.max_pauses_at_once, 0u);
  EXPECT_EQ(topic.committed[0], 6000) << "and nothing is lost";
}

TEST_F(ServiceTest, StopsReadingWhileTheModelFailsToCome) {
  queue_bytes_ = 8 << 10;
  exit_at_end_ = false;
  MemoryTopic topic = topic_with_faults(4000);
  models_ = std::make_unique<PersistenceFactory>();
  models_->failures = 1;  // and the next try is a minute away
  auto service = make(topic);
  auto running = std::async(std::launch::async, [&] { return service->run(); });
  while (service->status().last_error.empty()) std::this_thread::yield();
  while (service->status().input.paused < 2) std::this_thread::yield();
  const ServiceStatus status = service->status();
  EXPECT_LT(status.input.records, 6000u) << "of 16000";
  EXPECT_THAT(status.last_error, HasSubstr("training the model of load,heat: failed in a test"));
  service->stop();
  EXPECT_EQ(running.get(), 0);
}

TEST_F(ServiceTest, AnswersAboutItselfOverHttp) {
  exit_at_end_ = false;
  MemoryTopic topic = topic_with_faults(1400);
  auto service = make(topic);
  const std::string address = service->http_address();
  auto running = std::async(std::launch::async, [&] { return service->run(); });
  const auto get = [&](const std::string& path) {
    auto page = http_get(address, path, 5s);
    return page ? page->body : page.error().message;
  };
  while (get("/readyz").rfind("READY", 0) != 0) std::this_thread::yield();
  while (!service->status().idle()) std::this_thread::yield();
  EXPECT_THAT(get("/healthz"), HasSubstr("READY"));
  EXPECT_THAT(get("/metrics"), HasSubstr("anomalyd_records_consumed_total 5600"));
  EXPECT_THAT(get("/metrics"), Not(HasSubstr("m0"))) << "no series id in a metric";
  EXPECT_THAT(get("/status"), HasSubstr("\"kind\": \"persistence\""));
  EXPECT_THAT(get("/status"), HasSubstr("\"choice\": \"\""));
  EXPECT_THAT(get("/nothing"), HasSubstr("no such page"));
  service->stop();
  EXPECT_EQ(running.get(), 0);
}

/// What is left of a run that the self-test must not have touched.
struct Traces {
  std::set<std::string> alerts;
  std::map<std::string, std::string> snapshots;
  std::map<std::string, std::vector<std::pair<std::int64_t, pipeline::RowMark>>> reservoir;
  bool operator==(const Traces&) const = default;
};

class SelfTestOfService : public ServiceTest {
 protected:
  /// Runs a daemon on a topic of its own, row by row; `look` sees it shortly before the end.
  Traces traces(bool enabled, const std::function<void(Service&)>& look) {
    std::filesystem::remove_all(folder_.path());
    std::filesystem::create_directories(folder_.path());
    log_.alerts.clear();
    self_test_ = {.enabled = enabled, .interval = 1ms};
    std::atomic<int> polls{kTrainingRows * 2 / kRecordsPerPoll};
    polls_ = &polls;
    MemoryTopic topic = topic_with_faults(2400);
    auto service = make(topic);
    auto running = std::async(std::launch::async, [&] { return service->run(); });
    const auto next_look = [&] {
      const double now = service->status().uptime_seconds;
      while (service->status().uptime_seconds == now) std::this_thread::yield();
    };
    while (service->status().phase != ServiceStatus::Phase::kReady) std::this_thread::yield();
    for (int left = 1600 * 2 / kRecordsPerPoll; left > 0; --left) {
      if (left == 1) look(*service);
      ++polls;
      next_look();
    }
    polls = 1000;  // to the end
    EXPECT_EQ(running.get(), 0);

    Traces traces;
    for (const Alert& alert : log_.copy()) {
      traces.alerts.insert(alert.id + " " + std::string{to_string(alert.state)} + " " +
                           std::to_string(alert.score) + " " + alert.summary);
    }
    for (const auto& entry : std::filesystem::directory_iterator{folder_.path() / "partitions"}) {
      std::ifstream file{entry.path(), std::ios::binary};
      traces.snapshots[entry.path().filename()] = {std::istreambuf_iterator<char>{file}, {}};
    }
    service.reset();  // and with it the reservoir is complete
    const auto rows = ReservoirReader{folder_.path() / "reservoir"}.read("load,heat", {});
    EXPECT_TRUE(rows) << (rows ? "" : rows.error().message);
    if (!rows) return traces;
    for (const auto& [series, chunks] : rows->series) {
      for (const pipeline::JudgedRows& chunk : chunks) {
        for (std::size_t i = 0; i < chunk.marks.size(); ++i) {
          traces.reservoir[series].emplace_back(chunk.history.times[i], chunk.marks[i]);
        }
      }
    }
    return traces;
  }

  static constexpr int kRecordsPerPoll = 50;  // of each partition, which has two series
};

TEST_F(SelfTestOfService, TellsWhatItFindsAndTouchesNothing) {
  std::string metrics, status;
  const Traces with = traces(true, [&](Service& service) {
    while (service.status().self_test.samples < 4) std::this_thread::yield();
    metrics = http_get(service.http_address(), "/metrics", 5s).value().body;
    status = http_get(service.http_address(), "/status", 5s).value().body;
    EXPECT_EQ(service.status().self_test.failures, 0U);
    EXPECT_GE(service.status().self_test.figures.size(), 5U) << "types of fault";
  });
  EXPECT_THAT(metrics, HasSubstr("anomalyd_self_test_recall{fault=\"spike\",group=\""));
  EXPECT_THAT(metrics, HasSubstr("version=\"test\""));
  EXPECT_THAT(metrics, HasSubstr("anomalyd_self_test_failures_total 0"));
  EXPECT_THAT(status, HasSubstr("\"fault\": \"spike\""));

  const Traces without =
      traces(false, [](Service& service) { EXPECT_EQ(service.status().self_test.samples, 0U); });
  EXPECT_THAT(with.alerts, Not(IsEmpty()));
  EXPECT_EQ(with.alerts, without.alerts);
  EXPECT_EQ(with.snapshots, without.snapshots);
  EXPECT_THAT(with.reservoir, Not(IsEmpty()));
  EXPECT_EQ(with.reservoir, without.reservoir);
}

TEST_F(ServiceTest, StartsWithoutStateFromADamagedSnapshotAndSaysSo) {
  MemoryTopic topic = topic_with_faults(1100);
  ASSERT_EQ(make(topic)->run(), 0);
  for (const auto& entry : std::filesystem::directory_iterator{folder_.path() / "partitions"}) {
    std::ofstream{entry.path(), std::ios::binary | std::ios::trunc} << "damaged";
  }
  auto service = make(topic);
  ASSERT_EQ(service->run(), 0);
  EXPECT_THAT(service->status().last_error, HasSubstr("the file is too short"));
}

TEST_F(ServiceTest, SaysWhichAddressItCannotListenOn) {
  MemoryTopic topic = topic_with_faults(1);
  auto first = make(topic);
  const TemporaryFolder other;
  Service::Options options;
  options.state_dir = other.path();
  options.http.listen = first->http_address();
  Service::Parts parts;
  parts.source = std::make_unique<MemorySource>(topic);
  parts.decoder = connectors::SampleDecoder::create({}, system_clock()).value();
  parts.alerts = std::make_unique<MemorySink>(log_);
  parts.models = std::make_unique<PersistenceFactory>();
  const auto second = Service::create(std::move(options), {}, std::move(parts), system_clock());
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr(first->http_address()));
}

}  // namespace
}  // namespace anomalyd::runtime
