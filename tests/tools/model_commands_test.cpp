// `anomalyctl feedback` and `anomalyctl models rebuild`, run as an operator runs them, on a state
// folder with a real model.

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "config/describe.hpp"
#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/feedback.hpp"
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
constexpr std::size_t kRows = 2000;
constexpr std::size_t kIncident = 1200, kIncidentRows = 30;  // in the middle of the rows
const std::string kKey = "load,heat";

EventTime minute(std::size_t row) {
  return EventTime{std::chrono::microseconds{static_cast<std::int64_t>(row) * kMinute}};
}

/// Two channels that go together, but for one incident: heat without load.
JudgedRows rows_of_a_machine() {
  JudgedRows rows{{{"load", "%"}, {"heat", "C"}}, {}, std::vector(kRows, RowMark::kNormal)};
  History& history = rows.history;
  history.series = "m0";
  history.width = 2;
  std::mt19937_64 random{3};
  std::normal_distribution<double> noise{0, 1};
  for (std::size_t i = 0; i < kRows; ++i) {
    const double load = 50 + 20 * std::sin(static_cast<double>(i) / 15) + noise(random);
    const bool odd = i >= kIncident && i < kIncident + kIncidentRows;
    history.times.push_back(minute(i).time_since_epoch().count());
    history.offsets.push_back(static_cast<Offset>(i));
    history.gaps.push_back(i == 0 ? History::kRestart : 0);
    history.rows.insert(history.rows.end(), {load, load / 2 + (odd ? 60 : 0) + noise(random)});
    if (odd) rows.marks[i] = RowMark::kIncident;
    const std::span values = std::span{history.rows}.last(2);
    (void)history.windower.add({"m0", minute(i), static_cast<Offset>(i), values}, {},
                               [](const pipeline::Windower::Row&) {});
  }
  return rows;
}

class ModelCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.model.kind = "memory";
    options_.model.seed = 5;
    options_.model.threads = 1;
    auto reservoir = runtime::Reservoir::open(folder_.path() / "reservoir", {}).value();
    ASSERT_TRUE(reservoir.append(std::span{&rows_, 1}));
    ASSERT_TRUE(reservoir.flush());
    Alert alert;
    alert.id = "a1b2c3";
    alert.state = AlertState::kResolve;
    alert.series = "m0";
    alert.start = minute(kIncident);
    alert.time = minute(kIncident + kIncidentRows);
    alert.end = minute(kIncident + kIncidentRows - 1);
    ASSERT_TRUE(runtime::IncidentLog{folder_.path()}.add(alert));
    add_version();
  }
  /// A champion that has learned from all rows, those of the incident too.
  void add_version() {
    auto factory = models::TorchModelFactory::create(options_.model).value();
    std::vector<History> histories{rows_.history, rows_.history};
    histories[1].series = "m1";
    const auto learned = pipeline::learn(histories, rows_.channels, *factory, options_.pipeline,
                                         [](const TrainingProgress&) {}, {});
    ASSERT_TRUE(learned) << learned.error().message;
    const auto registry = registry_of(ModelRegistry::Access::kWrite);
    auto draft = registry->begin().value();
    ASSERT_TRUE(factory->save(*learned->scorer, {"{}", learned->group->calibration()},
                              draft->checkpoint()));
    ASSERT_TRUE(runtime::write_rows(draft->rows(), rows_.channels, histories));
    Manifest manifest = runtime::manifest_of(learned->group->info);
    manifest.seed = options_.model.seed;
    manifest.configuration =
        config::effective_json(options_, {"input.channels", "window", "training", "model"});
    manifest.data = {{{"metrics", 0}, 0, kRows - 1, minute(0), minute(kRows - 1), 2 * kRows}};
    const auto added = registry->add(std::move(draft), std::move(manifest), "test");
    ASSERT_TRUE(added) << added.error().message;
    version_ = added->version;
    ASSERT_TRUE(registry->promote(kKey, version_, {.why = "test", .by = "test", .since = {}}));
  }
  std::unique_ptr<ModelRegistry> registry_of(ModelRegistry::Access access) const {
    return ModelRegistry::open(folder_.path() / "models", access, {system_clock(), {}}).value();
  }
  ModelRegistry::Group group() const {
    return registry_of(ModelRegistry::Access::kRead)->group("").value();
  }
  Ran run(const std::string& arguments) const {
    return anomalyctl(arguments + " --state " + folder_.path().string());
  }
  std::string audit() const {
    return runtime::read_whole(folder_.path() / "audit.ndjson", 1 << 20).value();
  }

  testing::TemporaryFolder folder_;
  config::Options options_;
  JudgedRows rows_ = rows_of_a_machine();
  std::string version_;
};

TEST_F(ModelCommands, RebuildGivesTheSameWeightsTwiceAndOthersWithoutAnIncident) {
  const Ran same = run("models rebuild " + version_);
  EXPECT_EQ(same.code, 0) << same.said;
  EXPECT_THAT(same.said, HasSubstr("the weights are those of version " + version_ + " again"));
  EXPECT_THAT(group().versions, SizeIs(1));

  const Ran other = run("models rebuild " + version_ + " --exclude a1");
  EXPECT_EQ(other.code, 0) << other.said;
  EXPECT_THAT(other.said, AllOf(HasSubstr("94 rows left out"), HasSubstr("imported version")));
  const ModelRegistry::Group both = group();
  ASSERT_THAT(both.versions, SizeIs(2));
  const Manifest& rebuilt = both.versions.back();
  EXPECT_NE(rebuilt.version, version_);
  EXPECT_EQ(rebuilt.parent, version_);
  EXPECT_EQ(rebuilt.reason, "rebuild");
  ASSERT_THAT(rebuilt.exclusions, SizeIs(1));
  EXPECT_EQ(rebuilt.exclusions[0].why, "incident a1b2c3");
  EXPECT_EQ(both.champion->version, version_) << "it does not serve yet";

  // With the same exclusions again: the same version, down to the checkpoint.
  const Ran again = run("models rebuild " + version_ + " --exclude a1b2c3 --promote");
  EXPECT_EQ(again.code, 0) << again.said;
  const ModelRegistry::Group after = group();
  ASSERT_THAT(after.versions, SizeIs(2));
  EXPECT_EQ(after.versions.back().sha256, rebuilt.sha256);
  EXPECT_EQ(after.champion->version, rebuilt.version);
  const Ran itself = run("models rebuild " + rebuilt.version);
  EXPECT_THAT(itself.said, HasSubstr("nothing was added")) << "of the rows that it was left";
}

