// What retraining does to detection in the long run: the pipeline, the sorting of rows, training
// and swap with real models, on generated machines and without waiting.

#include "daemon/pipeline/retraining.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <random>

#include "models/torch_models.hpp"
#include "tests/support/pipeline_driver.hpp"

namespace anomalyd::pipeline {
namespace {

using anomalyd::testing::PipelineDriver;
using models::TorchModelFactory;

constexpr std::size_t kChannels = 4;
constexpr std::size_t kHour = 60, kDay = 24 * kHour;  // rows

enum class Guard : std::uint8_t {
  kOn,
  kOff,  // every row counts as normal, whatever was thought of it
};

/// A minute in the life of a machine: channels that follow a load, each with noise of its own.
class Machine {
 public:
  explicit Machine(unsigned seed) : random_{seed} {}

  std::vector<double> next() {
    const auto t = static_cast<double>(t_++);
    walk_ = 0.95 * walk_ + 0.1 * normal_(random_);
    const double load = 1 + 0.5 * std::sin(2 * std::numbers::pi * t / (4 * kHour)) + 0.3 * walk_;
    std::vector<double> row;
    for (std::size_t c = 0; c < kChannels; ++c) {
      const auto k = static_cast<double>(c + 1);
      row.push_back(20 * k + 5 * k * load + shift[c] * k +
                    wave[c] * k * std::sin(2 * std::numbers::pi * t / wave_period) +
                    0.4 * k * noise[c] * normal_(random_));
    }
    return row;
  }

  // Of each channel, how it is now:
  std::array<double, kChannels> shift{};
  std::array<double, kChannels> wave{};
  double wave_period = 12;
  std::array<double, kChannels> noise{1, 1, 1, 1};

 private:
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
  double walk_ = 0;
  std::size_t t_ = 0;
};

/// Machines that are judged, and learned from again and again.
class Plant {
 public:
  Plant(std::size_t num_machines, unsigned seed, const char* kind, PipelineOptions options)
      : options_{std::move(options)}, driver_{options_, channels()}, factory_{factory(kind)} {
    for (std::size_t m = 0; m < num_machines; ++m) {
      machines.emplace_back(static_cast<unsigned>(seed * 1000 + m));
    }
  }
  static PipelineOptions options(std::size_t training_rows, const char* budget) {
    PipelineOptions options;
    options.training.rows = training_rows;
    options.training.record = true;
    options.training.detect_counters = false;
    options.budget = AlertBudget::parse(budget).value();
    return options;
  }

  void run(std::size_t rows) {
    for (std::size_t end = now_ + rows; now_ < end; ++now_) {
      for (std::size_t m = 0; m < machines.size(); ++m) {
        driver_.push(name(m), at(now_), machines[m].next());
      }
    }
    driver_.run();
    if (driver_.group() == nullptr) {
      EXPECT_TRUE(driver_.train(*factory_));
    }
    for (JudgedRows& chunk : driver_.pipeline().take_record()) {
      recorded_[chunk.history.series].push_back(std::move(chunk));
    }
  }
  /// Learns from what has been recorded, moved by `offset`, and swaps.
  void retrain(Guard guard = Guard::kOn, double offset = 0) {
    std::vector<std::vector<JudgedRows>> series;
    for (const auto& [id, chunks] : recorded_) {
      series.push_back(chunks);
      if (guard == Guard::kOn) continue;
      for (JudgedRows& chunk : series.back()) std::ranges::fill(chunk.marks, RowMark::kNormal);
    }
    RetrainingRows rows = retraining_rows(series, labels, {}, options_);
    for (History& history : rows.learned) {
      for (double& value : history.rows) value += offset;
    }
    const auto next = driver_.learn(*factory_, rows.learned);
    EXPECT_NE(next, nullptr);
    if (next != nullptr) driver_.swap(next);
  }
  /// Incidents that opened since this row, of one machine or of all.
  [[nodiscard]] std::size_t opened_since(std::size_t row, const std::string& series = "") const {
    return static_cast<std::size_t>(std::ranges::count_if(driver_.alerts, [&](const Alert& alert) {
      return alert.type == AlertType::kAnomaly && alert.state == AlertState::kOpen &&
             alert.time >= at(row) && (series.empty() || alert.series == series);
    }));
  }
  [[nodiscard]] std::size_t now() const { return now_; }
  [[nodiscard]] PipelineDriver& driver() { return driver_; }
  static std::string name(std::size_t machine) { return "machine" + std::to_string(machine); }

