// `anomalyctl retrain` without a daemon, run as an operator runs it, on a state folder with a real
// model.

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "config/describe.hpp"
#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "daemon/runtime/state_lock.hpp"
#include "models/torch_models.hpp"
#include "tests/support/command_line.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using pipeline::History;
using pipeline::JudgedRows;
using pipeline::RowMark;
using runtime::Manifest;
using runtime::ModelRegistry;
using ::testing::AllOf;
using testing::anomalyctl;
using ::testing::HasSubstr;
using testing::Ran;
using ::testing::SizeIs;

constexpr std::int64_t kMinute = 60'000'000;
constexpr std::int64_t kBegin = 1'767'225'600'000'000;
constexpr std::size_t kRows = 4000;  // all that is asked for: twice training.rows
constexpr std::size_t kUnseen = kRows * 15 / 100;
constexpr std::size_t kLearned = 2000;  // that the champion has seen
const std::string kKey = "load,heat";
const PartitionId kPartition{"metrics", 3};

EventTime minute(std::size_t row) {
  return EventTime{std::chrono::microseconds{kBegin + static_cast<std::int64_t>(row) * kMinute}};
}

/// How heat follows load: always alike, or otherwise until the newest rows, which only a model of
/// the first kind expects.
enum class Coupling : std::uint8_t { kSteady, kReversedAtFirst };

JudgedRows rows_of_a_machine(std::size_t rows, Coupling coupling) {
  JudgedRows judged{{{"load", "%"}, {"heat", "C"}}, {}, std::vector(rows, RowMark::kNormal)};
  History& history = judged.history;
  history.series = "m0";
  history.width = 2;
  std::mt19937_64 random{3};
  std::normal_distribution<double> noise{0, 1};
  for (std::size_t i = 0; i < rows; ++i) {
    const double load = 50 + 20 * std::sin(static_cast<double>(i) / 15) + noise(random);
    const bool odd = coupling == Coupling::kReversedAtFirst && i + kUnseen < rows;
    const double heat = (odd ? 50 - load / 2 : load / 2) + noise(random);
    history.times.push_back(minute(i).time_since_epoch().count());
    history.offsets.push_back(static_cast<Offset>(i));
    history.gaps.push_back(i == 0 ? History::kRestart : 0);
    history.rows.insert(history.rows.end(), {load, heat});
    const std::span values = std::span{history.rows}.last(2);
    (void)history.windower.add({"m0", minute(i), static_cast<Offset>(i), values}, {},
                               [](const pipeline::Windower::Row&) {});
  }
  return judged;
}

class RetrainCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.model.kind = "pca";
    options_.model.seed = 5;
    options_.model.threads = 1;
    keep(rows_of_a_machine(kRows, Coupling::kSteady));
    add_champion();
  }
  /// Into a reservoir that has nothing else.
  void keep(const JudgedRows& rows) const {
    fs::remove_all(folder_.path() / "reservoir");
    auto reservoir = runtime::Reservoir::open(folder_.path() / "reservoir", {}).value();
    ASSERT_TRUE(reservoir.append(std::span{&rows, 1}));
    ASSERT_TRUE(reservoir.flush());
  }
  void add_champion() {
    const JudgedRows rows = rows_of_a_machine(kLearned, Coupling::kSteady);
    auto factory = models::TorchModelFactory::create(options_.model).value();
    const auto learned = pipeline::learn(std::span{&rows.history, 1}, rows.channels, *factory,
                                         options_.pipeline, [](const TrainingProgress&) {}, {});
    ASSERT_TRUE(learned) << learned.error().message;
    const auto registry = ModelRegistry::open(folder_.path() / "models",
                                              ModelRegistry::Access::kWrite, {system_clock(), {}})
                              .value();
    auto draft = registry->begin().value();
    ASSERT_TRUE(factory->save(*learned->scorer, {"{}", learned->group->calibration()},
                              draft->checkpoint()));
    Manifest manifest = runtime::manifest_of(learned->group->info);
    manifest.seed = options_.model.seed;
    manifest.configuration =
        config::effective_json(options_, {"input.channels", "window", "training", "model"});
    manifest.data = {{kPartition, 0, kLearned - 1, minute(0), minute(kLearned - 1), kLearned}};
    const auto added = registry->add(std::move(draft), std::move(manifest), "test");
    ASSERT_TRUE(added) << added.error().message;
    champion_ = added->version;
    ASSERT_TRUE(registry->promote(kKey, champion_, {.why = "test", .by = "test", .since = {}}));
  }
  ModelRegistry::Group group() const {
    return ModelRegistry::open(folder_.path() / "models", ModelRegistry::Access::kRead,
                               {system_clock(), {}})
        .value()
        ->group("")
        .value();
  }
  Ran retrain(const std::string& arguments) const {
    return anomalyctl("retrain " + arguments + " --state " + folder_.path().string());
  }
  std::vector<json> audit() const {
    std::vector<json> lines;
    std::ifstream file{folder_.path() / "audit.ndjson"};
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }
  std::vector<std::string> events() const {
    std::vector<std::string> names;
    for (const json& line : audit()) names.push_back(line.at("event"));
    return names;
  }
  /// Every file of the state folder and what is in it.
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator{folder_.path()}) {
      std::string& content = files[entry.path().string()];
      if (!entry.is_regular_file()) continue;
      std::ifstream file{entry.path(), std::ios::binary};
      content.assign(std::istreambuf_iterator<char>{file}, {});
    }
    return files;
  }
  /// Records of the machine, in a file apart from the state folder.
  std::string file_of_records(std::size_t rows) const {
    const JudgedRows judged = rows_of_a_machine(rows, Coupling::kSteady);
    std::ostringstream lines;
    for (std::size_t i = 0; i < rows; ++i) {
      lines << R"({"series":"m0","ts":")" << to_rfc3339(minute(i)) << R"(","load":)"
            << judged.history.rows[2 * i] << R"(,"heat":)" << judged.history.rows[2 * i + 1]
            << "}\n";
    }
    return elsewhere_.write("records.ndjson", lines.str()).string();
  }

  testing::TemporaryFolder folder_;
  testing::TemporaryFolder elsewhere_;
  config::Options options_;
  std::string champion_;
};

