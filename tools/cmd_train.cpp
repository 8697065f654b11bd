#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "models/torch_models.hpp"
#include "tools/commands.hpp"
#include "tools/detection_arguments.hpp"
#include "tools/feed_arguments.hpp"
#include "tools/history_collector.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  DetectionArguments detection;
  FeedArguments feed;
  std::string out = "model.ckpt";
  std::size_t max_rows = 50'000;
};

constexpr std::size_t kMinRows = 64;  // what a series needs to be learned from

/// Where the rows came from, for whoever finds the checkpoint later.
std::string provenance(const Arguments& arguments, const HistoryCollector::Group& group) {
  const nlohmann::ordered_json json = {{"source", "anomalyctl train"},
                                       {"config", arguments.detection.config_file},
                                       {"data", arguments.feed.data},
                                       {"from", arguments.feed.range.from},
                                       {"until", arguments.feed.range.until},
                                       {"series", group.histories.size()},
                                       {"rows", group.num_rows()}};
  return json.dump();
}

std::string report_text(const pipeline::Learned& learned, const HistoryCollector::Group& group,
                        const std::filesystem::path& path) {
  const TrainingReport& report = learned.report;
  std::string text = fmt::format(
      "{}: {} {}, {} channels, {} series, {} rows, {} windows, took {}\n", path.string(),
      learned.group->info.kind, learned.group->info.version, group.channels.size(),
      group.histories.size(), group.num_rows(), report.windows, short_duration(report.seconds));
  if (!learned.group->info.choice.empty()) {
    text += fmt::format("  chosen: {}\n", learned.group->info.choice);
  }
  double operations = 0;
  for (const auto& member : report.members) operations += member.operations;
  text += fmt::format("  {:.0f} kFLOP a window, memories full\n", operations / 1e3);
  text += fmt::format("  {:<12} {:>12} {:>8} {:>12} {:>16} {:>8}\n", "member", "parameters",
                      "epochs", "loss fitted", "loss kept back", "kFLOP");
  const auto loss = [](double value) {
    return std::isnan(value) ? "-" : fmt::format("{:.5g}", value);
  };
  for (const auto& member : report.members) {
    text += fmt::format("  {:<12} {:>12} {:>8} {:>12} {:>16} {:>8.1f}\n", member.name,
                        member.parameters, member.epochs == 0 ? "-" : fmt::to_string(member.epochs),
                        loss(member.fit_loss), loss(member.validation_loss),
                        member.operations / 1e3);
  }
  for (const std::string& note : report.notes) text += fmt::format("  note: {}\n", note);
  return text;
}

Status train(const Arguments& arguments, const config::Options& options, ModelFactory& factory,
             const HistoryCollector::Group& group, const std::filesystem::path& path) {
  std::stop_source stop;
  constexpr std::size_t kSteps = 1000;
  Progress progress{"training", "", kSteps};
  const auto learned = pipeline::learn(
      group.histories, group.channels, factory, options.pipeline,
      [&](const TrainingProgress& now) {
        if (interrupted()) stop.request_stop();
        std::string note{now.stage};
        if (!std::isnan(now.loss)) note += fmt::format(", loss {:.4g}", now.loss);
        progress.update(static_cast<std::size_t>(now.share * kSteps), note);
      },
      stop.get_token());
  if (!learned) return fail(Error{learned.error()}, "training");
  progress.update(kSteps, "calibrated");
  progress.finish();
  const CheckpointExtras extras{provenance(arguments, group), learned->group->calibration()};
  if (auto saved = factory.save(*learned->scorer, extras, path); !saved) return saved;
  fmt::print("{}", report_text(*learned, group, path));
  return {};
}

/// "model.ckpt", or "model-2.ckpt" for the second of several groups.
std::filesystem::path numbered(const std::filesystem::path& out, std::size_t index,
                               std::size_t count) {
  if (count == 1) return out;
  const auto name =
      fmt::format("{}-{}{}", out.stem().string(), index + 1, out.extension().string());
  return out.parent_path() / name;
}

int run(const Arguments& arguments) {
  const auto options = arguments.detection.options();
  if (!options) return report(options.error());
  auto feed = arguments.feed.open(*options, DatasetPart::kTraining);
  if (!feed) return report(feed.error());
  auto factory = models::TorchModelFactory::create(options->model);
  if (!factory) return report(factory.error());

  HistoryCollector collector{options->pipeline.window, arguments.max_rows};
  const auto collected = pump_all(**feed, "reading", [&](const SampleBlock& block) {
    collector.take(block);
    return Status{};
  });
  if (!collected) return report(collected.error());
  if (interrupted()) return kFailed;
  const auto groups = collector.groups(kMinRows);
  if (groups.empty()) {
    return report({ErrorKind::kInvalid,
                   fmt::format("{} series, none of {} rows or more; expected one at least",
                               collector.num_series(), kMinRows)});
  }
  std::size_t index = 0;
  for (const auto& [key, group] : groups) {
    const auto path = numbered(arguments.out, index++, groups.size());
    if (auto trained = train(arguments, *options, **factory, group, path); !trained) {
      return report(trained.error());
    }
  }
  return kOk;
}

}  // namespace

void add_train(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("train", "Learn a model and write a checkpoint");
  command->footer(
      "Series with the same channels share a checkpoint. The newest rows of each are kept back\n"
      "from fitting and calibrate its threshold.\n\n"
      "Examples:\n"
      "  anomalyctl train --config anomalyd.yaml --from 2026-11-01 --until 2026-11-15\n"
      "  anomalyctl train --config anomalyd.yaml samples.ndjson.gz --model vae --out vae.ckpt\n"
      "  anomalyctl train --data DIR --only smd --out smd.ckpt");
  arguments->detection.add_to(*command);
  arguments->feed.add_to(*command);
  command->add_option("--out", arguments->out, "Checkpoint to write")->capture_default_str();
  command->add_option("--max-rows", arguments->max_rows, "Of each series, the newest ones")
      ->check(CLI::Range(64, 1'000'000))
      ->capture_default_str();
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
