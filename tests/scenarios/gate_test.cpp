// The gate with real models: a dozen kinds of bad challenger are each refused for their own reason,
// and a good one passes.

#include "daemon/pipeline/gate.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <numbers>
#include <random>
#include <string_view>

#include "models/checkpoint.hpp"
#include "models/torch_models.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::ManualClock;
using anomalyd::testing::TemporaryFolder;
using models::TorchModelFactory;

constexpr std::size_t kSeries = 3;
constexpr std::size_t kChannels = 5;
constexpr std::size_t kLearned = 1500;  // rows that a model is trained on
constexpr std::size_t kUnseen = 600;    // rows of the block

std::vector<Channel> channels() {
  std::vector<Channel> all;
  for (std::size_t c = 0; c < kChannels; ++c) all.push_back({"c" + std::to_string(c), ""});
  return all;
}

/// What is made of the rows of a machine. kJobs: every 150 rows a short job keeps it busy.
enum class Spoiled { kNot, kNoise, kConstant, kIncident, kJobs };

/// Rows of one machine: two cycles and a load that wanders, which all channels follow, each with
/// noise of its own. Row t is the same however many are asked for.
History machine(std::size_t series, std::size_t from, std::size_t to, unsigned seed,
                Spoiled spoiled = Spoiled::kNot) {
  std::mt19937_64 random{seed * 1000 + series};
  std::normal_distribution<double> normal;
  History history;
  history.series = "machine" + std::to_string(series);
  const auto id = static_cast<double>(series);
  const Windower::Options options;
  double load = 0;
  std::vector<double> row(kChannels);
  const auto release = [&](const Windower::Row& released) { history.append(released); };
  for (std::size_t t = 0; t < to; ++t) {
    const double time = static_cast<double>(t);
    load = 0.95 * load + 0.3 * normal(random);
    const double day = std::sin(2 * std::numbers::pi * time / 96 + id);
    const double hour = std::sin(2 * std::numbers::pi * time / 17 + 2 * id);
    for (std::size_t c = 0; c < kChannels; ++c) {
      const auto k = static_cast<double>(c);
      const double noise = normal(random), other = normal(random);
      double value = day * std::cos(k) + 0.5 * hour * std::sin(k + 1) + 0.6 * load;
      if (spoiled == Spoiled::kNoise) value = 0, value += other;
      if (spoiled == Spoiled::kConstant) value = 0;
      if (spoiled == Spoiled::kIncident) value += c % 2 == 0 ? 5 : -4;
      if (spoiled == Spoiled::kJobs && t % 150 == 0) value += 4;
      const double own = spoiled == Spoiled::kConstant ? 0 : 0.2;
      row[c] = 20 + 10 * k + (1 + k) * (value + own * noise);
    }
    if (t < from) continue;
    const EventTime at{std::chrono::minutes{29'000'000 + static_cast<std::int64_t>(t)}};
    (void)history.windower.add({history.series, at, static_cast<Offset>(t), row}, options, release);
  }
  history.windower.flush(options, release);
  return history;
}

std::vector<History> fleet(std::size_t from, std::size_t to, unsigned seed,
                           Spoiled spoiled = Spoiled::kNot) {
  std::vector<History> all;
  for (std::size_t s = 0; s < kSeries; ++s) all.push_back(machine(s, from, to, seed, spoiled));
  return all;
}

PipelineOptions pipeline_options() {
  PipelineOptions options;
  options.training.rows = kLearned;
  options.training.detect_counters = false;
  return options;
}

/// Is off by more than the model inside: so many times on average, now more and now less.
class WorseScorer final : public Scorer {
 public:
  WorseScorer(std::unique_ptr<Scorer> inside, double factor)
      : inside_{std::move(inside)}, info_{inside_->info()}, factor_{factor} {
    info_.version = "worse";
  }
  const ModelInfo& info() const override { return info_; }
  Result<Residuals> score(const Batch& batch) override {
    auto residuals = inside_->score(batch);
    if (!residuals) return residuals;
    std::normal_distribution<double> spread{factor_, 0.3};
    for (float& value : residuals->values) value *= static_cast<float>(spread(random_));
    return residuals;
  }
  Result<Memory> memorize(std::span<const float> rows, std::uint32_t slot,
                          std::size_t learned) override {
    return inside_->memorize(rows, slot, learned);
  }
  Status move_to(std::string_view device) override { return inside_->move_to(device); }

 private:
  std::unique_ptr<Scorer> inside_;
  ModelInfo info_;
  double factor_;
  std::mt19937 random_{1};
};

/// Takes its time to load.
class SlowFactory final : public ModelFactory {
 public:
  SlowFactory(ModelFactory& inside, ManualClock& clock) : inside_{inside}, clock_{clock} {}
  Result<std::unique_ptr<Scorer>> train(const TrainingSet& set, const ProgressFn& progress,
                                        std::stop_token stop, TrainingReport& report) override {
    return inside_.train(set, progress, stop, report);
  }
  Status save(const Scorer& scorer, const CheckpointExtras& extras,
              const std::filesystem::path& path) override {
    return inside_.save(scorer, extras, path);
  }
  Result<LoadedModel> load(const std::filesystem::path& path) override {
    clock_.advance(std::chrono::minutes{2});
    return inside_.load(path);
  }

