// How fast models score, as a share of how fast this host multiplies matrices, and how fast they
// learn: one line for every kind.
//
//   model_bench [--threads N] [--device D] [--only CASE] [--rows N] [--json FILE]
//
// Every figure is the best of several rounds, and each round measures the matrix product beside
// it, so that ratios hold on a noisy host.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/time.hpp"
#include "models/device.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {
namespace {

constexpr int kRounds = 7;
constexpr std::chrono::milliseconds kRoundTime{150};

struct Setup {
  std::size_t threads = resolve_threads(0);
  std::string device = "cpu";
  std::string only;
  std::string json;
  std::size_t rows = 2000;  // to learn from
};

struct Case {
  std::string name;
  std::string about;
  TorchModelFactory::Options options;
  std::size_t channels;
  std::size_t batch;
  double flops;        // of one window; 0 for what the model says of itself
  bool whole_windows;  // reconstruction errors of whole windows, or newest rows
};

double dense_flops(std::initializer_list<double> widths) {
  double flops = 0;
  for (const auto* width = widths.begin(); width + 1 < widths.end(); ++width) {
    flops += 2 * width[0] * width[1];
  }
  return flops;
}

std::vector<Case> cases() {
  return {
      {"dense_512",
       "dense 512-128-32-128-512, whole windows",
       {.kind = "dense_ae", .window = 32, .hidden = {128}, .latent = 32},
       16,
       1024,
       dense_flops({512, 128, 32, 128, 512}),
       true},
      {"dense_peer",
       "dense 128-64-16-64-128, newest rows",
       {.kind = "dense_ae", .window = 32, .hidden = {64}, .latent = 16},
       4,
       1024,
       dense_flops({128, 64, 16, 64, 4}),
       false},
  };
}

// Every kind on 4 channels, with its own defaults, and the default on many channels.
std::vector<Case> kinds() {
  std::vector<Case> cases;
  for (const char* kind :
       {"predictor", "pca", "dense_ae", "conv_ae", "channel_ae", "masked_ae", "vae", "conv_vae",
        "cvae", "aae", "aae_cluster", "memory", "latent", "wbank", "neural", "linear", "auto"}) {
    cases.push_back({kind, std::string{kind} + ", 4 channels", {.kind = kind}, 4, 1024, 0, false});
  }
  cases.push_back(
      {"auto_low", "auto, low effort", {.effort = Effort::kLow}, 4, 1024, 0, false});
  cases.push_back({"auto_38", "auto, 38 channels", {.kind = "auto"}, 38, 1024, 0, false});
  return cases;
}

std::vector<float> noise(std::size_t count) {
  std::mt19937 random{1};
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "model_bench: %s\n", error.message.c_str());
  std::exit(1);
}

struct Trained {
  std::unique_ptr<Scorer> scorer;
  double windows_per_s = 0;    // of the history, whatever number of passes that took
  std::size_t parameters = 0;  // of one series
  double operations = 0;       // of one window
};

Trained train(const Case& c, const Setup& setup) {
  TorchModelFactory::Options options = c.options;
  options.device = setup.device;
  options.threads = setup.threads;
  auto factory = TorchModelFactory::create(options);
  if (!factory) give_up(factory.error());
  TrainingSet set{std::vector<Channel>(c.channels), {{"s", noise(setup.rows * c.channels)}}};
  TrainingReport report;
  auto scorer = (*factory)->train(set, {}, {}, report);
  if (!scorer) give_up(scorer.error());
  Trained trained{std::move(*scorer), static_cast<double>(report.windows) / report.seconds};
  for (const auto& member : report.members) {
    trained.parameters += member.parameters;
    trained.operations += member.operations;
  }
  return trained;
}

// Windows of many series: each brings its history and a few new rows, as in production.
constexpr std::size_t kNewRows = 8;

std::vector<Memory> make_memories(const Case& c, const Setup& setup, Scorer& scorer) {
  const auto memory = scorer.memorize(noise(setup.rows * c.channels), 0, setup.rows + 1000);
  if (!memory) give_up(memory.error());
  return std::vector<Memory>(c.batch / kNewRows, *memory);
}

