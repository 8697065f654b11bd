// What kinds of models with conditions and classes do for alerts: the whole pipeline on generated
// data, a row at a time.

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>
#include <random>
#include <set>

#include "models/plan.hpp"
#include "models/torch_models.hpp"
#include "tests/support/pipeline_driver.hpp"
#include "tests/support/temporary_folder.hpp"

namespace anomalyd {
namespace {

using models::TorchModelFactory;
using testing::PipelineDriver;

/// Rows of one series, a minute apart, and what is wrong with some of them.
struct Stream {
  static constexpr std::int64_t kStart = 1'767'571'200;  // a Monday, 00:00 UTC

  std::size_t channels = 0;
  std::int64_t period = 60;  // seconds
  std::vector<double> rows;
  std::vector<pipeline::Label> labels;

  [[nodiscard]] std::size_t size() const { return rows.size() / channels; }
  [[nodiscard]] EventTime time(std::size_t i) const {
    return EventTime{std::chrono::seconds{kStart + static_cast<std::int64_t>(i) * period}};
  }
  void label(std::size_t begin, std::size_t count, const std::string& name) {
    labels.push_back({"s", time(begin), time(begin + count - 1), name});
  }
};

/// What became of the rows behind those that were learned.
struct Outcome {
  std::vector<Alert> opened;
  std::vector<Alert> resolved;
  std::vector<PipelineDriver::Judged> judged;

