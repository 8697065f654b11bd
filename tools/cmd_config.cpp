#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "config/describe.hpp"
#include "config/json_schema.hpp"
#include "daemon/wiring.hpp"
#include "tools/commands.hpp"
#include "tools/kafka_arguments.hpp"

namespace anomalyd::tools {
namespace {

void add_file_command(CLI::App& config, Command& chosen, const char* name, const char* help,
                      std::string (*text)(const config::Loaded&)) {
  CLI::App* command = config.add_subcommand(name, help);
  const auto file = std::make_shared<std::string>();
  command->add_option("file", *file, "Configuration file")->required();
  command->callback([&chosen, file, text] {
    chosen = [file, text]() -> int {
      const config::Loaded loaded = config::load_file(*file, context_of_parts());
      if (!check_and_report(loaded)) return kBadConfig;
      fmt::print("{}", text(loaded));
      return kOk;
    };
  });
}

void add_text_command(CLI::App& config, Command& chosen, const char* name, const char* help,
                      std::string (*text)()) {
  config.add_subcommand(name, help)->callback([&chosen, text] {
    chosen = [text] {
      fmt::print("{}", text());
      return kOk;
    };
  });
}

void add_explain(CLI::App& config, Command& chosen) {
  CLI::App* command = config.add_subcommand("explain", "What an option or a section means");
  const auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "For example window or alerts.budget; everything if left out");
  command->callback([&chosen, name] {
    chosen = [name]() -> int {
      const auto text = config::explain(*name);
      if (!text) return report(text.error());
      fmt::print("{}", *text);
      return kOk;
    };
  });
}

}  // namespace

void add_config(CLI::App& app, Command& chosen) {
  CLI::App* config = app.add_subcommand("config", "Check, print and explain configurations");
  config->require_subcommand(1);
  config->footer(
      "Examples:\n"
      "  anomalyctl config check anomalyd.yaml\n"
      "  anomalyctl config explain alerts\n"
      "  anomalyctl config schema > anomalyd.schema.json   # for editors");
  add_file_command(*config, chosen, "check", "Say all that is wrong with a file",
                   [](const config::Loaded& loaded) { return loaded.file + " is valid\n"; });
  add_file_command(*config, chosen, "print", "The effective values and where each came from",
                   config::print);
  add_explain(*config, chosen);
  add_text_command(*config, chosen, "schema", "JSON Schema for editors", config::json_schema);
  add_text_command(*config, chosen, "reference", "The reference page in Markdown",
                   config::reference_markdown);
}

}  // namespace anomalyd::tools
