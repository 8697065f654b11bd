#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "tools/commands.hpp"
#include "tools/embedding.hpp"
#include "tools/interrupt.hpp"
#include "tools/latent_arguments.hpp"
#include "tools/progress.hpp"
#include "tools/truth.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  LatentArguments latent;
  std::string out;
  std::string page;
  std::string incidents;
  std::size_t stride = 1;
};

/// Which class the code says a window is of: the likeliest one.
std::int16_t class_in(std::span<const float> code, const LatentModel& model) {
  const auto classes = code.subspan(model.content(), model.classes());
  return static_cast<std::int16_t>(std::ranges::max_element(classes) - classes.begin());
}

Result<Embedding> embed(LatentInput& input, std::span<const pipeline::Label> incidents,
                        std::size_t stride) {
  LatentModel& model = input.model;
  Embedding embedding;
  embedding.width = model.width();
  if (model.classes() > 0) embedding.classes = model.info().classes;
  embedding.incidents = pipeline::classes_of(incidents);
  std::vector<std::vector<std::size_t>> ends;
  std::size_t total = 0, done = 0;
  for (const ScaledSeries& series : input.series) {
    ends.push_back(series.window_ends(model.window(), 0, series.size(), stride));
    total += ends.back().size();
  }
  Progress progress{"encoding", "windows", total};
  for (std::size_t s = 0; s < input.series.size(); ++s) {
    const ScaledSeries& series = input.series[s];
    const auto codes = model.encode(series, ends[s],
                                    [&](std::size_t windows) { progress.update(done + windows); });
    if (!codes) return Failure{codes.error()};
    if (interrupted()) return fail(ErrorKind::kCancelled, "encoding was stopped");
    done += ends[s].size();
    std::vector<std::int64_t> times;
    for (const std::size_t end : ends[s]) {
      times.push_back(series.times[end].time_since_epoch().count());
      embedding.times.push_back(series.times[end]);
    }
    embedding.series_of.insert(embedding.series_of.end(), times.size(), s);
    embedding.series.push_back(series.id);
    embedding.codes.insert(embedding.codes.end(), codes->begin(), codes->end());
    if (!incidents.empty()) {
      for (const std::int16_t label :
           label_rows(incidents, embedding.incidents, series.id, times)) {
        embedding.incident_of.push_back(std::max<std::int16_t>(label, 0));
      }
    }
    for (std::size_t i = 0; i < ends[s].size() && model.classes() > 0; ++i) {
      embedding.class_of.push_back(
          class_in(std::span{*codes}.subspan(i * model.width(), model.width()), model));
    }
  }
  if (embedding.size() > 0) return embedding;
  return fail(ErrorKind::kInvalid, fmt::format("no window of {} rows in {} series; expected one",
                                               model.window(), input.series.size()));
}

int run(const Arguments& arguments) {
  if (arguments.out.empty() && arguments.page.empty()) {
    return report({ErrorKind::kInvalid, "no output; expected --out FILE or --html FILE"});
  }
  std::vector<pipeline::Label> incidents;
  if (!arguments.incidents.empty()) {
    auto read = read_labels(arguments.incidents, LabelNames::kAny);
    if (!read) return report(read.error());
    incidents = *std::move(read);
  }
  LatentArguments::Defaults defaults;
  defaults.outputs = {arguments.out, arguments.page};
  auto input = arguments.latent.load(defaults);
  if (!input) return report(input.error());
  const auto embedding = embed(*input, incidents, arguments.stride);
  if (!embedding) return report(embedding.error());
  if (!arguments.out.empty()) {
    if (auto written = write_embedding(arguments.out, *embedding); !written) {
      return report(written.error());
    }
  }
  if (!arguments.page.empty()) {
    if (auto written = write_embedding_page(arguments.page, *embedding); !written) {
      return report(written.error());
    }
  }
  fmt::print("{} windows of {} series, codes of {} numbers by {}\n", embedding->size(),
             embedding->series.size(), embedding->width, input->model.member_name());
  return kOk;
}

}  // namespace

void add_embed(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("embed", "Write the codes of windows, as numbers and as a picture");
  command->footer(
      "One record per window: series, time of its newest row, z0, z1, .. in a .csv, or the fields\n"
      "series, time and z of a NumPy array in a .npy. The page shows them along the two\n"
      "directions in which they vary most, and needs no network.\n\n"
      "Examples:\n"
      "  anomalyctl embed samples.ndjson --model dense.ckpt --out codes.npy\n"
      "  anomalyctl embed samples.csv --train --kind aae_cluster --html codes.html\n"
      "  anomalyctl embed samples.csv --train --incidents faults.csv --html codes.html");
  arguments->latent.add_to(*command, LatentArguments::Model::kAny);
  command->add_option("--out", arguments->out, "File of codes to write: .csv or .npy");
  command->add_option("--html", arguments->page, "Page to write");
  command
      ->add_option("--incidents,--labels", arguments->incidents,
                   "CSV of series,start,end,label, or what produce --truth wrote")
      ->check(CLI::ExistingFile);
  command->add_option("--stride", arguments->stride, "Rows from one window to the next")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