 private:
  ModelFactory& inside_;
  ManualClock& clock_;
};

class GateScenario : public ::testing::TestWithParam<unsigned> {
 protected:
  static constexpr std::size_t kFrom = 500;  // the first row that challengers are trained on

  void SetUp() override {
    TorchModelFactory::Options options;
    options.device = "cpu";
    options.threads = 1;
    factory_ = TorchModelFactory::create(options).value();
    defend(Spoiled::kNot);
  }
  /// Trains the champion on such rows, and takes the block from them.
  void defend(Spoiled spoiled) {
    block_ = fleet(kFrom + kLearned, kFrom + kLearned + kUnseen, seed_, spoiled);
    auto learned = train(fleet(0, kLearned, seed_, spoiled));
    const auto same = fleet(kFrom, kFrom + kLearned, seed_, spoiled);
    champion_scorer_ = std::move(learned.scorer);
    champion_ = {champion_scorer_.get(),
                 calibrate(*champion_scorer_, same, options_, learned.group.get(), {}).value()};
  }

  Learned train(const std::vector<History>& rows, const std::vector<Channel>& names = channels()) {
    auto learned = learn(rows, names, *factory_, options_, [](const auto&) {}, {});
    EXPECT_TRUE(learned) << (learned ? "" : learned.error().message);
    return *std::move(learned);
  }
  const Learned& good() {
    if (!good_.scorer) good_ = train(fleet(kFrom, kFrom + kLearned, seed_));
    return good_;
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "challenger.ckpt"; }

  StoredChallenger save(const Scorer& scorer, const LearnedGroup& group) {
    EXPECT_TRUE(factory_->save(scorer, {"{}", group.calibration()}, path()));
    StoredChallenger stored{path()};
    look_at(stored);
    stored.written_bytes = stored.bytes;
    stored.written_digest = stored.digest;
    return stored;
  }
  /// Takes size and digest of the file as it is now.
  void look_at(StoredChallenger& stored) {
    auto bytes = models::read_file(path()).value();
    stored.bytes = bytes.size();
    const auto with_digest = models::sealed(std::move(bytes));
    stored.digest.assign(reinterpret_cast<const char*>(with_digest.data()) + stored.bytes, 32);
  }
  StoredChallenger save(const Learned& learned) { return save(*learned.scorer, *learned.group); }
  /// Changes the bytes of the file.
  void rewrite(const std::function<void(std::vector<std::byte>&)>& change) {
    auto bytes = models::read_file(path()).value();
    change(bytes);
    ASSERT_TRUE(models::write_atomically(path(), bytes));
  }

  GateContext context() { return {options_, gate_, clock_}; }
  UnseenBlock block() const { return {channels(), block_}; }
  GateReport examine_stored(const StoredChallenger& stored, ModelFactory* factory = nullptr) {
    return told(
        examine(stored, factory == nullptr ? *factory_ : *factory, &champion_, block(), context())
            .report);
  }
  GateReport told(GateReport report) {
    std::printf("seed %u, %s: %s\n%s\n", seed_,
                ::testing::UnitTest::GetInstance()->current_test_info()->name(),
                std::string{to_string(report.reason())}.c_str(), gate_table(report).c_str());
    return report;
  }

  unsigned seed_ = GetParam();
  PipelineOptions options_ = pipeline_options();
  GateOptions gate_{.seed = seed_};
  ManualClock clock_;
  TemporaryFolder folder_;
  std::unique_ptr<TorchModelFactory> factory_;
  std::vector<History> block_;
  std::unique_ptr<Scorer> champion_scorer_;
  Candidate champion_;
  Learned good_;
};
INSTANTIATE_TEST_SUITE_P(Seed, GateScenario, ::testing::Values(1U));
INSTANTIATE_TEST_SUITE_P(MoreSeeds, GateScenario, ::testing::Range(2U, 6U));

TEST_P(GateScenario, LetsAGoodOnePass) {
  const GateReport report = examine_stored(save(good()));
  EXPECT_EQ(report.outcome, GateOutcome::kPassed);
  EXPECT_EQ(rule(report, {}, gate_), GateRuling::kPromote);
}

TEST_P(GateScenario, RefusesWhatWasTrainedOnNoise) {
  const auto report =
      examine_stored(save(train(fleet(kFrom, kFrom + kLearned, seed_, Spoiled::kNoise))));
  EXPECT_EQ(report.reason(), GateReason::kLearnedNothing);
}

TEST_P(GateScenario, RefusesWhatWasTrainedOnAConstant) {
  const auto report =
      examine_stored(save(train(fleet(kFrom, kFrom + kLearned, seed_, Spoiled::kConstant))));
  EXPECT_EQ(report.reason(), GateReason::kConstant);
}

