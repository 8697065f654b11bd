#pragma once

#include <functional>
#include <string>

#include "daemon/core/result.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// What anomalyctl tells the shell.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,      ///< Something did not work; stderr says what.
  kUsage = 2,       ///< The command line is wrong.
  kBadConfig = 78,  ///< The configuration file is wrong (EX_CONFIG).
};

/// Runs the command that was chosen and returns an ExitCode.
using Command = std::function<int()>;

// Each adds one subcommand to `app`. When it is chosen, it stores what to run in `chosen`.
void add_completion(CLI::App& app, Command& chosen);
void add_config(CLI::App& app, Command& chosen);
void add_disentangle(CLI::App& app, Command& chosen);
void add_embed(CLI::App& app, Command& chosen);
void add_data(CLI::App& app, Command& chosen);
void add_evaluate(CLI::App& app, Command& chosen);
void add_feedback(CLI::App& app, Command& chosen);
void add_fill(CLI::App& app, Command& chosen);
void add_generate(CLI::App& app, Command& chosen);
void add_incidents(CLI::App& app, Command& chosen);
void add_init(CLI::App& app, Command& chosen);
void add_models(CLI::App& app, Command& chosen);
void add_produce(CLI::App& app, Command& chosen);
void add_replay(CLI::App& app, Command& chosen);
void add_retrain(CLI::App& app, Command& chosen);
void add_status(CLI::App& app, Command& chosen);
void add_train(CLI::App& app, Command& chosen);

/// The whole command line of anomalyctl.
void add_all_commands(CLI::App& app, Command& chosen);

/// Prints an error for a person; returns kFailed.
int report(const Error& error);

}  // namespace anomalyd::tools
