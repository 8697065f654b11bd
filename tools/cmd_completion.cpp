#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "tools/commands.hpp"
#include "tools/completion.hpp"

namespace anomalyd::tools {

void add_completion(CLI::App& app, Command& chosen) {
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->footer("Example:\n  source <(anomalyctl completion bash)");
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, &chosen, shell] {
    chosen = [&app, shell] {
      if (*shell == "bash") std::cout << bash_completion(app);
      if (*shell == "zsh") std::cout << zsh_completion(app);
      if (*shell == "fish") std::cout << fish_completion(app);
      return kOk;
    };
  });
}

}  // namespace anomalyd::tools
