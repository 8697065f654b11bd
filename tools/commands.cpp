#include "tools/commands.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

namespace anomalyd::tools {

void add_all_commands(CLI::App& app, Command& chosen) {
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help of every command");
  app.footer(
      "Examples:\n"
      "  anomalyctl init --brokers localhost:9092 --topic metrics   # writes anomalyd.yaml\n"
      "  anomalyd --config anomalyd.yaml                            # learns, then publishes\n"
      "  anomalyctl incidents --brokers localhost:9092 --follow     # what it finds\n"
      "\nExit status: 0 it worked, 1 it did not, 2 wrong usage, 78 wrong configuration.");
  add_init(app, chosen);
  add_config(app, chosen);
  add_status(app, chosen);
  add_incidents(app, chosen);
  add_feedback(app, chosen);
  add_data(app, chosen);
  add_models(app, chosen);
  add_retrain(app, chosen);
  add_train(app, chosen);
  add_evaluate(app, chosen);
  add_replay(app, chosen);
  add_produce(app, chosen);
  add_embed(app, chosen);
  add_generate(app, chosen);
  add_fill(app, chosen);
  add_disentangle(app, chosen);
  add_completion(app, chosen);
}

int report(const Error& error) {
  fmt::print(stderr, "anomalyctl: {}\n", error.message);
  return kFailed;
}

}  // namespace anomalyd::tools
