#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "daemon/runtime/http_client.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/pace.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

using nlohmann::json;

/// What each version of a model finds of all types of injected faults, a line for each.
std::vector<std::string> self_test_lines(const json& test) {
  struct Sums {
    double trials = 0;
    double found = 0;
  };
  std::map<std::string, Sums> by_version;
  for (const json& of : test.at("figures")) {
    Sums& sums = by_version[of.at("version")];
    const auto trials = of.at("trials").get<double>();
    sums.trials += trials;
    sums.found += trials * of.at("recall").get<double>();
  }
  std::vector<std::string> lines;
  for (const auto& [version, sums] : by_version) {
    lines.push_back(fmt::format("{} finds {:.0f} % of {:.0f} small faults injected into copies",
                                version, 100 * sums.found / sums.trials, sums.trials));
  }
  if (const auto failures = test.at("failures").get<std::uint64_t>(); failures > 0) {
    lines.push_back(fmt::format("{} of {} failed: {}", failures,
                                test.at("samples").get<std::uint64_t>(),
                                test.at("last_failure").get<std::string>()));
  }
  return lines;
}

/// What is under way, and what became of the last one.
std::vector<std::string> retraining_lines(const json& retraining) {
  const auto of = [&](const char* name) { return retraining.at(name).get<std::string>(); };
  std::vector<std::string> lines;
  if (const std::string phase = of("phase"); phase != "idle") {
    lines.push_back(fmt::format("{} {} {:.0f} %, started by {}", phase, of("stage"),
                                100 * retraining.at("share").get<double>(), of("trigger")));
  }
  if (const std::string outcome = of("outcome"); !outcome.empty()) {
    const std::string reason = of("reason");
    lines.push_back(fmt::format("{} {}{}{}: {}", of("version"), outcome, reason.empty() ? "" : ", ",
                                reason, of("sentence")));
  }
  return lines;
}

/// The /status document of the daemon, for a person.
std::string status_screen(const json& status) {
  const json& input = status.at("input");
  const json& judged = status.at("judged");
  const json& readiness = status.at("readiness");
  std::string text = fmt::format("{}\n\n", status.at("line").get<std::string>());
  const auto add = [&](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<12} {}\n", name, value);
  };
  add("up", short_duration(status.at("uptime_seconds")));
  add("budget", status.at("budget"));
  add("series",
      fmt::format("{} ready, {} provisional, {} warming, {} waiting for a model",
                  readiness.at("ready").get<int>(), readiness.at("provisional").get<int>(),
                  readiness.at("warming").get<int>(),
                  readiness.at("waiting_for_model").get<int>()));
  add("input", fmt::format("{} samples, {:.0f}/s, lag {} records", short_count(input.at("samples")),
                           input.at("samples_per_second").get<double>(),
                           input.at("lag").get<std::int64_t>()));
  for (const auto& [reason, count] : input.at("rejected").items()) {
    add("rejected", fmt::format("{} records: {}", count.get<std::int64_t>(), reason));
  }
  add("judged", fmt::format("{} windows, {} incidents opened, {} data faults",
                            short_count(judged.at("windows")),
                            judged.at("incidents_opened").get<std::int64_t>(),
                            judged.at("data_faults").get<std::int64_t>()));
  for (const json& model : status.at("models")) {
    add("model", fmt::format("{} {} on {}, {} channels", model.at("kind").get<std::string>(),
                             model.at("version").get<std::string>(),
                             model.at("device").get<std::string>(), model.at("channels").size()));
    if (const auto choice = model.at("choice").get<std::string>(); !choice.empty()) {
      add("chosen", choice);
    }
  }
  for (const std::string& line : retraining_lines(status.at("retraining"))) add("retraining", line);
  for (const std::string& line : self_test_lines(status.at("self_test"))) add("self-test", line);
  for (const auto& [where, what] : status.at("trouble").items()) {
    if (!what.get<std::string>().empty()) add("trouble", where + ": " + what.get<std::string>());
  }
  return text;
}

int show(const std::string& address, bool as_json) {
  const auto reply = runtime::http_get(address, "/status", std::chrono::seconds{5});
  if (!reply) return report(reply.error());
  if (reply->status != 200) {
    return report({ErrorKind::kUnavailable, fmt::format("http://{}/status: status {}; expected 200",
                                                        address, reply->status)});
  }
  if (as_json) {
    fmt::print("{}\n", reply->body);
    return kOk;
  }
  try {
    fmt::print("{}", status_screen(json::parse(reply->body)));
  } catch (const json::exception& error) {
    return report({ErrorKind::kIncompatible,
                   fmt::format("http://{}/status: {}; expected the status of an anomalyd", address,
                               error.what())});
  }
  return kOk;
}

/// Asks for readiness until it is there. The daemon may not be up yet.
int wait_until_ready(const std::string& address, double seconds) {
  const MonotonicTime end = system_clock().monotonic() +
                            std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
  const auto& stop = interrupted();
  while (true) {
    const auto reply = runtime::http_get(address, "/readyz", std::chrono::seconds{5});
    if (reply && reply->status == 200) return kOk;
    const bool late = system_clock().monotonic() >= end;
    if (late || !wait_unless(stop, std::chrono::milliseconds{200})) {
      return report(
          {ErrorKind::kUnavailable, fmt::format("not ready after {}: {}", short_duration(seconds),
                                                reply ? reply->body : reply.error().message)});
    }
  }
}

}  // namespace

void add_status(CLI::App& app, Command& chosen) {
  struct Arguments {
    std::string address = "127.0.0.1:9464";
    bool as_json = false;
    double wait = 0;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("status", "Readiness, lag and rates of a running daemon");
  command->footer(
      "Examples:\n"
      "  anomalyctl status\n"
      "  anomalyctl status --wait 120 && echo ready\n"
      "  anomalyctl status --json | jq .input.lag");
  command->add_option("address", arguments->address, "host:port of its HTTP (http.listen)")
      ->capture_default_str();
  command->add_flag("--json", arguments->as_json, "The whole document");
  command->add_option("--wait", arguments->wait, "Wait this many seconds for it to be ready")
      ->check(CLI::NonNegativeNumber);
  command->callback([&chosen, arguments] {
    chosen = [arguments]() -> int {
      if (arguments->wait > 0) {
        const int code = wait_until_ready(arguments->address, arguments->wait);
        if (code != kOk) return code;
      }
      return show(arguments->address, arguments->as_json);
    };
  });
}

}  // namespace anomalyd::tools
