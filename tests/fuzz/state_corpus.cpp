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

/// A calibration of 200 rows of one series, and a snapshot behind `judged` more of it or, without a
/// model, behind `collected` rows of another.
void write(const std::string& path, int judged, int collected) {
  pipeline::PipelineOptions options;
  options.training.rows = 200;
  PipelineDriver driver{options, {{"load", "%"}, {"heat", "C"}}};
  const auto push = [&](const std::string& series, int begin, int end) {
    for (int t = begin; t < end; ++t) {
      const double heat = t % 50 == 3 ? NAN : 20.0 + t % 3;
      driver.push(series, at(t), {50 + 7 * std::sin(0.9 * t), heat});
    }
    driver.finish();
  };
  push("m0", 0, 200);
  PersistenceFactory factory;
  if (!driver.train(factory)) throw std::runtime_error{"the series was not learned"};
  push("m0", 200, 200 + judged);
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
  anomalyd::testing::write(folder + "/judged", 100, 0);
  anomalyd::testing::write(folder + "/short", 2, 0);
  anomalyd::testing::write(folder + "/collecting", 0, 40);
} catch (const std::exception& error) {
  std::cerr << "state_corpus: " << error.what() << '\n';
  return 1;
}