TEST_P(GateScenario, RefusesWhatWasTrainedOnAnIncident) {
  const auto report =
      examine_stored(save(train(fleet(kFrom, kFrom + kLearned, seed_, Spoiled::kIncident))));
  EXPECT_EQ(report.reason(), GateReason::kOtherLevel);
}

TEST_P(GateScenario, RefusesWhatWasTrainedOnTooFewRows) {
  const auto report =
      examine_stored(save(train(fleet(kFrom + kLearned - 150, kFrom + kLearned, seed_))));
  EXPECT_EQ(report.reason(), GateReason::kTooFewRows);
}

TEST_P(GateScenario, RefusesAnotherSchema) {
  std::vector<Channel> others = channels();
  others.back().name = "c9";
  const auto report = examine_stored(save(train(fleet(kFrom, kFrom + kLearned, seed_), others)));
  EXPECT_EQ(report.reason(), GateReason::kOtherSchema);
}

TEST_P(GateScenario, RefusesWeightsThatAreNotANumber) {
  (void)save(good());
  rewrite([](std::vector<std::byte>& bytes) {
    const std::vector<std::byte> before = bytes;
    auto checkpoint = models::decode(before).value();
    std::vector<float> values(checkpoint.members[0].weights[0].bytes.size() / sizeof(float), NAN);
    checkpoint.members[0].weights[0].bytes = std::as_bytes(std::span{values});
    bytes = models::encode(checkpoint);
  });
  EXPECT_EQ(examine_stored({path()}).reason(), GateReason::kNotFinite);
}

TEST_P(GateScenario, RefusesATruncatedFile) {
  StoredChallenger stored = save(good());
  rewrite([](std::vector<std::byte>& bytes) { bytes.resize(bytes.size() * 2 / 3); });
  look_at(stored);
  EXPECT_EQ(examine_stored(stored).reason(), GateReason::kTruncated);
  // It does not load either if nobody knows how long it was.
  EXPECT_EQ(examine_stored({path()}).reason(), GateReason::kIncompatible);
}

TEST_P(GateScenario, RefusesFlippedBits) {
  StoredChallenger stored = save(good());
  rewrite([](std::vector<std::byte>& bytes) {
    for (std::size_t i = 5000; i < bytes.size(); i += bytes.size() / 7) bytes[i] ^= std::byte{16};
  });
  look_at(stored);
  EXPECT_EQ(examine_stored(stored).reason(), GateReason::kDamaged);
  EXPECT_EQ(examine_stored({path()}).reason(), GateReason::kIncompatible);
}

TEST_P(GateScenario, RefusesHugeShapes) {
  (void)save(good());
  rewrite([](std::vector<std::byte>& bytes) {
    bytes.resize(bytes.size() - 32);
    constexpr std::string_view kShape = "\"shape\":[";
    const auto* begin = reinterpret_cast<const std::byte*>(kShape.data());
    auto at = std::search(bytes.begin(), bytes.end(), begin, begin + kShape.size());
    ASSERT_NE(at, bytes.end());
    at += static_cast<std::ptrdiff_t>(kShape.size());
    for (; *at != std::byte{']'}; ++at) {
      if (*at != std::byte{','}) *at = std::byte{'9'};
    }
    bytes = models::sealed(std::move(bytes));
  });
  EXPECT_EQ(examine_stored({path()}).reason(), GateReason::kIncompatible);
  EXPECT_EQ(examine_stored({path(), gate_.max_bytes + 1}).reason(), GateReason::kTooLarge);
}

TEST_P(GateScenario, RefusesWhatIsSlowToLoad) {
  SlowFactory slow{*factory_, clock_};
  EXPECT_EQ(examine_stored(save(good()), &slow).reason(), GateReason::kTooSlow);
}

TEST_P(GateScenario, RefusesALossThatIsFivePercentWorse) {
  auto learned = train(fleet(kFrom, kFrom + kLearned, seed_));
  WorseScorer worse{std::move(learned.scorer), 1.05};
  const auto rows = fleet(kFrom, kFrom + kLearned, seed_);
  const Candidate challenger{&worse,
                             calibrate(worse, rows, options_, learned.group.get(), {}).value()};
  EXPECT_EQ(told(examine(challenger, &champion_, block(), context())).reason(),
            GateReason::kWorseLoss);
}

TEST_P(GateScenario, RefusesWhatIsAlarmHappy) {
  // Calibrated on rows without the jobs, it takes each of them for an incident.
  defend(Spoiled::kJobs);
  const auto learned = train(fleet(kFrom, kFrom + kLearned, seed_, Spoiled::kJobs));
  const auto idle = fleet(kFrom, kFrom + kLearned, seed_);
  const auto happy = calibrate(*learned.scorer, idle, options_, learned.group.get(), {}).value();
  EXPECT_EQ(examine_stored(save(*learned.scorer, *happy)).reason(), GateReason::kAlarmHappy);
  EXPECT_EQ(examine_stored(save(learned)).reason(), GateReason::kNone) << "with them it is good";
}

}  // namespace
}  // namespace anomalyd::pipeline
