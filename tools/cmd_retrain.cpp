#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/model_control.hpp"
#include "tools/commands.hpp"
#include "tools/feed_arguments.hpp"
#include "tools/interrupt.hpp"
#include "tools/model_place.hpp"
#include "tools/offline_retraining.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

struct Arguments {
  ModelPlace place;
  FeedArguments feed;
  std::string group;
  std::string why;
  bool promote = false;
  bool dry_run = false;
  bool wait = false;
  bool as_json = false;
};

/// Shows what came of it.
int tell(const json& retraining, const Arguments& arguments) {
  fmt::print("{}", arguments.as_json ? retraining.dump(2) + "\n" : retraining_text(retraining));
  const std::string outcome = retraining.at("outcome");
  return outcome == "promoted" || outcome == "passed" ? kOk : kFailed;
}

/// What the daemon says of retraining. Errors: kUnavailable.
Result<json> retraining(const std::string& address) {
  const auto reply = runtime::http_get(address, "/status", 10s);
  if (!reply) return Failure{reply.error()};
  const json status = json::parse(reply->body, nullptr, false);
  if (!status.is_object() || !status.contains("retraining")) {
    return fail(ErrorKind::kUnavailable, "/status of " + address + " tells nothing of retraining");
  }
  return status.at("retraining");
}

/// Shows how it goes until run `number` has ended, and then what came of it.
int follow(const std::string& address, std::uint64_t number, const Arguments& arguments) {
  constexpr std::size_t kSteps = 100;
  Progress progress{"retraining", "", kSteps};
  while (!interrupted()) {
    const auto now = retraining(address);
    if (!now) return report(now.error());
    const std::string phase = now->at("phase");
    const std::uint64_t runs = now->at("runs");
    if (runs >= number && phase == "idle") {
      progress.finish();
      return tell(*now, arguments);
    }
    const double share = now->at("share");
    progress.update(static_cast<std::size_t>(share * static_cast<double>(kSteps)),
                    runs < number ? "waits" : phase + " " + now->at("stage").get<std::string>());
    std::this_thread::sleep_for(500ms);
  }
  return kFailed;
}

int ask(const std::string& address, const Arguments& arguments) {
  const auto before = retraining(address);
  if (!before) return report(before.error());
  const runtime::ModelRequest request{arguments.group, "", user_name(), arguments.why};
  const auto asked =
      command_daemon(address, "/models/retrain", {"application/json", to_json(request)});
  if (!asked) return report(asked.error());
  if (!arguments.wait && !arguments.as_json) {
    fmt::print("asked for; `anomalyctl status` tells how it goes\n");
    return kOk;
  }
  const bool busy = before->at("phase") != "idle";
  return follow(address, before->at("runs").get<std::uint64_t>() + (busy ? 2 : 1), arguments);
}

int train_here(const Arguments& arguments) {
  const auto done = retrain_offline({arguments.place, arguments.feed, arguments.group,
                                     arguments.why.empty() ? "asked for" : arguments.why,
                                     arguments.promote, arguments.dry_run});
  if (!done) return report(done.error());
  const int code = tell(*done, arguments);
  if (arguments.as_json) return code;
  const std::string version = done->at("version");
  if (arguments.dry_run) {
    fmt::print("a dry run: nothing was kept\n");
  } else if (done->at("outcome") == "passed") {
    fmt::print("it does not serve yet: anomalyctl models promote {}\n", version);
  } else if (code != kOk) {
    fmt::print("the champion stays; to let it serve all the same: anomalyctl models promote {}\n",
               version);
  }
  return code;
}

int run(const Arguments& arguments) {
  if (arguments.dry_run) {
    if (arguments.place.address.empty()) return train_here(arguments);
    return report({ErrorKind::kInvalid,
                   "found --dry-run with --address; expected the state folder alone, which is "
                   "trained from here, daemon or not"});
  }
  const auto address = arguments.place.daemon();
  if (!address) return report(address.error());
  if (address->empty()) {
    fmt::print(stderr, "anomalyctl: no anomalyd works on {}; training here\n",
               arguments.place.state_dir);
    return train_here(arguments);
  }
  if (arguments.feed.given()) {
    return report({ErrorKind::kInvalid,
                   "found files, --data, --from or --until; expected none of them where a daemon "
                   "runs (" +
                       *address +
                       "), which learns from the rows that it has kept. Stop it "
                       "first, or see with --dry-run what would come of it"});
  }
  return ask(*address, arguments);
}

}  // namespace

void add_retrain(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("retrain", "Learn the model of a group anew");
  command->footer(
      "By the daemon that runs: the new version becomes the champion if it passes the gate and "
      "the\n"
      "shadow. Without one, here, with the same code: a replay of the newest rows takes the place "
      "of\nthe shadow. Rows come from the reservoir of the state folder, or from files or topics; "
      "of those\nall count as normal but for known incidents.\n\n"
      "Examples:\n"
      "  anomalyctl retrain --config anomalyd.yaml --wait\n"
      "  anomalyctl retrain --config anomalyd.yaml --dry-run\n"
      "  anomalyctl retrain --state /var/lib/anomalyd --promote\n"
      "  anomalyctl retrain --config anomalyd.yaml --from 2026-11-01 --until 2026-11-15 --promote\n"
      "  anomalyctl retrain --group 4f1c --why 'new cooling'");
  arguments->place.add_to(*command);
  arguments->feed.add_to(*command);
  command->add_option("--group", arguments->group,
                      "Key or beginning of the id; may be left out where there is one group");
  command->add_option("--why", arguments->why, "For the audit log");
  CLI::Option* promote = command->add_flag(
      "--promote", arguments->promote,
      "Without a daemon: let it serve if it passes. A daemon does so in any case");
  command
      ->add_flag("--dry-run", arguments->dry_run,
                 "Train and judge here, whether a daemon runs or not, and keep nothing")
      ->excludes(promote);
  command->add_flag("--wait", arguments->wait,
                    "For a daemon: show how it goes, and end with it. Without one it always waits");
  command->add_flag("--json", arguments->as_json, "The report as JSON; waits for it");
  command->callback([&chosen, arguments] {
    chosen = [arguments] {
      if (auto complete = arguments->place.complete(); !complete) return report(complete.error());
      return run(*arguments);
    };
  });
}

}  // namespace anomalyd::tools
