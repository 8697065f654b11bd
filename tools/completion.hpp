#pragma once

#include <string>

namespace CLI {
class App;
}

namespace anomalyd::tools {

// Shell completion scripts for the subcommands and options of `app`, found by walking it.
[[nodiscard]] std::string bash_completion(const CLI::App& app);
[[nodiscard]] std::string zsh_completion(const CLI::App& app);
[[nodiscard]] std::string fish_completion(const CLI::App& app);

}  // namespace anomalyd::tools
