#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>

#include "models/plan.hpp"
#include "models/torch_models.hpp"
#include "tools/commands.hpp"
#include "tools/contamination.hpp"
#include "tools/detection_arguments.hpp"
#include "tools/drifting_set.hpp"
#include "tools/evaluation_report.hpp"
#include "tools/evaluator.hpp"
#include "tools/figures_table.hpp"
#include "tools/interrupt.hpp"
#include "tools/pooled_learning.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  DetectionArguments detection;
  std::string data;
  std::string only;
  std::vector<std::string> csv;
  CsvColumns columns;
  std::string labels;
  std::string train_until;
  TrainingPart training;
  std::string out = "build/evaluation";
  std::string json;
  std::string report;
  std::vector<std::string> compare;
  std::vector<std::string> kinds;
  std::uint64_t seeds = 0;
  std::vector<std::string> checkpoints;
  std::string budget = "1 per series per 1000 rows";  // series of unknown time scale: count rows
  double alpha = 1e-3;
  std::size_t jobs = 1;
  std::size_t block_rows = 4096;
  double contaminate = 0;
  bool pooled = false;
  std::size_t retrain = 0;
  bool drifting = false;
};

/// One evaluation of all series.
struct Run {
  std::string kind;
  std::uint64_t seed = 0;
  std::string name;  ///< Distinguishes it from the others; empty if it is the only one.
};

std::vector<Run> runs_of(const Arguments& arguments, const config::Options& options) {
  std::vector<std::string> kinds = arguments.kinds;
  if (kinds.empty()) kinds = {options.model.kind};
  if (kinds == std::vector<std::string>{"all"}) {
    kinds = models::kind_names();
    if (options.pipeline.training.labels.empty()) std::erase_if(kinds, models::needs_labels);
  }
  std::vector<std::uint64_t> seeds(std::max<std::uint64_t>(arguments.seeds, 1), options.model.seed);
  if (arguments.seeds > 0) std::iota(seeds.begin(), seeds.end(), std::uint64_t{1});
  std::vector<Run> runs;
  for (const std::string& kind : kinds) {
    for (const std::uint64_t seed : seeds) {
      runs.push_back({kind, seed, kind});
      if (seeds.size() > 1) runs.back().name += fmt::format("-seed{}", seed);
    }
  }
  if (runs.size() == 1) runs.front().name.clear();
  return runs;
}

/// "figures.json" for the only run, "figures-pca.json" for that of `pca`.
std::filesystem::path of_run(std::filesystem::path path, const Run& run) {
  if (run.name.empty()) return path;
  const std::string extension = path.extension().string();
  return path.replace_filename(path.stem().string() + "-" + run.name + extension);
}

Result<LabelledSet> open_set(const Arguments& arguments) {
  if (arguments.drifting) return drifting_set();
  if (!arguments.data.empty()) {
    auto dataset = Dataset::open(arguments.data);
    if (!dataset) return Failure{dataset.error()};
    if (auto kept = dataset->keep_only(arguments.only); !kept) return Failure{kept.error()};
    return labelled_folder(*std::move(dataset));
  }
  if (arguments.csv.empty()) {
    return fail(
        ErrorKind::kInvalid,
        "no input; expected --data FOLDER, --drifting, or --csv FILE... with --labels FILE");
  }
  TrainingPart training = arguments.training;
  if (!arguments.train_until.empty()) {
    const auto until = parse_time(arguments.train_until);
    if (!until) return fail(Error{until.error()}, "--train-until");
    training.until = *until;
  }
  auto set = labelled_csv({arguments.csv.begin(), arguments.csv.end()}, arguments.columns,
                          arguments.labels, training);
  if (set && set->unmet > 0) {
    fmt::print(stderr, "{}: {} intervals hold no row to judge and do not count\n", arguments.labels,
               set->unmet);
  }
  return set;
}

/// What is computed for hours must not fail for want of a folder.
Status make_folders(const Arguments& arguments) {
  for (const std::filesystem::path path : {arguments.json, arguments.report}) {
    std::error_code failed;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failed);
    if (!failed) continue;
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}; expected a folder that can be written",
                                                 path.string(), failed.message()));
  }
  return {};
}

/// `series,row,outcome,why`, a line for each.
Status write_retrainings(const std::filesystem::path& path, std::span<const Retraining> all) {
  std::ofstream file{path};
  file << "series,row,outcome,why\n";
  for (const Retraining& one : all) {
    file << fmt::format("{},{},{},\"{}\"\n", one.series, one.row, one.outcome, one.why);
  }
  if (file.flush()) return {};
  return fail(ErrorKind::kInvalid,
              path.string() + ": cannot be written; expected a writable folder");
}

