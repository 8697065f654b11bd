// Writes the inputs that model_fuzz starts from: model_corpus FOLDER.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "models/checkpoint.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {
namespace {

constexpr std::size_t kDigestBytes = 32;  // the fuzzer seals what it is given

void write(const std::filesystem::path& folder, const std::string& kind) {
  TrainingSet set{{{"load", "%"}, {"mode", ""}}, {}, {"normal", "benign: backup", "fault: pump"}};
  for (const char* id : {"m0", "m1"}) {
    TrainingSet::Series series{id, {}, {}, {}};
    for (int t = 0; t < 64; ++t) {
      series.rows.push_back(static_cast<float>(std::sin(0.5 * t)));
      series.rows.push_back(t % 20 < 10 ? 1.0F : -1.0F);
      series.times.push_back(t * std::int64_t{60'000'000});
      series.labels.push_back(static_cast<std::int16_t>(t % 8 == 7 ? t % 3 : -1));
    }
    set.series.push_back(std::move(series));
  }
  auto factory = TorchModelFactory::create({.kind = kind,
                                            .window = 8,
                                            .hidden = {4},
                                            .latent = 2,
                                            .conditions = {"hour", "holiday", "entity", "mode"},
                                            .holidays = {"2026-01-01"},
                                            .epochs = 1,
                                            .device = "cpu",
                                            .threads = 1});
  if (!factory) throw std::runtime_error{factory.error().message};
  TrainingReport report;
  const auto scorer = (*factory)->train(set, {}, {}, report);
  if (!scorer) throw std::runtime_error{scorer.error().message};
  const std::filesystem::path path = folder / kind;
  if (auto saved = (*factory)->save(**scorer, {}, path); !saved) {
    throw std::runtime_error{saved.error().message};
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - kDigestBytes);
}

}  // namespace
}  // namespace anomalyd::models

int main(int argc, char** argv) try {
  const std::filesystem::path folder = argc == 2 ? argv[1] : "tests/fuzz/corpus/model";
  std::filesystem::create_directories(folder);
  for (const char* kind :
       {"dense_ae", "vae", "cvae", "aae", "aae_cluster", "var4+pca+bank16", "latent"}) {
    anomalyd::models::write(folder, kind);
  }
} catch (const std::exception& error) {
  std::cerr << "model_corpus: " << error.what() << '\n';
  return 1;
}
