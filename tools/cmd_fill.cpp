#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>

#include "tools/commands.hpp"
#include "tools/fill_check.hpp"
#include "tools/gap_filling.hpp"
#include "tools/interrupt.hpp"
#include "tools/latent_arguments.hpp"
#include "tools/progress.hpp"
#include "tools/row_file.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  LatentArguments latent;
  std::string out;
  std::string period;
  std::string start = "linear";
  std::size_t iterations = 10;
  std::size_t coarse = 1;
  bool check = false;

  [[nodiscard]] FillOptions options(const LatentModel& model) const {
    return {.window = model.window(),
            .iterations = iterations,
            .start = start == "last" ? FillOptions::Start::kLast : FillOptions::Start::kLinear};
  }
};

/// What was done to the cells of all series.
struct Counts {
  std::size_t filled = 0;
  std::size_t left = 0;
};

/// The series at the wanted period.
Result<ScaledSeries> at_period(const ScaledSeries& series, const std::string& period) {
  if (period.empty()) return series;
  const auto fine = parse_duration(period);
  if (!fine) return fail(Error{fine.error()}, "--period");
  if (fine->count() <= 0 || series.period.count() <= 0 ||
      series.period.count() % fine->count() != 0) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("--period {}: {} has a row every {}; expected a whole part of that", period,
                    series.id,
                    series.period.count() > 0
                        ? short_duration(std::chrono::duration<double>(series.period).count())
                        : "now and then"));
  }
  return refined(series, static_cast<std::size_t>(series.period.count() / fine->count()));
}

/// Completes the raw cells. A counter is known here by its rate alone: its gaps become lines.
Result<Counts> fill(LatentModel& model, ScaledSeries& series, const FillOptions& options) {
  const auto ends = series.window_ends(model.window(), 0, series.size());
  const GappyRows rows{series.channels, series.rows};
  const auto filled = fill_gaps(
      rows, ends,
      [&](std::span<const float> cells, std::span<const std::size_t> some) {
        return model.reconstruct(series, cells, some);
      },
      options);
  if (!filled) return Failure{filled.error()};
  Counts counts;
  for (std::size_t i = 0; i < series.raw.size(); ++i) {
    const std::size_t channel = i % series.channels;
    if (!std::isnan(series.raw[i])) continue;
    if (!series.scaler.is_counter(channel) && !std::isnan((*filled)[i])) {
      series.raw[i] = series.scaler.restore(channel, static_cast<double>((*filled)[i]));
      ++counts.filled;
    } else {
      ++counts.left;
    }
  }
  return counts;
}

void report_counters(const LatentModel& model, const ScaledSeries& series) {
  for (std::size_t c = 0; c < series.channels; ++c) {
    if (!series.scaler.is_counter(c)) continue;
    fmt::print(stderr, "{}: {} is a counter; its gaps are left\n", series.id,
               model.info().channels[c].name);
  }
}

Status fill_all(LatentInput& input, const Arguments& arguments) {
  auto file = RowFile::create(arguments.out);
  if (!file) return Failure{file.error()};
  const std::vector<Channel> channels = input.model.info().channels;
  Progress progress{"filling", "series", input.series.size()};
  Counts counts;
  std::size_t done = 0, rows = 0;
  for (const ScaledSeries& given : input.series) {
    if (interrupted()) return fail(ErrorKind::kCancelled, "filling was stopped");
    auto series = at_period(given, arguments.period);
    if (!series) return Failure{series.error()};
    const auto filled = fill(input.model, *series, arguments.options(input.model));
    if (!filled) return Failure{filled.error()};
    report_counters(input.model, *series);
    counts.filled += filled->filled, counts.left += filled->left;
    for (std::size_t i = 0; i < series->size(); ++i) {
      file->write(series->id, series->times[i], channels,
                  std::span{series->raw}.subspan(i * series->channels, series->channels));
    }
    rows += series->size();
    progress.update(++done);
  }
  progress.finish();
  if (auto written = file->finish(); !written) return written;
  fmt::print("{}: {} rows of {} series, {} cells filled, {} left missing\n", arguments.out, rows,
             input.series.size(), counts.filled, counts.left);
  return {};
}

Status check(LatentInput& input, const Arguments& arguments) {
  Progress progress{"checking", "series", input.series.size()};
  FillCheck check{input.model.info().channels, arguments.coarse};
  std::size_t done = 0;
  for (const ScaledSeries& series : input.series) {
    if (auto checked = check.add(input.model, series, arguments.options(input.model)); !checked) {
      return checked;
    }
    progress.update(++done);
  }
  progress.finish();
  fmt::print("{}", check.table());
  return {};
}

int run(const Arguments& arguments) {
  LatentArguments::Defaults defaults;
  defaults.kind = "pca";
  defaults.corruption = models::Corruption::kBlocks;
  defaults.hold_out = arguments.check;
  defaults.need = LatentModel::Need::kReconstruction;
  defaults.fleet = fill_check_fleet();
  defaults.outputs = {arguments.out};
  if (!arguments.check && arguments.out.empty()) {
    return report({ErrorKind::kInvalid, "no output; expected --out FILE or --check"});
  }
  auto input = arguments.latent.load(defaults);
  if (!input) return report(input.error());
  const Status done = arguments.check ? check(*input, arguments) : fill_all(*input, arguments);
  return done ? kOk : report(done.error());
}

}  // namespace

void add_fill(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("fill", "Complete missing cells, or refine a series to a shorter period");
  command->footer(
      "Only missing cells change. An autoencoder fills them; best is one that was trained with\n"
      "training.corruption: blocks, as --train does.\n\n"
      "Examples:\n"
      "  anomalyctl fill samples.ndjson --model dense.ckpt --out filled.csv\n"
      "  anomalyctl fill hourly.csv --model minutes.ckpt --period 1m --out minutes.csv\n"
      "  anomalyctl fill samples.csv --train --check     # how good it is on these series\n"
      "  anomalyctl fill --fleet --train --check         # and on a generated fleet");
  arguments->latent.add_to(*command, LatentArguments::Model::kAny);
  command->add_option("--out", arguments->out, "File to write: .csv, .ndjson or .json");
  command->add_option("--period", arguments->period,
                      "Time between rows of the output, such as 1m: a whole part of the input's");
  command
      ->add_option("--max-gap", arguments->latent.max_gap,
                   "Rows; a longer gap stays, and nothing is learned from one side for the other")
      ->check(CLI::Range(std::size_t{0}, std::size_t{pipeline::Windower::kLongestGap}))
      ->capture_default_str();
  command->add_option("--start", arguments->start, "What missing cells hold at first: linear, last")
      ->check(CLI::IsMember({"linear", "last"}))
      ->capture_default_str();
  command->add_option("--iterations", arguments->iterations, "Times that gaps are filled anew")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  auto* check_flag =
      command->add_flag("--check", arguments->check,
                        "Hide gaps of 10 rows in single channels of rows held out, and compare");
  command
      ->add_option("--coarse", arguments->coarse,
                   "With --check: hide all rows but every so manieth, as --period fills them")
      ->check(CLI::Range(2, 32))
      ->needs(check_flag);
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
