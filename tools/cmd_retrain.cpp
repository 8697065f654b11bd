#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/model_control.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/model_place.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

struct Arguments {
  ModelPlace place;
  std::string group;
  std::string why;
  bool wait = false;
};

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
int follow(const std::string& address, std::uint64_t number) {
  constexpr std::size_t kSteps = 100;
  Progress progress{"retraining", "", kSteps};
  while (!interrupted()) {
    const auto now = retraining(address);
    if (!now) return report(now.error());
    const std::string phase = now->at("phase");
    const std::uint64_t runs = now->at("runs");
    if (runs >= number && phase == "idle") {
      progress.finish();
      if (const std::string table = now->at("gate"); !table.empty()) fmt::print("{}\n", table);
      const std::string outcome = now->at("outcome"), reason = now->at("reason");
      fmt::print("{} {}{}{}\n{}\n", now->at("version").get<std::string>(), outcome,
                 reason.empty() ? "" : ": ", reason, now->at("sentence").get<std::string>());
      return outcome == "promoted" ? kOk : kFailed;
    }
    const double share = now->at("share");
    progress.update(static_cast<std::size_t>(share * static_cast<double>(kSteps)),
                    runs < number ? "waits" : phase + " " + now->at("stage").get<std::string>());
    std::this_thread::sleep_for(500ms);
  }
  return kFailed;
}

int run(const Arguments& arguments) {
  const auto address = arguments.place.daemon();
  if (!address) return report(address.error());
  if (address->empty()) {
    return report({ErrorKind::kUnavailable,
                   "no daemon runs on " + arguments.place.state_dir +
                       "; expected one, which keeps the rows to learn from. `anomalyctl train` "
                       "learns a checkpoint without one"});
  }
  const auto before = retraining(*address);
  if (!before) return report(before.error());
  const runtime::ModelRequest request{arguments.group, "", user_name(), arguments.why};
  const auto reply =
      runtime::http_post(*address, "/models/retrain", {"application/json", to_json(request)}, 10s);
  if (!reply) return report(reply.error());
  if (reply->status != 200) {
    const json answer = json::parse(reply->body, nullptr, false);
    return report({ErrorKind::kInvalid,
                   answer.is_object() ? answer.value("error", reply->body) : reply->body});
  }
  if (!arguments.wait) {
    fmt::print("asked for; `anomalyctl status` tells how it goes\n");
    return kOk;
  }
  const bool busy = before->at("phase") != "idle";
  return follow(*address, before->at("runs").get<std::uint64_t>() + (busy ? 2 : 1));
}

}  // namespace

void add_retrain(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("retrain", "Have a running daemon learn its model anew");
  command->footer(
      "The new version becomes the champion only if it passes the gate and the shadow.\n\n"
      "Examples:\n"
      "  anomalyctl retrain --config anomalyd.yaml --wait\n"
      "  anomalyctl retrain --group 4f1c --why 'new cooling'");
  arguments->place.add_to(*command);
  command->add_option("--group", arguments->group,
                      "Key or beginning of the id; may be left out where there is one group");
  command->add_option("--why", arguments->why, "For the audit log");
  command->add_flag("--wait", arguments->wait, "Show how it goes, and end with it");
  command->callback([&chosen, arguments] {
    chosen = [arguments] {
      if (auto complete = arguments->place.complete(); !complete) return report(complete.error());
      return run(*arguments);
    };
  });
}

}  // namespace anomalyd::tools