Batch make_batch(const Case& c, std::size_t context, std::vector<Memory>& memories) {
  const std::size_t segments = memories.size();
  const std::size_t segment_rows = context - 1 + kNewRows;
  Batch batch{c.channels, context, noise(segments * segment_rows * c.channels), {}};
  for (std::size_t s = 0; s < segments; ++s) {
    for (std::size_t i = 0; i < kNewRows; ++i) {
      const std::size_t end = s * segment_rows + context - 1 + i;
      batch.windows.push_back({static_cast<std::uint32_t>(end), 0, &memories[s]});
    }
  }
  return batch;
}

// Windows a second in one round.
double score_for(Scorer& scorer, const Batch& batch, const Case& c) {
  std::size_t windows = 0;
  const MonotonicTime start = system_clock().monotonic();
  MonotonicTime now = start;
  while (now - start < kRoundTime) {
    if (c.whole_windows) {
      if (const auto errors = reconstruction_errors(scorer, batch, 0); !errors) {
        give_up(errors.error());
      }
    } else if (const auto residuals = scorer.score(batch); !residuals) {
      give_up(residuals.error());
    }
    windows += batch.windows.size();
    now = system_clock().monotonic();
  }
  return static_cast<double>(windows) / std::chrono::duration<double>(now - start).count();
}

using Figures = std::vector<std::pair<std::string, double>>;

void measure(const Case& c, const Setup& setup, Figures& figures) {
  const Trained model = train(c, setup);
  const auto& scorer = model.scorer;
  std::vector<Memory> memories = make_memories(c, setup, *scorer);
  const Batch batch = make_batch(c, scorer->info().context, memories);
  double product = 0;
  double rate = 0;
  for (int round = 0; round < kRounds; ++round) {
    product = std::max(product,
                       measure_product_speed(setup.device, setup.threads, system_clock()).gflops);
    rate = std::max(rate, score_for(*scorer, batch, c));
  }
  const double core_us = 1e6 * static_cast<double>(setup.threads) / rate;
  std::printf("%-42s %9.0f windows/s  %5.2f core-us a window  %7.0f learned/s  %7zu weights",
              c.about.c_str(), rate, core_us, model.windows_per_s, model.parameters);
  figures.emplace_back(c.name + "_windows_per_s", rate);
  figures.emplace_back(c.name + "_learned_per_s", model.windows_per_s);
  figures.emplace_back(c.name + "_parameters", static_cast<double>(model.parameters));
  figures.emplace_back(c.name + "_core_us", core_us);
  figures.emplace_back(c.name + "_product_gflops", product);
  const double flops = c.flops > 0 ? c.flops : model.operations;
  const double share = rate * flops / (product * 1e9);
  std::printf("  %6.1f kFLOP a window, %4.2f of %.0f GFLOP/s", flops / 1e3, share, product);
  figures.emplace_back(c.name + "_flops", flops);
  figures.emplace_back(c.name + "_share", share);
  std::printf("\n");
}

void write_json(const std::string& path, const Figures& figures) {
  std::ofstream file{path};
  const char* separator = "{\n";
  for (const auto& [name, value] : figures) {
    file << separator << "  \"" << name << "\": " << value;
    separator = ",\n";
  }
  file << "\n}\n";
}

Setup parse(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--threads") setup.threads = std::strtoul(argv[i + 1], nullptr, 10);
    if (option == "--device") setup.device = argv[i + 1];
    if (option == "--only") setup.only = argv[i + 1];
    if (option == "--rows") setup.rows = std::strtoul(argv[i + 1], nullptr, 10);
    if (option == "--json") setup.json = argv[i + 1];
  }
  return setup;
}

int run(const Setup& setup) {
  std::printf("LibTorch %s, %s, %zu threads\n", libtorch_version().c_str(), setup.device.c_str(),
              setup.threads);
  Figures figures{{"threads", static_cast<double>(setup.threads)}};
  for (const Case& c : cases()) {
    if (setup.only.empty() || setup.only == c.name) measure(c, setup, figures);
  }
  std::printf("\n");
  for (const Case& c : kinds()) {
    if (setup.only.empty() || setup.only == c.name) measure(c, setup, figures);
  }
  if (!setup.json.empty()) write_json(setup.json, figures);
  return 0;
}

}  // namespace
}  // namespace anomalyd::models

int main(int argc, char** argv) {
  return anomalyd::models::run(anomalyd::models::parse(argc, argv));
}