/// Evaluates, and writes the files of this run.
Result<Evaluated> evaluate(const Arguments& arguments, LabelledSet set, config::Options options,
                           const Run& run) {
  set = contaminated(std::move(set), {.share = arguments.contaminate, .seed = run.seed});
  options.model.kind = run.kind;
  options.model.seed = run.seed;
  options.model.threads = 1;  // the jobs are the parallelism
  if (arguments.pooled && options.model.scope == models::ModelScope::kAuto) {
    options.model.scope = models::scope_of_fleet(options.model);
  }
  const MonotonicTime begin = system_clock().monotonic();
  const std::filesystem::path out = std::filesystem::path{arguments.out} / run.name;
  const auto make_factory = [&]() -> Result<std::unique_ptr<ModelFactory>> {
    auto factory = models::TorchModelFactory::create(options.model);
    if (!factory) return Failure{factory.error()};
    return *std::move(factory);
  };
  std::map<std::string, std::filesystem::path> learned;
  if (arguments.pooled) {
    const auto factory = make_factory();
    if (!factory) return Failure{factory.error()};
    auto checkpoints = learn_pooled(set, options.pipeline, **factory, out);
    if (!checkpoints) return Failure{checkpoints.error()};
    learned = *std::move(checkpoints);
  }
  EvaluationReport page{arguments.report.empty() ? 0 : set.entries.size()};
  Evaluator::SeriesFn draw;
  if (!arguments.report.empty()) {
    draw = [&](std::size_t index, const auto& series, const auto& scored, const auto& figures) {
      page.add(index, set.entries[index].train_end, series, scored, figures);
    };
  }
  Evaluator evaluator{
      {.each = {.pipeline = options.pipeline,
                .checkpoints = {arguments.checkpoints.begin(), arguments.checkpoints.end()},
                .block_rows = arguments.block_rows,
                .retrainings = arguments.retrain,
                .gate = options.service.gate},
       .learned = std::move(learned),
       .out = out,
       .jobs = arguments.jobs,
       .what = run.name.empty() ? "evaluating" : run.name},
      set,
      make_factory,
      std::move(draw)};
  auto figures = evaluator.run();
  if (!figures) return Failure{figures.error()};
  const auto took = system_clock().monotonic() - begin;
  Evaluated evaluated{.kind = run.kind,
                      .seed = run.seed,
                      .seconds = std::chrono::duration<double>(took).count(),
                      .series = *std::move(figures)};
  if (arguments.retrain > 0) {
    const auto retrainings = evaluator.retrainings();
    for (const Retraining& one : retrainings) ++evaluated.retrainings[one.outcome];
    if (auto written = write_retrainings(out / "retrainings.csv", retrainings); !written) {
      return Failure{written.error()};
    }
  }
  if (!arguments.json.empty()) {
    if (auto written = write_figures(of_run(arguments.json, run), evaluated); !written) {
      return Failure{written.error()};
    }
  }
  if (!arguments.report.empty()) {
    const auto written = page.write(of_run(arguments.report, run), evaluated, arguments.alpha);
    if (!written) return Failure{written.error()};
  }
  return evaluated;
}

int compare(const Arguments& arguments) {
  const auto comparison = compare_files(arguments.compare[0], arguments.compare[1]);
  if (!comparison) return report(comparison.error());
  fmt::print("{}", comparison_table(*comparison));
  return kOk;
}

int run(const Arguments& arguments) {
  if (!arguments.compare.empty()) return compare(arguments);
  auto options = arguments.detection.options();
  if (!options) return report(options.error());
  auto budget = pipeline::AlertBudget::parse(arguments.budget);
  if (!budget) return report(std::move(budget.error()).while_doing("--budget"));
  options->pipeline.budget = *budget;
  const auto set = open_set(arguments);
  if (!set) return report(set.error());

  if (auto made = make_folders(arguments); !made) return report(made.error());
  const auto runs = runs_of(arguments, *options);
  for (const Run& one : runs) {  // before hours of work
    models::TorchModelFactory::Options model = options->model;
    model.kind = one.kind;
    if (auto known = models::check_options(model); !known) return report(known.error());
  }
  std::vector<KindRuns> kinds;
  for (const Run& one : runs) {
    const auto evaluated = evaluate(arguments, *set, *options, one);
    if (interrupted()) return kFailed;
    if (!evaluated) return report(evaluated.error());
    const Headline result = headline(*evaluated, arguments.alpha);
    if (kinds.empty() || kinds.back().kind != one.kind) kinds.push_back({one.kind, {}});
    kinds.back().runs.push_back(result);
    if (!one.name.empty()) continue;
    fmt::print("{}", figures_table(evaluated->series));
    fmt::print("{}\n", headline_text(result));
    fmt::print("{}", retrainings_text(evaluated->retrainings));
  }
  if (runs.size() > 1) fmt::print("{}", kinds_table(kinds));
  fmt::print("scores: {}/{}<group>/<entity>.csv\n", arguments.out, runs.size() > 1 ? "<run>/" : "");
  return kOk;
}