TEST_F(RetrainCommand, LearnsFromTheReservoirAndReportsWhatCameOfIt) {
  const Ran ran = retrain("--why 'new cooling'");
  EXPECT_EQ(ran.code, 0) << ran.said;
  const ModelRegistry::Group both = group();
  ASSERT_THAT(both.versions, SizeIs(2));
  const Manifest& version = both.versions.back();
  EXPECT_EQ(both.champion->version, champion_) << "it was not to serve";
  EXPECT_EQ(version.parent, champion_);
  EXPECT_EQ(version.reason, "command");
  EXPECT_EQ(version.seed, 5U);
  EXPECT_EQ(version.configuration, both.versions.front().configuration);
  EXPECT_EQ(gate_verdict(version).outcome, "passed");
  ASSERT_THAT(version.data, SizeIs(1));
  EXPECT_EQ(version.data[0].partition, kPartition) << "where the champion has it from";
  EXPECT_EQ(version.data[0].rows, kRows - kUnseen);
  EXPECT_EQ(version.data[0].last, kRows - kUnseen - 1) << "the newest rows are for the gate";

  EXPECT_THAT(ran.said,
              AllOf(HasSubstr("loss fitted"), HasSubstr("loss kept back"),
                    HasSubstr("challenger " + version.version + ", champion " + champion_ +
                              ": passed on 569 rows of 1 series"),
                    HasSubstr("600 rows judged by both: "), HasSubstr(version.version + " passed"),
                    HasSubstr("it does not serve yet: anomalyctl models promote")));
  EXPECT_EQ(events(), (std::vector<std::string>{"retraining", "added"}));
  EXPECT_EQ(audit()[0].at("reason"), "command: new cooling");
  EXPECT_TRUE(fs::exists(folder_.path() / "models" / both.id / (version.version + ".rows")))
      << "it can be rebuilt";
}

TEST_F(RetrainCommand, PromotesWhatPasses) {
  const Ran ran = retrain("--promote");
  EXPECT_EQ(ran.code, 0) << ran.said;
  const ModelRegistry::Group both = group();
  ASSERT_THAT(both.versions, SizeIs(2));
  EXPECT_EQ(both.champion->version, both.versions.back().version);
  EXPECT_EQ(both.champion->previous, champion_);
  EXPECT_THAT(both.champion->why, HasSubstr("600 rows, 0 alerts of the challenger"));
  EXPECT_THAT(ran.said, HasSubstr(both.champion->version + " promoted\n"));
  EXPECT_EQ(events(), (std::vector<std::string>{"retraining", "added", "promoted"}));
}

TEST_F(RetrainCommand, ADryRunChangesNothingAlsoWhileADaemonRuns) {
  const auto lock = runtime::StateLock::acquire(folder_.path(), "anomalyd");
  ASSERT_TRUE(lock);
  const auto before = contents();
  const Ran ran = retrain("--dry-run");
  EXPECT_EQ(ran.code, 0) << ran.said;
  EXPECT_THAT(ran.said, AllOf(HasSubstr(": passed on 569 rows"), HasSubstr("rows judged by both"),
                              HasSubstr("a dry run: nothing was kept")));
  EXPECT_EQ(contents(), before);
  const Ran refused = retrain("");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.said, HasSubstr("serves no HTTP")) << "a daemon is there, and must be asked";
}

