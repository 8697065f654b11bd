#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "models/torch_models.hpp"
#include "tools/commands.hpp"
#include "tools/disentangling.hpp"
#include "tools/latent_arguments.hpp"
#include "tools/row_file.hpp"
#include "tools/training_bar.hpp"
#include "tools/truth.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  LatentArguments latent;
  std::string modes;
  std::string content;
  std::string in_style;
  std::size_t width = 2;
  std::string out;
};

/// Where a name is, or why it is not there.
Result<std::size_t> place_of(const std::string& name, const std::vector<std::string>& names,
                             const char* what) {
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  return fail(ErrorKind::kInvalid, fmt::format("no {} '{}'; expected one of {} like '{}'", what,
                                               name, names.size(), names.front()));
}

/// Which series is to be written in which style.
struct Swap {
  std::size_t content = 0;
  std::size_t style = 0;
};

Result<Swap> parse_swap(const Arguments& arguments, const HistoryCollector::Group& group,
                        std::span<const pipeline::Label> labels) {
  if (arguments.out.empty()) return Swap{};
  const auto content = place_of(arguments.content, styles_of(group, {}), "series");
  if (!content) return Failure{content.error()};
  const auto style = place_of(arguments.in_style, styles_of(group, labels), "style");
  if (!style) return Failure{style.error()};
  return Swap{*content, *style};
}

Status write_swapped(Disentangling& disentangling, const Swap& which,
                     const std::vector<Channel>& channels, const Arguments& arguments) {
  const ScaledSeries& series = disentangling.series()[which.content];
  const auto rows = disentangling.restyled(series, which.style);
  if (!rows) return Failure{rows.error()};
  auto file = RowFile::create(arguments.out);
  if (!file) return Failure{file.error()};
  const std::string name = fmt::format("{} as {}", arguments.content, arguments.in_style);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto row = std::span{*rows}.subspan(i * channels.size(), channels.size());
    if (std::ranges::all_of(row, [](double value) { return std::isnan(value); })) continue;
    file->write(name, series.times[i], channels, row);
  }
  return file->finish();
}

Status disentangle(const Arguments& arguments) {
  const auto given =
      !arguments.content.empty() + !arguments.in_style.empty() + !arguments.out.empty();
  if (given != 0 && given != 3) {
    return fail(ErrorKind::kInvalid, "expected all of --content, --in-style and --out, or none");
  }
  LatentArguments::Defaults defaults;
  defaults.kind = "aae_supervised";
  defaults.fleet = disentangling_fleet();
  defaults.outputs = {arguments.out};
  std::vector<pipeline::Label> labels;
  if (!arguments.modes.empty()) {
    auto read = read_labels(arguments.modes, LabelNames::kAny);
    if (!read) return Failure{read.error()};
    labels = *std::move(read);
  }
  auto options = arguments.latent.options(defaults);
  if (!options) return Failure{options.error()};
  options->model.scope = models::ModelScope::kPooled;
  options->model.latent = arguments.width;
  options->model.patience = options->model.epochs;  // losses of adversaries do not fall evenly
  auto factory = models::TorchModelFactory::create(options->model);
  if (!factory) return Failure{factory.error()};
  const auto group = arguments.latent.rows(*options, defaults);
  if (!group) return Failure{group.error()};
  const auto which = parse_swap(arguments, *group, labels);
  if (!which) return Failure{which.error()};
  TrainingBar bar;
  auto disentangling =
      Disentangling::learn(*group, labels, **factory, bar.callback(), bar.stop_token());
  if (!disentangling) return fail(std::move(disentangling.error()), "training");
  bar.finish();
  const auto figures = disentangling->figures();
  if (!figures) return Failure{figures.error()};
  fmt::print("{}", figures->table());
  if (arguments.out.empty()) return {};
  return write_swapped(*disentangling, *which, group->channels, arguments);
}

}  // namespace

void add_disentangle(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("disentangle", "Tell the shape of windows from whose they are; swap them");
  command->footer(
      "Learns codes of two parts: content, the shape of a window, and style, of which series it "
      "is\n"
      "or in which mode. Prints how far they came apart, on rows held out.\n\n"
      "Examples:\n"
      "  anomalyctl disentangle samples.csv\n"
      "  anomalyctl disentangle samples.csv --content pump-1 --in-style pump-2 --out swapped.csv\n"
      "  anomalyctl disentangle samples.csv --modes modes.csv   # series,start,end,label\n"
      "  anomalyctl disentangle --fleet");
  arguments->latent.add_to(*command, LatentArguments::Model::kAlwaysTrained);
  command
      ->add_option(
          "--modes", arguments->modes,
          "CSV of series,start,end,label: the modes that are styles, instead of the series")
      ->check(CLI::ExistingFile);
  command
      ->add_option(
          "--width", arguments->width,
          "Numbers of the content: few leave no room for the style, more tell more of shape")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  command->add_option("--content", arguments->content, "Series to write in another style");
  command->add_option("--in-style", arguments->in_style,
                      "That style: a series, or a label of --modes");
  command->add_option("--out", arguments->out, "File to write it to: .csv, .ndjson or .json");
  command->callback([&chosen, arguments] {
    chosen = [arguments] {
      const Status done = disentangle(*arguments);
      return done ? kOk : report(done.error());
    };
  });
}

}  // namespace anomalyd::tools