void add_input(CLI::App& command, Arguments& arguments) {
  auto* data =
      command.add_option("--data", arguments.data, "Folder with manifest.json and gzip CSV files");
  data->check(CLI::ExistingDirectory);
  command.add_option("--only", arguments.only, "Groups or entities, with commas between them")
      ->needs(data);
  auto* csv = command.add_option("--csv", arguments.csv, "CSV files, plain or gzip, instead");
  csv->check(CLI::ExistingFile)->excludes(data);
  auto* labels = command.add_option("--labels", arguments.labels,
                                    "Of --csv: what went wrong, a CSV file `series,start,end`");
  labels->check(CLI::ExistingFile)->needs(csv);
  csv->needs(labels);
  command.add_option("--time", arguments.columns.time, "Of --csv: column with the time")
      ->needs(csv);
  command
      .add_option("--series", arguments.columns.series,
                  "Of --csv: column with the series; without it a file is one, named after it")
      ->needs(csv);
  auto* until = command.add_option("--train-until", arguments.train_until,
                                   "Of --csv: learn from the rows before this time");
  until->needs(csv);
  command
      .add_option("--train", arguments.training.share, "Of --csv: learn from this share of rows")
      ->check(CLI::Range(0.0, 1.0))
      ->needs(csv)
      ->excludes(until)
      ->capture_default_str();
  command
      .add_flag("--drifting", arguments.drifting,
                "Generated machines instead, whose ways change for good and harmlessly")
      ->excludes(data)
      ->excludes(csv);
  command.add_option("--compare", arguments.compare, "Compare two files of --json, and do no more")
      ->expected(2)
      ->excludes(data)
      ->excludes(csv);
}

void add_runs(CLI::App& command, Arguments& arguments) {
  command.add_option("--kinds", arguments.kinds, "Evaluate each of these kinds of model; or `all`")
      ->delimiter(',')
      ->excludes("--model");
  command.add_option("--seeds", arguments.seeds, "Evaluate with the seeds 1 to this, and average")
      ->check(CLI::Range(1, 100))
      ->excludes("--seed");
  command.add_option("--checkpoint", arguments.checkpoints, "Judge with these, learn none")
      ->check(CLI::ExistingFile)
      ->excludes("--kinds")
      ->excludes("--seeds");
  command
      .add_flag("--pooled", arguments.pooled,
                "Learn the series of a group together, and share weights as a large fleet does")
      ->excludes("--checkpoint");
  command
      .add_option("--contaminate", arguments.contaminate,
                  "Spoil this share of the rows learned from with bursts, by the seed")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  command
      .add_option("--retrain", arguments.retrain,
                  "So often, at equal distances, a challenger is learned from the rows judged so "
                  "far, and takes over if it passes the gate and the shadow of the daemon")
      ->check(CLI::Range(1, 1000));
  command.add_option("--jobs", arguments.jobs, "Series at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--budget", arguments.budget, "In place of alerts.budget")
      ->capture_default_str();
  command
      .add_option("--alpha", arguments.alpha,
                  "Share of normal rows that may alert: series beyond ten times that are counted")
      ->check(CLI::Range(1e-6, 0.1))
      ->capture_default_str();
  command.add_option("--block", arguments.block_rows, "Rows scored at once; changes no score")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Score labelled series and measure how well faults are found");
  command->footer(
      "Each series is learned from its first rows and then judged row by row, by the pipeline of\n"
      "the daemon. Labels are used for the final figures alone: how well scores rank faulty rows\n"
      "(VUS-PR, AUC-PR), events found (recall), alerts that meet an event (precision), both (F1),\n"
      "the NAB score, alert rate on normal rows, false alerts per 10 000 rows, and the median\n"
      "delay in rows. MACRO is the mean over groups. docs/evaluation.md has all definitions.\n\n"
      "With several --kinds or --seeds, each run has its own folder below --out, and its name is\n"
      "added to the files of --json and --report.\n\n"
      "Examples:\n"
      "  anomalyctl evaluate --csv pumps.csv --series pump --labels incidents.csv --train 0.3\n"
      "  anomalyctl evaluate --data DIR --only smd,asd --model pca --json pca.json\n"
      "  anomalyctl evaluate --data DIR --jobs 2 --report evaluation.html\n"
      "  anomalyctl evaluate --data DIR --kinds auto,pca,vae --seeds 3\n"
      "  anomalyctl evaluate --data DIR --retrain 3 --json retrained.json\n"
      "  anomalyctl evaluate --compare pca.json auto.json");
  add_input(*command, *arguments);
  command->add_option("--out", arguments->out, "Folder for the scores")->capture_default_str();
  command->add_option("--json", arguments->json, "Write all figures to this file");
  command->add_option("--report", arguments->report, "Draw every series on this HTML page");
  arguments->detection.add_to(*command);
  add_runs(*command, *arguments);
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
