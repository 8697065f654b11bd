#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "tools/commands.hpp"

int main(int argc, char** argv) try {
  CLI::App app{"Works with anomalyd: sets it up, trains, evaluates, replays and watches it.",
               "anomalyctl"};
  anomalyd::tools::Command chosen;
  anomalyd::tools::add_all_commands(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = app.exit(error) == 0;
    return asked_for_help ? anomalyd::tools::kOk : anomalyd::tools::kUsage;
  }
  return chosen();
} catch (const std::exception& error) {
  std::fprintf(stderr, "anomalyctl: %s\n", error.what());
  return anomalyd::tools::kFailed;
}
