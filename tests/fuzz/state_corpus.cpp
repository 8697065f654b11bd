// Writes the inputs that state_fuzz starts from: state_corpus FOLDER.

#include <cmath>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/support/persistence_model.hpp"
#include "tests/support/pipeline_driver.hpp"

namespace anomalyd::testing {
namespace {

EventTime at(int second) { return EventTime{std::chrono::seconds{1'700'000'000 + second}}; }

/// The model of the tests, with a regime for each half of a minute.
class RegimeScorer final : public Scorer {
 public:
  explicit RegimeScorer(const std::vector<Channel>& channels)
      : scorer_{channels}, info_{scorer_.info()} {
    info_.classes = {"regime 1", "regime 2"};
  }
  const ModelInfo& info() const override { return info_; }
  Result<Residuals> score(const Batch& batch) override {
    auto residuals = scorer_.score(batch);
    for (const Batch::Window& window : batch.windows) {
      residuals->classes.push_back(window.time / 30'000'000 % 2 == 0 ? 0 : 1);
    }
    return residuals;
  }
  Result<Memory> memorize(std::span<const float> rows, std::uint32_t slot,
                          std::size_t learned) override {
    return scorer_.memorize(rows, slot, learned);
  }
  Status move_to(std::string_view device) override { return scorer_.move_to(device); }

 private:
  PersistenceScorer scorer_;
  ModelInfo info_;
};

class RegimeFactory final : public ModelFactory {
 public:
  Result<std::unique_ptr<Scorer>> train(const TrainingSet& set, const ProgressFn& /*progress*/,
                                        std::stop_token /*stop*/,
                                        TrainingReport& /*report*/) override {
    return std::make_unique<RegimeScorer>(set.channels);
  }
  Status save(const Scorer& /*scorer*/, const CheckpointExtras& /*extras*/,
              const std::filesystem::path& /*path*/) override {
    return {};
  }
  Result<LoadedModel> load(const std::filesystem::path& /*path*/) override {
    return fail(ErrorKind::kInvalid, "no model is kept");
  }
};

/// A calibration of `learned` rows of one series, and a snapshot behind `judged` more of it or,
/// without a model, behind `collected` rows of another.
void write(const std::string& path, ModelFactory&& factory, int learned, int judged,
           int collected) {
  pipeline::PipelineOptions options;
  options.training.rows = static_cast<std::size_t>(learned);
  PipelineDriver driver{options, {{"load", "%"}, {"heat", "C"}}};
  const auto push = [&](const std::string& series, int begin, int end) {
    for (int t = begin; t < end; ++t) {
      const double heat = t % 50 == 3 ? NAN : 20.0 + t % 3;
      driver.push(series, at(t), {50 + 7 * std::sin(0.9 * t), heat});
    }
    driver.finish();
  };
  push("m0", 0, learned);
  if (!driver.train(factory)) throw std::runtime_error{"the series was not learned"};
  push("m0", learned, learned + judged);
  push("m1", 0, collected);

  const std::vector<std::byte> calibration = driver.group()->calibration();
  const std::vector<std::byte> snapshot = driver.save();
  const auto length = static_cast<std::uint32_t>(calibration.size());
  std::ofstream file{path, std::ios::binary};
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  for (const auto& bytes : {calibration, snapshot}) {
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  if (!file.flush()) throw std::runtime_error{"cannot write " + path};
}

}  // namespace
}  // namespace anomalyd::testing

int main(int argc, char** argv) try {
  const std::string folder = argc == 2 ? argv[1] : "tests/fuzz/corpus/state";
  anomalyd::testing::write(folder + "/judged", anomalyd::testing::PersistenceFactory{}, 200, 100,
                           0);
  anomalyd::testing::write(folder + "/short", anomalyd::testing::PersistenceFactory{}, 200, 2, 0);
  anomalyd::testing::write(folder + "/collecting", anomalyd::testing::PersistenceFactory{}, 200, 0,
                           40);
  anomalyd::testing::write(folder + "/regimes", anomalyd::testing::RegimeFactory{}, 1600, 100, 0);
} catch (const std::exception& error) {
  std::cerr << "state_corpus: " << error.what() << '\n';
  return 1;
}