  /// Labelled stretches called `name` that an incident meets, up to `late` rows after their end.
  [[nodiscard]] double share_found(const Stream& stream, std::size_t learned,
                                   const std::string& name, int late = 8) const {
    double all = 0, found = 0;
    for (const pipeline::Label& label : stream.labels) {
      if (label.name != name || label.start < stream.time(learned)) continue;
      ++all;
      found += meets(stream, label, late) != nullptr ? 1 : 0;
    }
    return all > 0 ? found / all : 0;
  }
  [[nodiscard]] const Alert* meets(const Stream& stream, const pipeline::Label& label,
                                   int late) const {
    for (const Alert& alert : resolved) {
      const auto end = label.end + late * std::chrono::seconds{stream.period};
      if (alert.start <= end && *alert.end >= label.start) return &alert;
    }
    return nullptr;
  }
  /// Incidents that meet no labelled stretch.
  [[nodiscard]] std::size_t false_alerts(const Stream& stream, int late = 8) const {
    std::size_t count = 0;
    for (const Alert& alert : resolved) {
      bool met = false;
      for (const pipeline::Label& label : stream.labels) {
        met = met || (alert.start <= label.end + late * std::chrono::seconds{stream.period} &&
                      *alert.end >= label.start);
      }
      count += met ? 0 : 1;
    }
    return count;
  }
};

/// Stretches of rows without a label, and not close behind one, whose scores exceed the threshold
/// with which `recall` of the stretches called `name` are found.
std::size_t false_alarms_at(double recall, const Outcome& outcome, const Stream& stream,
                            const std::string& name) {
  std::vector<double> peaks;
  std::vector<std::pair<EventTime, EventTime>> labelled;
  for (const pipeline::Label& label : stream.labels) {
    labelled.emplace_back(label.start, label.end + 60 * std::chrono::seconds{stream.period});
    double peak = 0;
    for (const auto& row : outcome.judged) {
      const bool in = row.time >= label.start && row.time <= label.end;
      if (in && label.name == name) peak = std::max(peak, row.verdict.score);
    }
    if (peak > 0) peaks.push_back(peak);
  }
  std::ranges::sort(peaks);
  const double threshold =
      peaks.at(static_cast<std::size_t>((1 - recall) * static_cast<double>(peaks.size())));
  std::size_t count = 0;
  bool above = false;
  for (const auto& row : outcome.judged) {
    const bool is_labelled = std::ranges::any_of(labelled, [&](const auto& stretch) {
      return row.time >= stretch.first && row.time <= stretch.second;
    });
    const bool was_above = std::exchange(above, !is_labelled && row.verdict.score >= threshold);
    count += above && !was_above ? 1 : 0;
  }
  return count;
}

Outcome run(const Stream& stream, std::size_t learned, const TorchModelFactory::Options& model,
            bool with_labels, bool per_regime = true,
            const char* budget = "5 per series per 1000 rows") {
  pipeline::PipelineOptions options;
  options.window.length = model.window;
  options.training.rows = learned;
  options.training.patience = 0;
  options.training.detect_counters = false;
  options.detector.per_regime = per_regime;
  options.faults.enabled = false;
  options.budget = pipeline::AlertBudget::parse(budget).value();
  if (with_labels) options.training.labels = stream.labels;
  std::vector<Channel> channels;
  for (std::size_t c = 0; c < stream.channels; ++c)
    channels.push_back({"c" + std::to_string(c), ""});
  PipelineDriver driver{options, channels};
  driver.block_size = 256;
  auto factory = TorchModelFactory::create(model);
  EXPECT_TRUE(factory) << (factory ? "" : factory.error().message);
  for (std::size_t i = 0; i < stream.size(); ++i) {
    const auto row = stream.rows.begin() + static_cast<std::ptrdiff_t>(i * stream.channels);
    driver.push("s", stream.time(i), {row, row + static_cast<std::ptrdiff_t>(stream.channels)});
    if (driver.group() == nullptr && i >= learned) {
      driver.run();
      driver.train(**factory);
    }
  }
  driver.finish();
  Outcome outcome;
  for (const Alert& alert : driver.alerts) {
    if (alert.state == AlertState::kOpen) outcome.opened.push_back(alert);
    if (alert.state == AlertState::kResolve) outcome.resolved.push_back(alert);
  }
  outcome.judged = std::move(driver.verdicts);
  return outcome;
}

TorchModelFactory::Options options_of(std::string kind) {
  return {.kind = std::move(kind),
          .window = 16,
          .hidden = {64, 32},
          .latent = 6,
          .epochs = 40,
          .patience = 40,
          .batch = 128,
          .learning_rate = 3e-3,
          .device = "cpu",
          .threads = 1};
}

constexpr std::size_t kPatternRows = 12;

/// Coupled channels with patterns laid over them: a harmless backup, and two faults.
Stream patterns(std::size_t num_rows, std::size_t learned) {
  std::mt19937 random{1};
  std::normal_distribution<double> noise{0, 0.2};
  Stream stream{.channels = 3, .rows = {}, .labels = {}};
  for (std::size_t t = 0; t < num_rows; ++t) {
    const double phase = 2 * std::numbers::pi * static_cast<double>(t) / 24;
    for (std::size_t c = 0; c < 3; ++c) {
      stream.rows.push_back(std::sin(phase + static_cast<double>(c)) + noise(random));
    }
  }
  const auto lay = [&](std::size_t at, const std::string& name) {
    for (std::size_t i = 0; i < kPatternRows; ++i) {
      double* row = &stream.rows[(at + i) * 3];
      const double share = static_cast<double>(i + 1) / kPatternRows;
      if (name == "benign: backup") row[0] += 5, row[1] += 4;
      if (name == "fault: leak") row[1] -= 8 * share;
      if (name == "fault: pump") row[2] += i % 2 == 0 ? 4 : -4;
      if (name == "fault: unheard of") row[0] -= 4, row[2] += 4;
    }
    stream.label(at, kPatternRows, name);
  };
  for (const std::size_t at :
       {500U, 1500U}) {  // two dozen labelled windows of a backup, four of a fault
    lay(at, "benign: backup");
    for (const std::size_t more : {0U, 100U}) {
      lay(at + 200 + more, "fault: leak");
      lay(at + 400 + more, "fault: pump");
    }
  }
  for (std::size_t at = learned + 100; at + 800 < num_rows; at += 800) {
    lay(at, "benign: backup");
    lay(at + 200, "fault: leak");
    lay(at + 400, "fault: pump");
    lay(at + 600, "fault: unheard of");
  }
  return stream;
}

class EveryKind : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryKind, ::testing::ValuesIn(models::kind_names()),
                         [](const auto& kind) { return kind.param; });

// With more rows to calibrate on than a memory that is saved may wait for, most of them missing.
TEST_P(EveryKind, ComesBackFromItsCheckpointWithWhatItKnowsOfEachSeries) {
  const Stream stream = patterns(4400, 4400);
  pipeline::PipelineOptions options;
  options.training.rows = stream.size();
  options.training.labels = stream.labels;
  std::vector<pipeline::History> histories;
  for (const char* id : {"s", "other"}) {
    pipeline::History& history = histories.emplace_back();
    history.series = id;
    const std::vector<double> missing(stream.channels, NAN);
    for (std::size_t i = 0; i < stream.size(); ++i) {
      const auto row = std::span{stream.rows}.subspan(i * stream.channels, stream.channels);
      history.append({.time = stream.time(i),
                      .offset = static_cast<Offset>(i),
                      .values = i > 3400 && i % 3 != 0 ? std::span{missing} : row});
    }
  }
  auto model = options_of(GetParam());
  model.epochs = model.patience = 1;
  const auto factory = TorchModelFactory::create(model).value();
  const std::vector<Channel> channels{{"a", ""}, {"b", ""}, {"c", ""}};
  const auto learned = pipeline::learn(histories, channels, *factory, options, {}, {});
  ASSERT_TRUE(learned) << learned.error().message;

  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "model.ckpt";
  ASSERT_TRUE(factory->save(*learned->scorer, {"{}", learned->group->calibration()}, path));
  const auto loaded = factory->load(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto group =
      pipeline::LearnedGroup::from_calibration(loaded->scorer->info(), loaded->extras.calibration);
  ASSERT_TRUE(group) << group.error().message;
  const auto saved = [](const pipeline::LearnedGroup& known, const std::string& id) {
    StateWriter out;
    known.series.at(id).track.save(out);
    return std::move(out).take();
  };
  for (const pipeline::History& history : histories) {
    EXPECT_EQ(saved(**group, history.series), saved(*learned->group, history.series));
  }
}

TEST(Classes, OfLabelledRowsSilenceTheHarmlessAndNameTheFaults) {
  constexpr std::size_t kLearned = 4500;
  const Stream stream = patterns(14'500, kLearned);
  const Outcome before = run(stream, kLearned, options_of("aae"), false);
  const Outcome after = run(stream, kLearned, options_of("aae_supervised"), true);
  double named = 0, found = 0;
  for (const pipeline::Label& label : stream.labels) {
    if (label.start < stream.time(kLearned) || !label.name.starts_with(kFaultClass)) continue;
    if (label.name == "fault: unheard of") continue;
    if (const Alert* alert = after.meets(stream, label, 8); alert != nullptr) {
      ++found;
      named += alert->window_class == label.name ? 1 : 0;
    }
  }
  const auto share = [&](const Outcome& outcome, const char* name) {
    return outcome.share_found(stream, kLearned, name, 0);
  };
  std::printf(
      "share that alerts, before and after: backup %.2f %.2f, leak %.2f %.2f, pump %.2f %.2f\n",
      share(before, "benign: backup"), share(after, "benign: backup"), share(before, "fault: leak"),
      share(after, "fault: leak"), share(before, "fault: pump"), share(after, "fault: pump"));
  std::printf("named rightly: %.2f of %.0f; false alerts %zu, %zu\n", named / found, found,
              before.false_alerts(stream), after.false_alerts(stream));
  std::printf("a fault without a label %.2f %.2f\n", share(before, "fault: unheard of"),
              share(after, "fault: unheard of"));
  EXPECT_GE(share(before, "benign: backup"), 0.3);
  EXPECT_LE(share(after, "benign: backup"), 0.1);
  for (const char* fault : {"fault: leak", "fault: pump", "fault: unheard of"}) {
    EXPECT_GE(share(after, fault), share(before, fault)) << fault;
  }
  EXPECT_GE(named, 0.9 * found);
}

/// Two regimes, of which the second is noisy. They take turns while they are learned; later the
/// first one lasts so long that its scores are all that a tail remembers.
Stream two_regimes(std::size_t num_rows, std::size_t learned) {
  std::mt19937 random{2};
  std::normal_distribution<double> noise;
  Stream stream{.channels = 2, .rows = {}, .labels = {}};
  double second = 0;  // 0 in the first regime, 1 in the second, and a slow change between
  for (std::size_t t = 0; t < num_rows; ++t) {
    const bool wanted = t < learned ? t / 500 % 2 == 1 : (t - learned) % 3000 >= 2500;
    second = std::clamp(second + (wanted ? 0.025 : -0.025), 0.0, 1.0);
    for (std::size_t c = 0; c < 2; ++c) {
      const double wave = 0.5 * std::sin(static_cast<double>(t) / (3 + static_cast<double>(c)));
      stream.rows.push_back(-0.5 + 2.5 * second +
                            (0.05 + 1.2 * second * std::abs(noise(random))) * noise(random) + wave);
    }
  }
  for (std::size_t at = learned + 500; at + 50 < num_rows; at += 1000) {
    for (std::size_t i = 0; i < 10; ++i) stream.rows[(at + i) * 2] += 3;
    stream.label(at, 10, "fault: offset");
  }
  return stream;
}

TEST(Classes, OfRegimesNameTheRegimeAndGiveEachItsTail) {
  constexpr std::size_t kLearned = 8000;
  const Stream stream = two_regimes(23'000, kLearned);
  TorchModelFactory::Options options = options_of("aae_cluster");
  const Outcome together = run(stream, kLearned, options, false, /*per_regime=*/false);
  const Outcome apart = run(stream, kLearned, options, false, /*per_regime=*/true);
  const auto found = [&](const Outcome& outcome) {
    return outcome.share_found(stream, kLearned, "fault: offset");
  };
  std::printf("false alerts %zu with one tail, %zu with one for each regime; found %.2f, %.2f\n",
              together.false_alerts(stream), apart.false_alerts(stream), found(together),
              found(apart));
  EXPECT_LT(apart.false_alerts(stream), together.false_alerts(stream));
  EXPECT_GE(found(apart), found(together));
  std::set<std::string> named;
  for (const Alert& alert : apart.opened) named.insert(alert.window_class);
  ASSERT_FALSE(named.empty());
  EXPECT_TRUE(named.begin()->starts_with(kRegimeClass)) << *named.begin();
}

/// Work from 8 to 18 on weekdays, at once on and at once off; spikes and one idle working hour.
Stream office(std::size_t days, std::size_t learned) {
  constexpr std::size_t kDay = 144;  // ten minutes a row
  std::mt19937 random{3};
  std::normal_distribution<double> noise{0, 0.1};
  Stream stream{.channels = 1, .period = 600, .rows = {}, .labels = {}};
  for (std::size_t t = 0; t < days * kDay; ++t) {
    const std::size_t of_day = t % kDay;
    const bool work = t / kDay % 7 < 5 && of_day >= 48 && of_day < 108;
    const double wave = std::sin(2 * std::numbers::pi * static_cast<double>(t) / 12);
    stream.rows.push_back((work ? 3 + wave : 0.2 * wave) + noise(random));
  }
  for (std::size_t at = learned + 20; at + 40 < stream.size(); at += 331) {
    for (std::size_t i = 0; i < 2; ++i) stream.rows[at + i] += 2;
    stream.label(at, 2, "fault: spike");
  }
  return stream;
}

TEST(Conditions, OfTheCalendarLowerFalseAlertsAtTheSameRecall) {
  constexpr std::size_t kLearned = 28 * 144;
  const Stream stream = office(56, kLearned);
  std::map<std::string, std::size_t> false_alarms;
  for (const std::string kind : {"vae", "cvae"}) {
    for (const std::uint64_t seed : {1U, 2U}) {
      TorchModelFactory::Options options = options_of(kind);
      options.conditions = {"hour", "weekday"};
      options.seed = seed;
      const Outcome outcome = run(stream, kLearned, options, false);
      false_alarms[kind] += false_alarms_at(0.9, outcome, stream, "fault: spike");
    }
    std::printf("%s: %zu false alarms where nine spikes of ten are found, two seeds\n",
                kind.c_str(), false_alarms[kind]);
  }
  EXPECT_LT(2 * false_alarms["cvae"], false_alarms["vae"]);
}

}  // namespace
}  // namespace anomalyd
