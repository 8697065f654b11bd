#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>

#include "models/torch_models.hpp"
#include "tools/commands.hpp"
#include "tools/contamination.hpp"
#include "tools/detection_arguments.hpp"
#include "tools/evaluation.hpp"
#include "tools/figures.hpp"
#include "tools/interrupt.hpp"
#include "tools/pace.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  DetectionArguments detection;
  std::string data;
  std::string out = "build/evaluation";
  std::string only;
  std::string json;
  std::vector<std::string> checkpoints;
  std::string budget = "1 per series per 1000 rows";  // series of unknown time scale: count rows
  std::size_t jobs = 1;
  std::size_t block_rows = 4096;
  double contaminate = 0;
};

/// Evaluates the series of a folder on several threads, each with a model factory of its own.
class Evaluation {
 public:
  Evaluation(const Arguments& arguments, const Dataset& dataset, config::Options options)
      : arguments_{arguments}, dataset_{dataset}, options_{std::move(options)} {
    options_.model.threads = 1;  // the jobs are the parallelism
    figures_.resize(dataset.entries().size());
    order_.resize(dataset.entries().size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::ranges::stable_sort(order_,
                             std::greater<>{},  // the longest first, so that jobs end together
                             [&](std::size_t i) { return dataset.entries()[i].rows; });
  }

  Status run();
  [[nodiscard]] const std::vector<SeriesFigures>& figures() const { return figures_; }

 private:
  void work();
  Result<SeriesFigures> evaluate(const Dataset::Entry& entry, ModelFactory& factory);
  void show_progress();

  const Arguments& arguments_;
  const Dataset& dataset_;
  config::Options options_;
  std::vector<std::size_t> order_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> rows_done_{0};
  std::atomic<std::size_t> series_done_{0};
  std::atomic<std::size_t> working_{0};
  std::vector<SeriesFigures> figures_;  // each entry is written by one job
  std::mutex mutex_;
  std::optional<Error> first_error_;  // guarded by mutex_
};

Status Evaluation::run() {
  const std::size_t jobs = std::min(arguments_.jobs, std::max<std::size_t>(order_.size(), 1));
  working_ = jobs;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < jobs; ++i) {
    threads.emplace_back([this] {
      work();
      --working_;
    });
  }
  show_progress();
  threads.clear();
  if (first_error_) return Failure{*first_error_};
  return {};
}

void Evaluation::work() {
  auto factory = models::TorchModelFactory::create(options_.model);
  while (!interrupted()) {
    const std::size_t turn = next_++;
    if (turn >= order_.size()) return;
    const Dataset::Entry& entry = dataset_.entries()[order_[turn]];
    auto result = factory ? evaluate(entry, **factory) : Failure{factory.error()};
    if (!result) {
      const std::lock_guard lock{mutex_};
      if (!first_error_) first_error_ = std::move(result.error()).while_doing(entry.id());
      next_ = order_.size();
      return;
    }
    figures_[order_[turn]] = *std::move(result);
    ++series_done_;
  }
}

Result<SeriesFigures> Evaluation::evaluate(const Dataset::Entry& entry, ModelFactory& factory) {
  auto series = dataset_.read(entry);
  if (!series) return Failure{series.error()};
  contaminate(*series, entry.id(), entry.train_end,
              {.share = arguments_.contaminate, .seed = options_.model.seed});
  std::size_t told = 0;
  const auto scored =
      score_series(*series, entry.id(), entry.train_end,
                   {.pipeline = options_.pipeline,
                    .checkpoints = {arguments_.checkpoints.begin(), arguments_.checkpoints.end()},
                    .block_rows = arguments_.block_rows},
                   factory, [&](std::size_t rows) {
                     rows_done_ += rows - told;
                     told = rows;
                   });
  if (!scored) return Failure{scored.error()};
  const auto path = std::filesystem::path{arguments_.out} / entry.group / (entry.entity + ".csv");
  if (auto written = write_scores(path, *series, *scored); !written) {
    return Failure{written.error()};
  }
  const auto test = [&](const std::vector<std::uint8_t>& rows) {
    return std::span{rows}.subspan(entry.train_end);
  };
  return SeriesFigures{.group = entry.group,
                       .entity = entry.entity,
                       .rows = series->size() - entry.train_end,
                       .figures = measure(test(series->labels), test(scored->alerts))};
}

void Evaluation::show_progress() {
  std::size_t total = 0;
  for (const auto& entry : dataset_.entries()) total += entry.rows;
  Progress progress{"evaluating", "rows", total};
  while (working_ > 0) {
    progress.update(rows_done_, fmt::format("{} of {} series", series_done_.load(), order_.size()));
    wait_unless(interrupted(), std::chrono::milliseconds{100});
  }
  progress.update(rows_done_, fmt::format("{} of {} series", series_done_.load(), order_.size()));
}

int run(const Arguments& arguments) {
  auto options = arguments.detection.options();
  if (!options) return report(options.error());
  auto budget = pipeline::AlertBudget::parse(arguments.budget);
  if (!budget) return report(std::move(budget.error()).while_doing("--budget"));
  options->pipeline.budget = *budget;
  auto dataset = Dataset::open(arguments.data);
  if (!dataset) return report(dataset.error());
  if (auto kept = dataset->keep_only(arguments.only); !kept) return report(kept.error());

  Evaluation evaluation{arguments, *dataset, *std::move(options)};
  if (auto done = evaluation.run(); !done) return report(done.error());
  if (interrupted()) return kFailed;
  fmt::print("{}", figures_table(by_group(evaluation.figures())));
  fmt::print("scores: {}/<group>/<entity>.csv\n", arguments.out);
  if (arguments.json.empty()) return kOk;
  std::ofstream file{arguments.json};
  if (!(file << figures_json(evaluation.figures()) << '\n').flush()) {
    return report({ErrorKind::kInvalid, arguments.json + ": cannot be written"});
  }
  return kOk;
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Score labelled series and measure how well faults are found");
  command->footer(
      "Each series is learned from its rows before `train_end` and then judged row by row, by the\n"
      "pipeline of the daemon. Labels are used for the final figures alone: events found "
      "(recall),\n"
      "alerts that meet an event (precision), both (F1), alert rate on normal rows, false alerts\n"
      "per 10 000 rows, and the median delay in rows. MACRO is the mean over groups.\n\n"
      "Examples:\n"
      "  anomalyctl evaluate --data DIR --out scores --jobs 2\n"
      "  anomalyctl evaluate --data DIR --only smd,asd --model pca --json figures.json");
  command->add_option("--data", arguments->data, "Folder with manifest.json and gzip CSV files")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("--out", arguments->out, "Folder for the scores")->capture_default_str();
  command->add_option("--only", arguments->only, "Groups or entities, with commas between them");
  command->add_option("--jobs", arguments->jobs, "Series at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--json", arguments->json, "Write all figures to this file");
  command->add_option("--checkpoint", arguments->checkpoints, "Judge with these, learn none")
      ->check(CLI::ExistingFile);
  command->add_option("--budget", arguments->budget, "In place of alerts.budget")
      ->capture_default_str();
  command->add_option("--block", arguments->block_rows, "Rows scored at once; changes no score")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command
      ->add_option("--contaminate", arguments->contaminate,
                   "Spoil this share of the rows learned from with bursts, by --seed")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  arguments->detection.add_to(*command);
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
