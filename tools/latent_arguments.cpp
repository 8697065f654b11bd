#include "tools/latent_arguments.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "daemon/pipeline/learning.hpp"
#include "models/torch_models.hpp"
#include "tools/csv_file.hpp"
#include "tools/detection_arguments.hpp"
#include "tools/interrupt.hpp"
#include "tools/training_bar.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kFewestRows = 64;

bool is_csv(const std::string& path) { return path.ends_with(".csv") || path.ends_with(".csv.gz"); }

/// Rows of CSV files; a column called `series` names the series.
Result<std::unique_ptr<SampleFeed>> csv_feed(const std::vector<std::string>& files,
                                             CsvColumns columns) {
  if (columns.series.empty()) {
    const auto first = CsvFile::open(files.front());
    if (!first) return Failure{first.error()};
    static constexpr std::string_view kNames[] = {"series"};
    if (const auto found = first->find_column(kNames)) columns.series = first->header()[*found];
  }
  auto rows = csv_rows({files.begin(), files.end()}, columns);
  if (!rows) return Failure{rows.error()};
  return row_feed(*std::move(rows));
}

/// "cpu, memory (3 series); load (1 series)"
std::string described(const std::map<std::string, HistoryCollector::Group>& groups) {
  std::string text;
  for (const auto& [key, group] : groups) {
    text += fmt::format("{}{} ({} series)", text.empty() ? "" : "; ", key, group.histories.size());
  }
  return text;
}

/// Errors: kUnavailable. Leaves the file, or that there is none, as it is. No file: an empty path.
Status expect_writable(const std::string& path) {
  if (path.empty()) return {};
  const bool is_there = std::filesystem::exists(path);
  const bool opens = std::ofstream{path, std::ios::app}.is_open();
  const int reason = errno;
  if (!opens) {
    return fail(ErrorKind::kUnavailable, fmt::format("{}: {}; expected a file that can be written",
                                                     path, std::strerror(reason)));
  }
  if (!is_there) std::filesystem::remove(path);
  return {};
}

/// The columns of the model in those of a group; nullopt when one is not there.
std::optional<std::vector<std::size_t>> columns_in(const std::vector<Channel>& wanted,
                                                   const std::vector<Channel>& there) {
  std::vector<std::size_t> columns;
  for (const Channel& channel : wanted) {
    const auto found = std::ranges::find(there, channel.name, &Channel::name);
    if (found == there.end()) return std::nullopt;
    columns.push_back(static_cast<std::size_t>(found - there.begin()));
  }
  return columns;
}

ScaledSeries scaled_by(const pipeline::LearnedGroup& group, const pipeline::History& history,
                       const pipeline::TrainingOptions& options) {
  const auto* known = group.find(history.series);
  ScaledSeries series =
      scale(history, known != nullptr ? known->track.scaler : fit_scaler(history, options));
  if (known != nullptr) {
    series.slot = known->track.slot;
    series.entity = known->track.entity;
  }
  return series;
}

}  // namespace

void LatentArguments::add_to(CLI::App& command, Model model) {
  if (model == Model::kAny) {
    auto* file = command.add_option("--model,--checkpoint", checkpoint, "Checkpoint of the model")
                     ->check(CLI::ExistingFile);
    command.add_flag("--train", train, "Learn a model from the input instead")->excludes(file);
    command.add_option("--member", member, "Of a model of several; by default the first that fits");
    command.add_option("--kind", kind, "Kind of a model that is trained, as model.kind");
  }
  command
      .add_option("-c,--config", config_file,
                  "Read and learn as this configuration says, its model.kind aside")
      ->check(CLI::ExistingFile);
  command.add_option("--seed", seed, "The same seed and input give the same output");
  command.add_option("--device", device, "auto, cpu, cuda or cuda:N");
  feed.add_to(command);
  command.add_flag("--fleet", fleet, "A generated fleet as the input, to try it out");
  command.add_option("--time", columns.time, "Of CSV files: column with the time");
  command.add_option("--series", columns.series,
                     "Of CSV files: column with the series; by default the one of that name");
  command.add_option("--max-rows", max_rows, "Of each series, the newest ones")
      ->check(CLI::Range(64, 1'000'000))
      ->capture_default_str();
}

Result<config::Options> LatentArguments::options(const Defaults& defaults) const {
  for (const std::string& path : defaults.outputs) {
    if (auto checked = expect_writable(path); !checked) return Failure{checked.error()};
  }
  DetectionArguments detection;
  detection.config_file = config_file;
  detection.model = kind.empty() ? defaults.kind : kind;
  detection.seed = seed;
  detection.device = device;
  auto options = detection.options();
  if (!options) return options;
  if (options->model.corruption == models::Corruption::kNone) {
    options->model.corruption = defaults.corruption;
  }
  options->pipeline.window.max_gap = max_gap;
  return options;
}