  static EventTime at(std::size_t row) {
    return EventTime{std::chrono::minutes{29'000'000 + static_cast<std::int64_t>(row)}};
  }

  std::vector<Machine> machines;
  std::vector<Label> labels;  // what people say of rows

 private:
  static std::vector<Channel> channels() {
    std::vector<Channel> all;
    for (std::size_t c = 0; c < kChannels; ++c) all.push_back({"c" + std::to_string(c), ""});
    return all;
  }
  static std::unique_ptr<TorchModelFactory> factory(const char* kind) {
    TorchModelFactory::Options model;
    model.kind = kind;
    model.device = "cpu";
    model.threads = 1;
    return std::move(TorchModelFactory::create(model).value());
  }

  PipelineOptions options_;
  PipelineDriver driver_;
  std::unique_ptr<TorchModelFactory> factory_;
  std::map<std::string, std::vector<JudgedRows>> recorded_;
  std::size_t now_ = 0;
};

/// Of faults that last three hours and return a day later, with three retrainings between: how many
/// are found when they return.
struct Returning {
  int first = 0;
  int second = 0;
};

Returning returning_faults(int cases, Guard guard) {
  constexpr std::size_t kFault = 3 * kHour;
  Returning found;
  for (int i = 0; i < cases; ++i) {
    Plant plant{1, static_cast<unsigned>(i + 1), "bank32",
                Plant::options(kDay, "1 per series per 1000 rows")};
    plant.run(kDay + 4 * kHour);
    Machine& machine = plant.machines[0];
    std::mt19937 random{static_cast<unsigned>(i)};
    const std::size_t channel = random() % kChannels;
    const double size = 8 + static_cast<double>(random() % 5);
    // One channel or two begin to swing, fast or slowly; and in the same way when it returns.
    const double period = 8 + 4 * static_cast<double>(i % 3);
    const auto fault = [&] {
      machine.wave[channel] = size;
      if (i % 2 == 1) machine.wave[(channel + 1) % kChannels] = -size;
      machine.wave_period = period;
      const std::size_t begin = plant.now();
      plant.run(kFault);
      machine.wave = {};
      return plant.opened_since(begin) > 0;
    };
    found.first += fault() ? 1 : 0;
    for (int k = 0; k < 3; ++k) {
      plant.run(7 * kHour);
      plant.retrain(guard);
    }
    found.second += fault() ? 1 : 0;
  }
  return found;
}

TEST(Retraining, DoesNotLearnAFaultThatReturns) {
  constexpr int kCases = 200;
  const Returning guarded = returning_faults(kCases, Guard::kOn);
  EXPECT_GE(guarded.first, 0.95 * kCases);
  EXPECT_GE(guarded.second, 0.95 * kCases);
  RecordProperty("found", guarded.second);
}

TEST(Retraining, WouldLearnItWithoutTheGuard) {
  constexpr int kCases = 60;
  const Returning unguarded = returning_faults(kCases, Guard::kOff);
  EXPECT_GE(unguarded.first, 0.95 * kCases);
  EXPECT_LE(unguarded.second, 0.75 * kCases);
  RecordProperty("found", unguarded.second);
}

TEST(Retraining, RaisesNoBurstOfAlertsAtAHundredSwaps) {
  constexpr std::size_t kMachines = 20, kSwaps = 100;
  constexpr double kBudget = 5e-3;  // of a row of a series
  const PipelineOptions options = Plant::options(600, "5 per series per 1000 rows");
  const std::size_t window = options.window.length;
  Plant plant{kMachines, 7, "pca", options};
  plant.run(1200);
  const double budget = kBudget * static_cast<double>(kMachines * window);
  std::size_t all = 0;
  for (std::size_t i = 0; i < kSwaps; ++i) {
    plant.retrain();
    const std::size_t swapped = plant.now();
    plant.run(window);
    const std::size_t opened = plant.opened_since(swapped);
    EXPECT_LE(static_cast<double>(opened), 3 * budget) << "after swap " << i;
    all += opened;
    plant.run(2 * window);
  }
  EXPECT_LE(static_cast<double>(all), 1.5 * budget * kSwaps) << "and no more than usual in all";
  RecordProperty("opened", static_cast<int>(all));

  constexpr double kOtherLevel = 30;  // so that the test can fail
  plant.retrain(Guard::kOn, kOtherLevel);
  const std::size_t swapped = plant.now();
  plant.run(window);
  EXPECT_GT(static_cast<double>(plant.opened_since(swapped)), 3 * budget);
}

constexpr std::size_t kPlantMachines = 6;

/// Whether a fault of one hour opens an incident.
bool finds_fault(Plant& plant) {
  const std::size_t begin = plant.now();
  plant.machines[2].wave[3] = 3;
  plant.run(kHour);
  plant.machines[2].wave[3] = 0;
  plant.run(2 * kHour);
  return plant.opened_since(begin, Plant::name(2)) > 0;
}

TEST(Retraining, FollowsALevelThatHasChangedForGood) {
  Plant plant{kPlantMachines, 3, "pca", Plant::options(kDay, "1 per series per 1000 rows")};
  plant.run(2 * kDay);
  for (Machine& machine : plant.machines) machine.shift = {8, -8, 0, 4};
  const std::size_t changed = plant.now();
  plant.run(kDay);
  EXPECT_GE(plant.opened_since(changed), kPlantMachines - 1) << "at first it is an incident";
  plant.run(kDay);  // no longer after a day
  plant.retrain();
  const std::size_t retrained = plant.now();
  plant.run(2 * kDay);
  EXPECT_LE(plant.opened_since(retrained), kPlantMachines);
  EXPECT_TRUE(finds_fault(plant));
}

/// A day with four jobs of all machines that are new and harmless; `plant.labels` says so.
void day_with_jobs(Plant& plant) {
  constexpr std::size_t kJob = 40;
  for (int i = 0; i < 4; ++i) {
    plant.run(6 * kHour - kJob);
    for (Machine& machine : plant.machines) machine.shift = {6, 0, -6, 0};
    const EventTime begin = Plant::at(plant.now());
    plant.run(kJob);
    for (Machine& machine : plant.machines) machine.shift = {};
    plant.labels.push_back({"", begin, Plant::at(plant.now() + 15), "benign: job"});
  }
}

TEST(Retraining, EndsFalseAlertsFindsLaterFaultsAndCanBeUndone) {
  Plant plant{kPlantMachines, 3, "pca", Plant::options(kDay, "3 per series per 1000 rows")};
  plant.run(2 * kDay);
  const auto first = plant.driver().group();
  const auto opened_in_a_day = [&] {
    const std::size_t begin = plant.now();
    day_with_jobs(plant);
    return plant.opened_since(begin);
  };
  const std::size_t before = opened_in_a_day() + opened_in_a_day();
  plant.run(5 * kHour);  // until the newest rows have been recorded
  plant.retrain();
  const std::size_t after = opened_in_a_day() + opened_in_a_day();
  RecordProperty("before", static_cast<int>(before));
  RecordProperty("after", static_cast<int>(after));
  EXPECT_GE(before, 2 * kPlantMachines);
  EXPECT_LE(5 * after, before);
  EXPECT_TRUE(finds_fault(plant));
  EXPECT_NE(plant.driver().alerts.back().model_version, first->info.version);

  plant.driver().swap(first);
  EXPECT_GE(opened_in_a_day(), kPlantMachines / 2) << "as before";
  EXPECT_EQ(plant.driver().alerts.back().model_version, first->info.version);
}

}  // namespace
}  // namespace anomalyd::pipeline
