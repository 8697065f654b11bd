#include "tools/detection_arguments.hpp"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "daemon/wiring.hpp"
#include "tools/kafka_arguments.hpp"
#include "tools/truth.hpp"

namespace anomalyd::tools {

void DetectionArguments::add_to(CLI::App& command) {
  command.add_option("-c,--config", config_file, "Detect as this configuration says")
      ->check(CLI::ExistingFile);
  command.add_option("--model", model,
                     "Kind of model, as model.kind: auto, pca, dense_ae, vae ...");
  command.add_option("--effort", effort, "Of kind auto: low, normal or high")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, models::Effort>{{"low", models::Effort::kLow},
                                                {"normal", models::Effort::kNormal},
                                                {"high", models::Effort::kHigh}}));
  command.add_option("--seed", seed, "Of training; the same seed and rows give the same model");
  command.add_option("--device", device, "auto, cpu, cuda or cuda:N");
  command
      .add_option(
          "--train-labels", train_labels,
          "CSV of series,start,end,label: 'benign: NAME' or 'fault: NAME', for aae_semi and "
          "aae_supervised")
      ->check(CLI::ExistingFile);
}

Result<config::Options> DetectionArguments::options() const {
  config::Options options;
  if (!config_file.empty()) {
    config::Loaded loaded = load_config(config_file);
    if (!check_and_report(loaded)) {
      return fail(ErrorKind::kInvalid, config_file + " has problems; expected a valid one");
    }
    options = std::move(loaded.options);
    adapt_to_records(options);
  }
  if (!model.empty()) options.model.kind = model;
  if (effort) options.model.effort = *effort;
  if (seed) options.model.seed = *seed;
  if (!device.empty()) options.model.device = device;
  if (!train_labels.empty()) {
    auto labels = read_labels(train_labels);
    if (!labels) return Failure{std::move(labels.error())};
    options.pipeline.training.labels = *std::move(labels);
  }
  return options;
}

}  // namespace anomalyd::tools