TEST_F(ModelCommands, RebuildTakesTheReservoirWhereNoRowsAreKeptAndSaysWhatItLacks) {
  const fs::path rows = registry_of(ModelRegistry::Access::kRead)->rows_path(kKey, version_);
  fs::remove(rows);
  const Ran lacking = run("models rebuild " + version_);
  EXPECT_EQ(lacking.code, 1);
  EXPECT_THAT(
      lacking.said,
      AllOf(HasSubstr("not in " + (folder_.path() / "reservoir").string() + " any more"),
            HasSubstr("metrics[0] offsets 0 to 1999"), HasSubstr(" of 4000 rows are left")));
  fs::remove_all(folder_.path() / "reservoir");
  EXPECT_THAT(run("models rebuild " + version_).said, HasSubstr("0 of 4000 rows are left"));
}

TEST_F(ModelCommands, RebuildSaysWhatIsWrong) {
  EXPECT_THAT(run("models rebuild " + version_ + " --exclude zz").said,
              HasSubstr("incident 'zz' is unknown"));
  EXPECT_THAT(run("models rebuild ffffff").said, HasSubstr("ffffff"));
  const fs::path rows = registry_of(ModelRegistry::Access::kRead)->rows_path(kKey, version_);
  fs::resize_file(rows, fs::file_size(rows) / 2);
  const Ran damaged = run("models rebuild " + version_);
  EXPECT_EQ(damaged.code, 1);
  EXPECT_THAT(damaged.said, HasSubstr(rows.string()));
}

TEST_F(ModelCommands, FeedbackIsKeptWithoutADaemonAndIsInTheAuditLog) {
  const Ran said = run("feedback a1 benign --name backup");
  EXPECT_EQ(said.code, 0) << said.said;
  EXPECT_THAT(said.said, AllOf(HasSubstr("a1b2c3 of m0"), HasSubstr("benign: backup"),
                               HasSubstr("will be learned from")));
  EXPECT_THAT(run("feedback a1 fault --name pump").said, HasSubstr("left out of learning"));
  const auto kept = runtime::FeedbackStore{folder_.path()}.read().value().feedback;
  ASSERT_THAT(kept, SizeIs(1));
  EXPECT_EQ(class_of(kept[0]), "fault: pump") << "the last word holds";
  EXPECT_EQ(kept[0].end, minute(kIncident + kIncidentRows - 1));
  EXPECT_THAT(audit(),
              AllOf(HasSubstr(R"("reason":"benign: backup")"),
                    HasSubstr(R"("reason":"fault: pump")"), HasSubstr(R"("incident":"a1b2c3")")));
}

TEST_F(ModelCommands, FeedbackSaysWhatIsWrong) {
  const Ran unknown = run("feedback zz fault");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.said, HasSubstr("incident 'zz' is unknown; expected one of the 1 in"));
  EXPECT_EQ(run("feedback a1 perhaps").code, 2);
  EXPECT_EQ(run("feedback a1").code, 2);
  EXPECT_EQ(anomalyctl("feedback a1 fault --state /proc/nowhere").code, 1);
  EXPECT_EQ(run("feedback a1 fault --address 127.0.0.1:1").code, 1) << "nobody answers there";
  EXPECT_FALSE(fs::exists(folder_.path() / "feedback.ndjson"));
  const auto lock = runtime::StateLock::acquire(folder_.path(), "anomalyd");
  ASSERT_TRUE(lock);
  EXPECT_THAT(run("feedback a1 fault").said, HasSubstr("serves no HTTP"));
}

TEST_F(ModelCommands, PreviewShowsWhatWouldNotHaveOpenedAndKeepsNothing) {
  const Ran benign = run("feedback a1 benign --name backup --preview --days 30");
  EXPECT_EQ(benign.code, 0) << benign.said;
  EXPECT_THAT(benign.said,
              AllOf(HasSubstr("with incident a1b2c3 as benign: backup, 1 would not have opened:"),
                    HasSubstr("  a1b2c3 ")));
  const Ran fault = run("feedback a1 fault --preview --days 30");
  EXPECT_EQ(fault.code, 0) << fault.said;
  EXPECT_THAT(fault.said, HasSubstr("0 would not have opened"));
  EXPECT_FALSE(fs::exists(folder_.path() / "feedback.ndjson"));
}

TEST_F(ModelCommands, PreviewSaysWhatIsMissing) {
  EXPECT_THAT(run("feedback zz benign --preview").said, HasSubstr("incident 'zz' is unknown"));
  fs::remove_all(folder_.path() / "reservoir");
  const Ran gone = run("feedback a1 benign --preview");
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.said, HasSubstr("no rows of the series 'm0'"));
}

}  // namespace
}  // namespace anomalyd::tools
