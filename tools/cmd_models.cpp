#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/model_control.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/model_package.hpp"
#include "daemon/runtime/rebuild.hpp"
#include "tools/commands.hpp"
#include "tools/model_place.hpp"
#include "tools/model_table.hpp"
#include "tools/training_bar.hpp"
#include "tools/version_options.hpp"
#include "tools/workbench.hpp"

namespace anomalyd::tools {
namespace {

using nlohmann::json;
using runtime::Manifest;
using runtime::ModelRegistry;
using runtime::ModelRequest;

struct Arguments {
  ModelPlace place;
  std::string group;
  std::string version;
  std::string other;  ///< The second version of diff.
  std::string file;   ///< Of export and import.
  std::string why;
  bool as_json = false;
  bool promote = false;               ///< What is imported.
  std::vector<std::string> excluded;  ///< Incidents that a rebuilt version is not to learn from.
};

/// A group and one of its versions; the champion if none is named.
struct Chosen {
  ModelRegistry::Group group;
  Manifest manifest;
};

using Groups = std::vector<ModelRegistry::Group>;

Result<Chosen> choose(const Groups& groups, const std::string& name, const std::string& version) {
  auto group = find_group(groups, name, version);
  if (!group) return Failure{std::move(group.error())};
  if (version.empty() && !group->champion) {
    return fail(ErrorKind::kInvalid, "group " + group->id + " has no champion; expected a version");
  }
  auto manifest =
      ModelRegistry::version(*group, version.empty() ? group->champion->version : version);
  if (!manifest) return Failure{std::move(manifest.error())};
  return Chosen{std::move(*group), std::move(*manifest)};
}

int list(const Arguments& arguments) {
  const auto groups = arguments.place.groups();
  if (!groups) return report(groups.error());
  fmt::print("{}", arguments.as_json ? to_json(*groups) : version_table(*groups));
  return kOk;
}

int show(const Arguments& arguments) {
  const auto groups = arguments.place.groups();
  if (!groups) return report(groups.error());
  const auto chosen = choose(*groups, arguments.group, arguments.version);
  if (!chosen) return report(chosen.error());
  fmt::print("{}", arguments.as_json ? to_json(chosen->manifest)
                                     : version_details(chosen->group, chosen->manifest));
  return kOk;
}

int diff(const Arguments& arguments) {
  const auto groups = arguments.place.groups();
  if (!groups) return report(groups.error());
  const auto before = choose(*groups, arguments.group, arguments.version);
  if (!before) return report(before.error());
  const auto after = choose(*groups, before->group.key, arguments.other);
  if (!after) return report(after.error());
  fmt::print("{}", version_difference(before->manifest, after->manifest));
  return kOk;
}

int export_to_file(const Arguments& arguments) {
  const auto registry = arguments.place.open();
  if (!registry) return report(registry.error());
  const auto chosen = choose((*registry)->groups(), arguments.group, arguments.version);
  if (!chosen) return report(chosen.error());
  const auto& manifest = chosen->manifest;
  const std::string file = arguments.file.empty() ? manifest.version + ".model" : arguments.file;
  if (auto done = export_version(**registry, manifest, file); !done) return report(done.error());
  fmt::print("{}: version {} of group {}\n", file, manifest.version, chosen->group.id);
  return kOk;
}

/// What a command did, for a person.
void print_promoted(const runtime::Promoted& done, std::string_view what) {
  for (const std::string& warning : done.warnings) {
    fmt::print(stderr, "anomalyctl: warning: {}\n", warning);
  }
  fmt::print("{} {} of group {}{}\n", what, done.version, done.group,
             done.unchanged          ? ": it was so before"
             : done.previous.empty() ? ""
                                     : "; the one before was " + done.previous);
}

Result<runtime::Promoted> parse_promoted(const std::string& text) {
  const json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  try {
    return runtime::Promoted{.group = answer.at("group"),
                             .version = answer.at("version"),
                             .previous = answer.at("previous"),
                             .warnings = answer.at("warnings"),
                             .unchanged = answer.at("unchanged")};
  } catch (const json::exception& error) {
    return fail(ErrorKind::kIncompatible, std::string{"the answer of the daemon: "} + error.what());
  }
}

/// Asks a running daemon.
Result<runtime::Promoted> ask(const std::string& address, const std::string& path,
                              runtime::HttpBody body) {
  const auto answer = command_daemon(address, path, std::move(body));
  if (!answer) return Failure{answer.error()};
  return parse_promoted(*answer);
}

/// Makes a version the champion in a folder that no daemon works on.
Result<runtime::Promoted> promote_in(OwnedState& state, const ModelRegistry::Group& group,
                                     const std::string& version, const std::string& why,
                                     const char* event) {
  auto factory = make_factory({});
  if (!factory) return Failure{std::move(factory.error())};
  const auto loaded = load_version(*state.models, **factory, group, version);
  if (!loaded) {
    state.models->note({"refused", group.key, version, loaded.error().message, user_name(), ""});
    return Failure{loaded.error()};
  }
  runtime::Promoted done{.group = group.id,
                         .version = version,
                         .previous = {},
                         .warnings = warnings_about(loaded->manifest, group),
                         .unchanged = group.champion && group.champion->version == version};
  auto champion = state.models->promote(group.key, version,
                                        {.why = why, .by = user_name(), .since = {}}, event);
  if (!champion) return Failure{std::move(champion.error())};
  done.previous = champion->previous;
  return done;
}

Result<runtime::Promoted> work_on_folder(const Arguments& arguments, const std::string& action,
                                         const std::string& why) {
  auto state = OwnedState::take(arguments.place.state_dir);
  if (!state) return Failure{std::move(state.error())};
  const auto group = find_group(state->models->groups(), arguments.group, arguments.version);
  if (!group) return Failure{group.error()};
  std::string version = arguments.version;
  if (action == "rollback") {
    if (!group->champion || group->champion->previous.empty()) {
      return fail(ErrorKind::kInvalid, "group " + group->id + " has no version to go back to");
    }
    version = group->champion->previous;
  }
  const auto manifest = ModelRegistry::version(*group, version);
  if (!manifest) return Failure{manifest.error()};
  if (action == "promote") return promote_in(*state, *group, manifest->version, why, "promoted");
  if (action == "rollback") {
    return promote_in(*state, *group, manifest->version, why, "rolled_back");
  }
  using Pin = ModelRegistry::Pin;
  auto set = state->models->set_pin(group->key, manifest->version,
                                    action == "pin" ? Pin::kPinned : Pin::kUnpinned, user_name());
  if (!set) return Failure{std::move(set.error())};
  return runtime::Promoted{group->id, manifest->version, {}, {}};
}

void say_where(const Arguments& arguments) {
  fmt::print(stderr, "anomalyctl: no anomalyd works on {}; changing the folder itself\n",
             arguments.place.state_dir);
}

/// promote, rollback, pin or unpin: by the daemon that runs, else on the folder.
int change(const Arguments& arguments, const std::string& action, std::string_view what) {
  const auto address = arguments.place.daemon();
  if (!address) return report(address.error());
  const std::string why = arguments.why.empty() ? "asked for" : arguments.why;
  Result<runtime::Promoted> done;
  if (address->empty()) {
    say_where(arguments);
    done = work_on_folder(arguments, action, why);
  } else {
    ModelRequest request{arguments.group, arguments.version, user_name(), why};
    // The version may tell the group; who may read the folder need not name it.
    const auto groups = arguments.place.groups();
    if (groups) {
      const auto group = find_group(*groups, arguments.group, arguments.version);
      if (!group) return report(group.error());
      request.group = group->key;
    }
    done = ask(*address, "/models/" + action, {"application/json", to_json(request)});
  }
  if (!done) return report(done.error());
  print_promoted(*done, what);
  return kOk;
}

Result<runtime::Promoted> import_into_folder(const Arguments& arguments) {
  auto state = OwnedState::take(arguments.place.state_dir);
  if (!state) return Failure{std::move(state.error())};
  auto factory = make_factory({});
  if (!factory) return Failure{std::move(factory.error())};
  const auto check = [&](const std::filesystem::path& checkpoint, const Manifest& manifest) {
    return check_checkpoint(**factory, checkpoint, manifest);
  };
  auto manifest = import_version(*state->models, arguments.file, user_name(), check);
  if (!manifest) return Failure{std::move(manifest.error())};
  return runtime::Promoted{ModelRegistry::id_of(manifest->group), manifest->version, {}, {}};
}

int import_from_file(const Arguments& arguments) {
  const auto address = arguments.place.daemon();
  if (!address) return report(address.error());
  Result<runtime::Promoted> done;
  if (address->empty()) {
    say_where(arguments);
    done = import_into_folder(arguments);
  } else {
    auto package = runtime::read_whole(arguments.file, runtime::kMaxPackageBytes);
    if (!package) return report(package.error());
    done = ask(*address, "/models/import", {"application/octet-stream", std::move(*package)});
  }
  if (!done) return report(done.error());
  print_promoted(*done, "imported version");
  if (arguments.promote) {
    Arguments next = arguments;
    next.group = done->group;
    next.version = done->version;
    return change(next, "promote", "promoted version");
  }
  fmt::print("it does not serve yet: anomalyctl models promote {}\n", done->version);
  return kOk;
}

/// Trains a version again, away from the state folder, so that a daemon may go on working there.
Result<runtime::Rebuilt> rebuild_version(const Arguments& arguments, const Chosen& chosen,
                                         const ModelRegistry& models, ModelRegistry& bench) {
  const std::filesystem::path state = arguments.place.state_dir;
  const Manifest& manifest = chosen.manifest;
  std::vector<runtime::Exclusion> exclusions;
  for (const std::string& id : arguments.excluded) {
    const auto incident = runtime::IncidentLog{state}.find(id);
    if (!incident) return Failure{incident.error()};
    exclusions.push_back(
        {incident->series, incident->start, incident->end, "incident " + incident->id});
  }
  auto options = options_of(arguments.place, manifest);
  if (!options) return Failure{std::move(options.error())};
  const auto said = runtime::FeedbackStore{state}.read(manifest.created);
  if (!said) return Failure{said.error()};
  options->pipeline.training.labels = labels_of(said->feedback);
  auto factory = make_factory(*options);
  if (!factory) return Failure{std::move(factory.error())};
  auto rows = rows_of_version(models, manifest, state / "reservoir",
                              options->pipeline.training.labels, options->pipeline);
  if (!rows) return Failure{std::move(rows.error())};
  TrainingBar bar;
  auto rebuilt = rebuild({manifest, std::move(*rows), std::move(exclusions), user_name()}, bench,
                         **factory, options->pipeline, bar.callback(), bar.stop_token());
  if (rebuilt) bar.finish();
  return rebuilt;
}

int rebuild(const Arguments& arguments) {
  const auto registry = arguments.place.open();
  if (!registry) return report(registry.error());
  const auto chosen = choose((*registry)->groups(), arguments.group, arguments.version);
  if (!chosen) return report(chosen.error());
  const auto bench = Workbench::make();
  if (!bench) return report(bench.error());
  const auto rebuilt = rebuild_version(arguments, *chosen, **registry, bench->models());
  if (!rebuilt) return report(rebuilt.error());
  if (rebuilt->reproduced) {
    fmt::print("{} rows left out; the weights are those of version {} again: nothing was added\n",
               rebuilt->rows_taken, chosen->manifest.version);
    return kOk;
  }
  fmt::print("{} rows left out of {}\n", rebuilt->rows_taken, chosen->manifest.version);
  Arguments package = arguments;
  package.file = bench->folder() / "rebuilt.model";
  if (auto written = export_version(bench->models(), rebuilt->manifest, package.file); !written) {
    return report(written.error());
  }
  return import_from_file(package);
}

/// Adds `models NAME`. `prepare` adds options to the command.
template <typename Prepare, typename Run>
void add(CLI::App& models, Command& chosen, const char* name, const char* help, Prepare prepare,
         Run run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = models.add_subcommand(name, help);
  prepare(*command, *arguments);
  command->add_option(
      "--group", arguments->group,
      "Channels of the group, or the beginning of its id; only where it is unclear");
  arguments->place.add_to(*command);
  command->callback([&chosen, arguments, run] {
    chosen = [arguments, run]() -> int {
      if (auto known = arguments->place.complete(); !known) return report(known.error());
      return run(*arguments);
    };
  });
}

void add_readers(CLI::App& models, Command& chosen) {
  add(
      models, chosen, "list", "All versions, and which serve",
      [](CLI::App& command, Arguments& arguments) {
        command.add_flag("--json", arguments.as_json, "All manifests");
      },
      list);
  add(
      models, chosen, "show", "Where a version came from and how it was judged",
      [](CLI::App& command, Arguments& arguments) {
        command.add_option("version", arguments.version,
                           "Or its beginning; the champion if not given");
        command.add_flag("--json", arguments.as_json, "The manifest as it is");
      },
      show);
  add(
      models, chosen, "diff", "What differs between two versions",
      [](CLI::App& command, Arguments& arguments) {
        command.add_option("version", arguments.version, "Or its beginning")->required();
        command.add_option("other", arguments.other, "The champion if not given");
      },
      diff);
  add(
      models, chosen, "export", "Write a version into one file, for another host",
      [](CLI::App& command, Arguments& arguments) {
        command.add_option("version", arguments.version, "Or its beginning")->required();
        command.add_option("file", arguments.file, "VERSION.model if not given");
      },
      export_to_file);
}

void add_changers(CLI::App& models, Command& chosen) {
  const auto versioned = [](CLI::App& command, Arguments& arguments) {
    command.add_option("version", arguments.version, "Or its beginning")->required();
    command.add_option("--why", arguments.why, "For the audit log");
  };
  const auto action = [](const char* path, const char* what) {
    return [path, what](const Arguments& arguments) { return change(arguments, path, what); };
  };
  add(models, chosen, "promote", "Let a version serve", versioned,
      action("promote", "promoted version"));
  add(
      models, chosen, "rollback", "Let the version serve that did before",
      [](CLI::App& command, Arguments& arguments) {
        command.add_option("--why", arguments.why, "For the audit log");
      },
      action("rollback", "went back to version"));
  add(models, chosen, "pin", "Keep a version for ever", versioned, action("pin", "pinned version"));
  add(models, chosen, "unpin", "Let a version go when it is old", versioned,
      action("unpin", "unpinned version"));
  add(
      models, chosen, "rebuild", "Train a version again, without the rows of some incidents",
      [](CLI::App& command, Arguments& arguments) {
        command.add_option("version", arguments.version, "Or its beginning")->required();
        command
            .add_option("--exclude", arguments.excluded,
                        "Ids of incidents, or their beginnings; none: to see that the weights are "
                        "the same")
            ->type_name("INCIDENT");
        command.add_flag("--promote", arguments.promote, "And let it serve");
        command.add_option("--why", arguments.why, "For the audit log");
      },
      rebuild);
  add(
      models, chosen, "import", "Add a version that was exported elsewhere",
      [](CLI::App& command, Arguments& arguments) {
        command.add_option("file", arguments.file, "Written by export")
            ->required()
            ->check(CLI::ExistingFile);
        command.add_flag("--promote", arguments.promote, "And let it serve");
        command.add_option("--why", arguments.why, "For the audit log");
      },
      import_from_file);
}

}  // namespace

void add_models(CLI::App& app, Command& chosen) {
  CLI::App* models = app.add_subcommand("models", "Versions of models: look, promote, go back");
  models->require_subcommand(1);
  models->footer(
      "Works on the state folder; what changes something is asked of the daemon that runs on "
      "it.\n\n"
      "Examples:\n"
      "  anomalyctl models list --config anomalyd.yaml\n"
      "  anomalyctl models diff 4f1c 9a0b --state /var/lib/anomalyd\n"
      "  anomalyctl models rollback --config anomalyd.yaml --why 'false alarms since Monday'\n"
      "  anomalyctl models rebuild 9a0b --exclude 7c1f --promote --config anomalyd.yaml\n"
      "  anomalyctl models export 4f1c pump.model && scp pump.model other:");
  add_readers(*models, chosen);
  add_changers(*models, chosen);
}

}  // namespace anomalyd::tools
