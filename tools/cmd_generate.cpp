#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/latent_arguments.hpp"
#include "tools/progress.hpp"
#include "tools/row_file.hpp"
#include "tools/synthesis.hpp"
#include "tools/synthesis_check.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  LatentArguments latent;
  Synthesis::Options synthesis;
  std::string out;
  std::size_t windows = 0;
  std::string span;
  std::string start;
  std::string rename;
  bool check = false;
};

/// Writes what is generated in the units of the input.
class Output {
 public:
  Output(RowFile& file, const std::vector<Channel>& channels) : file_{file}, channels_{channels} {}

  void write(const std::string& name, const ScaledSeries& series, std::span<const float> rows,
             EventTime start) {
    std::vector<double> raw(channels_.size());
    for (std::size_t i = 0; i < rows.size() / raw.size(); ++i) {
      for (std::size_t c = 0; c < raw.size(); ++c) {
        raw[c] = series.scaler.restore(c, static_cast<double>(rows[i * raw.size() + c]));
      }
      file_.write(name, start + series.period * static_cast<std::int64_t>(i), channels_, raw);
      ++num_rows_;
    }
  }
  [[nodiscard]] std::size_t num_rows() const { return num_rows_; }

 private:
  RowFile& file_;
  const std::vector<Channel>& channels_;
  std::size_t num_rows_ = 0;
};

Status write_windows(Synthesis& synthesis, const ScaledSeries& series, const std::string& name,
                     std::size_t count, EventTime start, Output& output, std::size_t cells) {
  const auto windows = synthesis.windows(count);
  if (!windows) return Failure{windows.error()};
  for (std::size_t k = 0; k < count; ++k) {
    output.write(fmt::format("{}/{}", name, k + 1), series,
                 std::span{*windows}.subspan(k * cells, cells), start);
  }
  return {};
}

Status generate(LatentInput& input, const Arguments& arguments) {
  const auto span = parse_duration(arguments.span.empty() ? "1d" : arguments.span);
  if (!span) return fail(Error{span.error()}, "--span");
  std::optional<EventTime> start;
  if (!arguments.start.empty()) {
    const auto time = parse_time(arguments.start);
    if (!time) return fail(Error{time.error()}, "--start");
    start = *time;
  }
  auto file = RowFile::create(arguments.out);
  if (!file) return Failure{file.error()};
  const std::vector<Channel> channels = input.model.info().channels;
  Output output{*file, channels};
  Progress progress{"generating", "series", input.series.size()};
  std::size_t done = 0;
  for (const ScaledSeries& series : input.series) {
    if (interrupted()) return fail(ErrorKind::kCancelled, "generating was stopped");
    if (series.period.count() <= 0) {
      return fail(ErrorKind::kInvalid,
                  series.id + ": its rows come when they like; expected a period to generate at");
    }
    const auto ends = series.window_ends(input.model.window(), 0, series.size());
    Synthesis::Options options = arguments.synthesis;
    options.seed = arguments.latent.seed.value_or(1) + done;
    auto synthesis = Synthesis::learn(input.model, series, ends, options);
    if (!synthesis) return Failure{synthesis.error()};
    const std::string name =
        arguments.rename.empty() ? series.id : fmt::format("{}{}", arguments.rename, done + 1);
    const EventTime first = start.value_or(series.times.back() + series.period);
    if (arguments.windows > 0) {
      Status written = write_windows(*synthesis, series, name, arguments.windows, first, output,
                                     input.model.window() * input.model.channels());
      if (!written) return written;
    } else {
      const auto rows = synthesis->rows(static_cast<std::size_t>(*span / series.period), first);
      if (!rows) return Failure{rows.error()};
      output.write(name, series, *rows, first);
    }
    for (std::size_t c = 0; c < channels.size(); ++c) {
      if (!series.scaler.is_counter(c)) continue;
      fmt::print(stderr, "{}: {} is a counter; its rate per second is generated\n", series.id,
                 channels[c].name);
    }
    progress.update(++done);
  }
  progress.finish();
  if (auto written = file->finish(); !written) return written;
  fmt::print("{}: {} rows like those of {} series\n", arguments.out, output.num_rows(),
             input.series.size());
  return {};
}

Status check(LatentInput& input, const Arguments& arguments) {
  Progress progress{"checking", "series", input.series.size()};
  const auto checked = check_synthesis(input.model, input.series, arguments.synthesis,
                                       [&](std::size_t done) { progress.update(done); });
  if (!checked) return Failure{checked.error()};
  progress.finish();
  fmt::print("{}", checked->table());
  return {};
}

int run(const Arguments& arguments) {
  LatentArguments::Defaults defaults;
  defaults.fleet = synthesis_check_fleet();
  defaults.hold_out = arguments.check;
  defaults.outputs = {arguments.out};
  if (!arguments.check && arguments.out.empty()) {
    return report({ErrorKind::kInvalid, "no output; expected --out FILE or --check"});
  }
  auto input = arguments.latent.load(defaults);
  if (!input) return report(input.error());
  const Status done = arguments.check ? check(*input, arguments) : generate(*input, arguments);
  return done ? kOk : report(done.error());
}

}  // namespace

void add_generate(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("generate", "Make normal rows like those of series, for drills and load");
  command->footer(
      "Rows are decoded from codes near those of real windows, and get the noise that the decoder\n"
      "leaves out from real windows with near codes. Units are those of the input.\n\n"
      "Examples:\n"
      "  anomalyctl generate samples.ndjson --model dense.ckpt --span 7d --out normal.ndjson\n"
      "  anomalyctl generate samples.csv --train --windows 100 --rename drill- --out windows.csv\n"
      "  anomalyctl generate samples.csv --train --check    # can a classifier tell?");
  arguments->latent.add_to(*command, LatentArguments::Model::kAny);
  command->add_option("--out", arguments->out, "File to write: .csv, .ndjson or .json");
  auto* span = command->add_option("--span", arguments->span,
                                   "Length of each generated series; 1d unless said");
  command->add_option("--windows", arguments->windows, "So many single windows of each series")
      ->check(CLI::Range(1, 1'000'000))
      ->excludes(span);
  command->add_option("--start", arguments->start,
                      "Time of the first row; by default behind the newest one of the series");
  command->add_option("--rename", arguments->rename,
                      "Call the series PREFIX1, PREFIX2, .. instead of as those they are like");
  command
      ->add_option("--smoothing", arguments->synthesis.smoothing,
                   "How far from real codes, in their standard deviations")
      ->check(CLI::Range(0.0, 3.0))
      ->capture_default_str();
  command
      ->add_option("--neighbours", arguments->synthesis.neighbours,
                   "Near windows that noise, and what comes next, are drawn from")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--check", arguments->check,
                    "Let a classifier tell generated windows from real ones held out");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