Result<std::unique_ptr<SampleFeed>> LatentArguments::open(const config::Options& options,
                                                          const Defaults& defaults) const {
  if (fleet) return row_feed(fleet_rows(defaults.fleet));
  const auto num_csv = std::ranges::count_if(feed.files, is_csv);
  if (num_csv == 0) return feed.open(options, DatasetPart::kAll);
  if (static_cast<std::size_t>(num_csv) < feed.files.size()) {
    return fail(ErrorKind::kInvalid, fmt::format("{} of {} files are CSV; expected all or none",
                                                 num_csv, feed.files.size()));
  }
  return csv_feed(feed.files, columns);
}

Result<HistoryCollector> LatentArguments::collect(const config::Options& options,
                                                  const Defaults& defaults) const {
  auto source = open(options, defaults);
  if (!source) return Failure{source.error()};
  HistoryCollector collector{options.pipeline.window, max_rows};
  const auto read = pump_all(**source, "reading", [&](const SampleBlock& block) {
    collector.take(block);
    return Status{};
  });
  if (!read) return Failure{read.error()};
  if (interrupted()) return fail(ErrorKind::kCancelled, "reading was stopped");
  if ((*source)->num_rejected() > 0) {
    fmt::print(stderr, "{} records could not be read and are left out\n",
               (*source)->num_rejected());
  }
  return collector;
}

Result<HistoryCollector::Group> LatentArguments::rows(const config::Options& options,
                                                      const Defaults& defaults) const {
  auto collector = collect(options, defaults);
  if (!collector) return Failure{collector.error()};
  auto groups = collector->groups(kFewestRows);
  if (groups.empty()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} series, none of {} rows or more; expected one at least",
                            collector->num_series(), kFewestRows));
  }
  if (groups.size() > 1) {
    return fail(ErrorKind::kInvalid,
                fmt::format("series with different channels: {}; expected the same for all",
                            described(groups)));
  }
  return std::move(groups.begin()->second);
}

Result<LatentInput> LatentArguments::load(const Defaults& defaults) const {
  if (train) return learn(defaults);
  if (!checkpoint.empty()) return load_checkpoint(defaults);
  return fail(ErrorKind::kInvalid, "no model; expected --model CHECKPOINT or --train");
}

Result<LatentInput> LatentArguments::load_checkpoint(const Defaults& defaults) const {
  const auto chosen = options(defaults);
  if (!chosen) return Failure{chosen.error()};
  auto factory = models::TorchModelFactory::create(chosen->model);
  if (!factory) return Failure{factory.error()};
  auto loaded = (*factory)->load(checkpoint);
  if (!loaded) return fail(std::move(loaded.error()), "loading the model");
  const auto group =
      pipeline::LearnedGroup::from_calibration(loaded->scorer->info(), loaded->extras.calibration);
  if (!group) return fail(Error{group.error()}, "loading the model " + checkpoint);
  auto model = LatentModel::open(std::move(loaded->scorer), defaults.need, member);
  if (!model) return fail(std::move(model.error()), checkpoint);

  auto collector = collect(*chosen, defaults);
  if (!collector) return Failure{collector.error()};
  const auto groups = collector->groups(model->window());
  LatentInput input{*std::move(model), {}};
  for (const auto& [key, one] : groups) {
    const auto wanted = columns_in(input.model.info().channels, one.channels);
    if (!wanted) {
      fmt::print(stderr, "{} series have the channels {} and are left out\n", one.histories.size(),
                 key);
      continue;
    }
    for (const pipeline::History& history : one.histories) {
      input.series.push_back(
          scaled_by(**group, history.project(*wanted, history.size()), chosen->pipeline.training));
    }
  }
  if (input.series.empty()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} series, none with {} rows and the channels of {}: found {}; "
                            "expected {}",
                            collector->num_series(), input.model.window(), checkpoint,
                            groups.empty() ? "none long enough" : described(groups),
                            pipeline::group_key(input.model.info().channels)));
  }
  std::ranges::sort(input.series, {}, &ScaledSeries::id);
  return input;
}

Result<LatentInput> LatentArguments::learn(const Defaults& defaults) const {
  const auto chosen = options(defaults);
  if (!chosen) return Failure{chosen.error()};
  auto factory = models::TorchModelFactory::create(chosen->model);
  if (!factory) return Failure{factory.error()};
  const auto group = rows(*chosen, defaults);
  if (!group) return Failure{group.error()};

  std::vector<pipeline::History> histories;
  for (const pipeline::History& history : group->histories) {
    histories.push_back(defaults.hold_out ? without_held_out(history) : history);
  }
  TrainingBar bar;
  auto learned = pipeline::learn(histories, group->channels, **factory, chosen->pipeline,
                                 bar.callback(), bar.stop_token());
  if (!learned) return fail(std::move(learned.error()), "training");
  bar.finish();
  auto model = LatentModel::open(std::move(learned->scorer), defaults.need, member);
  if (!model) return fail(std::move(model.error()), "--kind " + chosen->model.kind);
  LatentInput input{*std::move(model), {}};
  for (const pipeline::History& history : group->histories) {
    input.series.push_back(scaled_by(*learned->group, history, chosen->pipeline.training));
  }
  return input;
}

}  // namespace anomalyd::tools
