#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "tools/commands.hpp"
#include "tools/feedback_preview.hpp"
#include "tools/model_place.hpp"

namespace anomalyd::tools {
namespace {

using runtime::Feedback;
using runtime::FeedbackRequest;

struct Arguments {
  ModelPlace place;
  std::string incident;
  std::string verdict;
  std::string name;
  bool preview = false;
  int days = 7;
};

/// By the daemon that runs, else in the folder.
Result<Feedback> give(const Arguments& arguments, const FeedbackRequest& request) {
  const auto address = arguments.place.daemon();
  if (!address) return Failure{address.error()};
  if (!address->empty()) {
    const auto answer =
        command_daemon(*address, "/feedback", {"application/json", to_json(request)});
    if (!answer) return Failure{answer.error()};
    return runtime::parse_feedback(*answer);
  }
  const auto state = OwnedState::take(arguments.place.state_dir);
  if (!state) return Failure{state.error()};
  auto feedback = runtime::feedback_of(request, arguments.place.state_dir, system_clock().wall());
  if (!feedback) return feedback;
  auto kept =
      runtime::give_feedback(*feedback, request.by, arguments.place.state_dir, *state->audit);
  if (!kept) return Failure{std::move(kept.error())};
  return feedback;
}

int run(const Arguments& arguments) {
  const auto verdict = runtime::parse_verdict(arguments.verdict);
  if (!verdict) return report(verdict.error());
  const FeedbackRequest request{arguments.incident, *verdict, arguments.name, user_name()};
  if (arguments.preview) {
    const auto shown = preview_feedback(arguments.place, request, arguments.days);
    if (!shown) return report(shown.error());
    fmt::print("{}", *shown);
    return kOk;
  }
  const auto kept = give(arguments, request);
  if (!kept) return report(kept.error());
  const bool benign = kept->verdict == Feedback::Verdict::kBenign;
  fmt::print("incident {} of {}, {} to {}, is {}: {}\n", kept->incident, kept->series,
             to_rfc3339(kept->start), to_rfc3339(kept->end), class_of(*kept),
             benign ? "its rows will be learned from" : "its rows will be left out of learning");
  return kOk;
}

}  // namespace

void add_feedback(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("feedback", "Say that an incident was harmless, or a fault");
  command->footer(
      "It counts from the next retraining on: rows of a harmless incident are learned from, those\n"
      "of a fault never. Said again, the last word holds.\n\n"
      "Examples:\n"
      "  anomalyctl feedback 7c1f benign --name backup --config anomalyd.yaml --preview\n"
      "  anomalyctl feedback 7c1f benign --name backup --config anomalyd.yaml\n"
      "  anomalyctl feedback 03ab fault --name pump --state /var/lib/anomalyd");
  command->add_option("incident", arguments->incident, "Id, or its beginning")->required();
  command->add_option("verdict", arguments->verdict, "benign or fault")
      ->required()
      ->check(CLI::IsMember({"benign", "fault"}));
  command->add_option("--name", arguments->name, "What it was: backup, pump");
  command->add_flag("--preview", arguments->preview,
                    "Change nothing; show which incidents would not have opened");
  command->add_option("--days", arguments->days, "That --preview looks back")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
  arguments->place.add_to(*command);
  command->callback([&chosen, arguments] {
    chosen = [arguments]() -> int {
      if (auto known = arguments->place.complete(); !known) return report(known.error());
      return run(*arguments);
    };
  });
}

}  // namespace anomalyd::tools
