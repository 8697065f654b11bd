#include "tools/completion.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace anomalyd::tools {
namespace {

/// Calls `visit` for `app` and every subcommand below it, with the words that lead there.
void walk(const CLI::App& app, const std::string& words,
          const std::function<void(const CLI::App&, const std::string&)>& visit) {
  visit(app, words);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    walk(*sub, words + " " + sub->get_name(), visit);
  }
}

std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  auto options = app.get_options([](const CLI::Option* o) { return !o->get_lnames().empty(); });
  return {options.begin(), options.end()};
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

/// The first sentence of a help text, safe inside single quotes and zsh brackets.
std::string short_help(const std::string& help) {
  std::string text = help.substr(0, help.find_first_of(".\n;"));
  std::erase_if(text, [](char c) { return c == '\'' || c == '[' || c == ']' || c == ':'; });
  return text;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  const std::string& name = app.get_name();
  std::string cases;
  walk(app, name, [&](const CLI::App& command, const std::string& words) {
    std::vector<std::string> candidates = subcommand_names(command);
    for (const CLI::Option* option : options_of(command)) {
      candidates.push_back("--" + option->get_lnames().front());
    }
    cases += fmt::format("    '{}') candidates='{}' ;;\n", words, fmt::join(candidates, " "));
  });
  return fmt::format(R"(# bash completion for {0}
_{0}() {{
  local word where='{0}' candidates='' current="${{COMP_WORDS[COMP_CWORD]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    [[ $word == -* ]] || where+=" $word"
  done
  while :; do
    case "$where" in
{1}    esac
    [[ -n $candidates || $where != *' '* ]] && break
    where="${{where% *}}"
  done
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}}
complete -o default -F _{0} {0}
)",
                     name, cases);
}

std::string zsh_completion(const CLI::App& app) {
  const std::string& name = app.get_name();
  std::string cases;
  walk(app, name, [&](const CLI::App& command, const std::string& words) {
    std::string items;
    for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
      items += fmt::format(" '{}:{}'", sub->get_name(), short_help(sub->get_description()));
    }
    for (const CLI::Option* option : options_of(command)) {
      items += fmt::format(" '--{}:{}'", option->get_lnames().front(),
                           short_help(option->get_description()));
    }
    cases += fmt::format("    '{}') candidates=({} ) ;;\n", words, items);
  });
  return fmt::format(R"(#compdef {0}
_{0}() {{
  local word where='{0}'
  local -a candidates
  for word in "${{words[@]:1:CURRENT-2}}"; do
    [[ $word == -* ]] || where+=" $word"
  done
  while :; do
    case "$where" in
{1}    esac
    (( ${{#candidates}} )) && break
    [[ $where == *' '* ]] || break
    where="${{where% *}}"
  done
  _describe '{0}' candidates
  _files
}}
compdef _{0} {0}
)",
                     name, cases);
}

std::string fish_completion(const CLI::App& app) {
  const std::string& name = app.get_name();
  std::string text = "# fish completion for " + name + "\n";
  walk(app, "", [&](const CLI::App& command, const std::string& words) {
    const auto subcommands = subcommand_names(command);
    std::string condition = "__fish_use_subcommand";
    if (!words.empty()) {
      const std::string parent = words.substr(words.rfind(' ') + 1);
      condition = "__fish_seen_subcommand_from " + parent;
      if (!subcommands.empty()) {
        condition +=
            fmt::format("; and not __fish_seen_subcommand_from {}", fmt::join(subcommands, " "));
      }
    }
    for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
      text += fmt::format("complete -c {} -f -n '{}' -a {} -d '{}'\n", name, condition,
                          sub->get_name(), short_help(sub->get_description()));
    }
    for (const CLI::Option* option : options_of(command)) {
      text += fmt::format("complete -c {} -n '{}' -l {}{} -d '{}'\n", name, condition,
                          option->get_lnames().front(), takes_value(*option) ? " -r" : "",
                          short_help(option->get_description()));
    }
  });
  return text;
}

}  // namespace anomalyd::tools
