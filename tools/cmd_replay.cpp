#include <fmt/format.h>
#include <fmt/os.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "connectors/codec/alert_encoder.hpp"
#include "models/torch_models.hpp"
#include "tools/commands.hpp"
#include "tools/detection_arguments.hpp"
#include "tools/fault_report.hpp"
#include "tools/feed_arguments.hpp"
#include "tools/incident_table.hpp"
#include "tools/interrupt.hpp"
#include "tools/pipeline_run.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

struct Arguments {
  DetectionArguments detection;
  FeedArguments feed;
  std::vector<std::string> checkpoints;
  std::string scores;
  TruthArguments truth;
  bool as_json = false;
  bool details = false;
};

/// Takes what the pipeline says: scores to a file, alerts to the screen or a table.
class Findings {
 public:
  explicit Findings(const Arguments& arguments) : arguments_{arguments} {}

  Status open_scores() {
    if (arguments_.scores.empty()) return {};
    try {
      scores_.emplace(fmt::output_file(arguments_.scores));
      scores_->print("series,time,score,threshold,pvalue,alert\n");
    } catch (const std::exception& error) {
      return fail(ErrorKind::kInvalid, arguments_.scores + ": " + error.what());
    }
    return {};
  }
  void on_verdict(std::string_view series, EventTime time, const pipeline::Verdict& verdict) {
    if (!scores_) return;
    scores_->print("{},{},{:.7g},{:.7g},{:.4g},{}\n", series, to_rfc3339(time), verdict.score,
                   verdict.threshold, verdict.p_value, verdict.alert ? 1 : 0);
  }
  void on_alert(const Alert& alert) {
    book_.add(alert);
    if (arguments_.as_json) fmt::print("{}\n", encoder_.encode(alert));
  }
  [[nodiscard]] const IncidentBook& book() const { return book_; }

 private:
  const Arguments& arguments_;
  std::optional<fmt::ostream> scores_;
  connectors::AlertEncoder encoder_;
  IncidentBook book_;
};

void show_table(const IncidentBook& book, const Arguments& arguments) {
  const Colour colour = isatty(STDOUT_FILENO) != 0 ? Colour::kAnsi : Colour::kNone;
  fmt::print("{}\n", incident_header());
  for (const Alert& incident : book.incidents()) {
    fmt::print("{}\n", incident_line(incident, colour));
    if (arguments.details) fmt::print("{}", incident_details(incident));
  }
}

Status replay(SampleFeed& feed, PipelineRun& run) {
  auto replayed =
      pump_all(feed, "replaying", [&](const SampleBlock& block) { return run.ingest(block); });
  return replayed && !interrupted() ? run.finish() : replayed;
}

int run(const Arguments& arguments) {
  const auto options = arguments.detection.options();
  if (!options) return report(options.error());
  const auto known = arguments.truth.load();
  if (!known) return report(known.error());
  auto feed = arguments.feed.open(*options, DatasetPart::kAll);
  if (!feed) return report(feed.error());
  auto factory = models::TorchModelFactory::create(options->model);
  if (!factory) return report(factory.error());

  Findings findings{arguments};
  if (auto opened = findings.open_scores(); !opened) return report(opened.error());
  PipelineRun::Events events;
  events.verdict = [&](auto series, auto time, const auto& verdict) {
    findings.on_verdict(series, time, verdict);
  };
  events.alert = [&](const Alert& alert) { findings.on_alert(alert); };
  events.learned = [](const pipeline::Learned& learned) {
    fmt::print(stderr, "learned {} {} from {} series in {}\n", learned.group->info.kind,
               learned.group->info.version, learned.group->series.size(),
               short_duration(learned.report.seconds));
  };
  PipelineRun pipeline{options->pipeline, **factory, std::move(events)};
  for (const std::string& checkpoint : arguments.checkpoints) {
    if (auto loaded = pipeline.load(checkpoint); !loaded) return report(loaded.error());
  }
  if (auto replayed = replay(**feed, pipeline); !replayed) return report(replayed.error());

  if (*known) {
    fmt::print("{}",
               report_table(compare(findings.book(), **known), options->pipeline.budget.text()));
  } else if (!arguments.as_json) {
    show_table(findings.book(), arguments);
  }
  const auto counters = pipeline.counters();
  fmt::print(stderr, "{} samples, {} windows judged, {} incidents, {} data faults, {} rejected\n",
             counters.samples, counters.windows_judged, counters.incidents_opened,
             counters.data_faults, (*feed)->num_rejected());
  return kOk;
}

}  // namespace

void add_replay(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("replay", "Run the daemon's pipeline over old records or files");
  command->footer(
      "As fast as it goes, and with the same scores as live. Nothing is published or committed.\n"
      "Without a checkpoint it learns first, as the daemon does.\n\n"
      "Examples:\n"
      "  anomalyctl replay --config anomalyd.yaml --from 2026-11-18\n"
      "  anomalyctl replay --config anomalyd.yaml samples.ndjson --scores scores.csv\n"
      "  anomalyctl replay --data DIR --only smd --checkpoint smd.ckpt --json");
  arguments->detection.add_to(*command);
  arguments->feed.add_to(*command);
  command
      ->add_option("--checkpoint", arguments->checkpoints,
                   "Judge with these, learn what else there is")
      ->check(CLI::ExistingFile);
  command->add_option("--scores", arguments->scores, "Write every score to this CSV file");
  arguments->truth.add_to(*command);
  command->add_flag("--json", arguments->as_json, "Alerts as CloudEvents, one per line");
  command->add_flag("--details", arguments->details, "Explain every incident");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