TEST_F(RetrainCommand, AChallengerThatIsRefusedLeavesTheChampion) {
  keep(rows_of_a_machine(kRows, Coupling::kReversedAtFirst));
  const Ran ran = retrain("--promote");
  EXPECT_EQ(ran.code, 1) << ran.said;
  const ModelRegistry::Group both = group();
  ASSERT_THAT(both.versions, SizeIs(2)) << "it is kept, to look at";
  const Manifest& version = both.versions.back();
  EXPECT_EQ(both.champion->version, champion_);
  EXPECT_EQ(gate_verdict(version).outcome, "refused");
  EXPECT_THAT(ran.said,
              AllOf(HasSubstr(version.version + " refused: " + gate_verdict(version).reason + "\n"),
                    HasSubstr("to let it serve all the same: anomalyctl models promote " +
                              version.version)));
  EXPECT_EQ(events(), (std::vector<std::string>{"retraining", "added", "refused"}));
}

TEST_F(RetrainCommand, TooFewRowsToJudgeByPostponeIt) {
  keep(rows_of_a_machine(kLearned, Coupling::kSteady));
  const Ran ran = retrain("--promote --json");
  EXPECT_EQ(ran.code, 1) << ran.said;
  const json report = json::parse(ran.said.substr(ran.said.find("\n{") + 1));
  EXPECT_EQ(report.at("outcome"), "postponed");
  EXPECT_EQ(report.at("reason"), "too_few_unseen_rows");
  EXPECT_EQ(report.at("group"), kKey);
  EXPECT_EQ(report.at("version"), group().versions.back().version);
  EXPECT_FALSE(report.at("report").at("losses").empty());
  EXPECT_EQ(report.at("report").at("gate").at("outcome"), "not_enough_data");
  EXPECT_EQ(report.at("report").at("incidents").at("rows"), kLearned * 15 / 100);
  EXPECT_EQ(group().champion->version, champion_);
}

TEST_F(RetrainCommand, LearnsFromFilesWithoutTheRowsOfKnownIncidents) {
  fs::remove_all(folder_.path() / "reservoir");
  Alert alert;
  alert.id = "a1b2c3";
  alert.state = AlertState::kResolve;
  alert.series = "m0";
  alert.start = minute(1200);
  alert.time = minute(1229);
  alert.end = minute(1229);
  ASSERT_TRUE(runtime::IncidentLog{folder_.path()}.add(alert));
  const Ran ran = retrain(file_of_records(kRows));
  EXPECT_EQ(ran.code, 0) << ran.said;
  const ModelRegistry::Group both = group();
  ASSERT_THAT(both.versions, SizeIs(2));
  const Manifest& version = both.versions.back();
  EXPECT_EQ(version.excluded_rows.at("incident"), 30U);
  EXPECT_EQ(version.excluded_rows.at("near an incident"), 64U);
  ASSERT_THAT(version.data, SizeIs(1));
  EXPECT_THAT(version.data[0].partition.topic, HasSubstr("records.ndjson"));
}

TEST_F(RetrainCommand, SaysWhatIsWrongWithFiles) {
  const std::string other =
      elsewhere_.write("other.ndjson", R"({"series":"m0","ts":"2026-01-01T00:00:00Z","flow":1})")
          .string();
  const Ran ran = retrain(other);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.said,
              HasSubstr("found 1 series with the channels flow; expected some with load,heat"));
  EXPECT_THAT(retrain(elsewhere_.write("bad.ndjson", "{}\n").string()).said,
              HasSubstr("1 records could not be used"));
  const Ran few = retrain(file_of_records(20));
  EXPECT_EQ(few.code, 1);
  EXPECT_THAT(few.said, HasSubstr("found 20 rows of 1 series; expected at least"));
  EXPECT_EQ(events(), (std::vector<std::string>{"retraining", "failed"}));
  EXPECT_THAT(retrain("--from 2026-01-01").said, HasSubstr("expected --config FILE with topics"));
  EXPECT_THAT(retrain("--address 127.0.0.1:1 " + other).said,
              HasSubstr("expected none of them where a daemon runs (127.0.0.1:1)"));
  EXPECT_THAT(group().versions, SizeIs(1));
}

TEST_F(RetrainCommand, SaysWhatIsMissing) {
  EXPECT_THAT(retrain("--group zz").said,
              HasSubstr("group 'zz' is unknown; expected --group with one of: "));
  EXPECT_EQ(retrain("--dry-run --promote").code, 2);
  EXPECT_THAT(retrain("--dry-run --address 127.0.0.1:1").said,
              HasSubstr("found --dry-run with --address"));
  fs::remove_all(folder_.path() / "reservoir");
  const Ran rows = retrain("");
  EXPECT_EQ(rows.code, 1);
  EXPECT_THAT(rows.said, AllOf(HasSubstr("there are no rows of the group 'load,heat'"),
                               HasSubstr("or files or --from and --until")));
  fs::remove_all(folder_.path() / "models");
  for (const std::string how : {"", "--dry-run"}) {
    const Ran models = retrain(how);
    EXPECT_EQ(models.code, 1);
    EXPECT_THAT(models.said, AllOf(HasSubstr("found no models; expected one to retrain"),
                                   HasSubstr("anomalyctl train")));
  }
  const Ran nowhere = anomalyctl("retrain --state /proc/nowhere");
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.said, HasSubstr("/proc/nowhere: no such folder"));
}

}  // namespace
}  // namespace anomalyd::tools
