#include "daemon/runtime/model_loader.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDaemon = "anomalyd";

/// The champion first, then its predecessor, then the others, newest first.
std::vector<std::string> candidates(const ModelRegistry::Group& group) {
  std::vector<std::string> names{group.champion->version};
  if (!group.champion->previous.empty()) names.push_back(group.champion->previous);
  for (auto version = group.versions.rbegin(); version != group.versions.rend(); ++version) {
    if (std::ranges::find(names, version->version) == names.end()) {
      names.push_back(version->version);
    }
  }
  return names;
}

Result<ServiceableModel> load_champion(ModelRegistry& registry, ModelFactory& factory,
                                       const ModelRegistry::Group& group) {
  Error first{ErrorKind::kIncompatible, {}};
  for (const std::string& version : candidates(group)) {
    auto loaded = load_version(registry, factory, group, version);
    if (!loaded) {
      if (loaded.error().retriable()) return loaded;
      if (first.message.empty()) first = std::move(loaded.error());
      continue;
    }
    if (version == group.champion->version) return loaded;
    auto promoted = registry.promote(
        group.key, version, {.why = first.message, .by = kDaemon, .since = {}}, "fell_back");
    if (!promoted) return Failure{std::move(promoted.error())};
    return loaded;
  }
  return Failure{std::move(first)};
}

Result<Manifest> add_copy(ModelRegistry& registry, const fs::path& checkpoint, Manifest manifest,
                          const Adoption& adoption) {
  auto draft = registry.begin();
  if (!draft) return Failure{std::move(draft.error())};
  std::error_code error;
  fs::copy_file(checkpoint, (*draft)->checkpoint(), error);
  if (error) {
    return fail(ErrorKind::kInvalid, checkpoint.string() + ": cannot copy: " + error.message());
  }
  return registry.add(std::move(*draft), std::move(manifest), kDaemon, adoption.event);
}

}  // namespace

Manifest manifest_of(const ModelInfo& info) {
  Manifest manifest;
  manifest.version = info.version;
  manifest.group = pipeline::group_key(info.channels);
  manifest.channels = info.channels;
  manifest.kind = info.kind;
  manifest.choice = info.choice;
  manifest.code_version = code_version();
  return manifest;
}

Result<ServiceableModel> load_checked(ModelFactory& factory, const fs::path& checkpoint,
                                      Manifest expected) {
  auto loaded = factory.load(checkpoint);
  if (!loaded) return Failure{std::move(loaded.error())};
  const ModelInfo& info = loaded->scorer->info();
  const std::string found = pipeline::group_key(info.channels);
  const std::string wanted = pipeline::group_key(expected.channels);
  if (info.version != expected.version || found != wanted) {
    return fail(ErrorKind::kIncompatible, checkpoint.string() + ": found version " + info.version +
                                              " with the channels " + found + "; expected " +
                                              expected.version + " with " + wanted);
  }
  auto group = pipeline::LearnedGroup::from_calibration(info, loaded->extras.calibration);
  if (!group) return fail(std::move(group.error()), checkpoint.string());
  return ServiceableModel{std::move(expected), std::move(*group), std::move(loaded->scorer)};
}

Status check_checkpoint(ModelFactory& factory, const fs::path& checkpoint,
                        const Manifest& expected) {
  auto loaded = load_checked(factory, checkpoint, expected);
  if (!loaded) return Failure{std::move(loaded.error())};
  return {};
}

Result<ServiceableModel> load_version(const ModelRegistry& registry, ModelFactory& factory,
                                      const ModelRegistry::Group& group,
                                      const std::string& version) {
  const std::string action = "loading version " + version + " of group " + group.id;
  const Manifest* manifest = group.find(version);
  if (manifest == nullptr) return fail(ErrorKind::kInvalid, action + ": there is none");
  if (auto verified = registry.verify(group.key, version); !verified) {
    return fail(std::move(verified.error()), action);
  }
  auto loaded = load_checked(factory, registry.checkpoint_path(group.key, version), *manifest);
  if (!loaded) return fail(std::move(loaded.error()), action);
  return loaded;
}

Result<std::vector<ServiceableModel>> load_champions(ModelRegistry& registry,
                                                     ModelFactory& factory) {
  std::vector<ServiceableModel> models;
  for (const ModelRegistry::Group& group : registry.groups()) {
    if (!group.champion) continue;
    auto loaded = load_champion(registry, factory, group);
    if (!loaded) return Failure{std::move(loaded.error())};
    models.push_back(std::move(*loaded));
  }
  return models;
}

Result<Manifest> adopt_checkpoint(ModelRegistry& registry, ModelFactory& factory,
                                  const fs::path& checkpoint, const Adoption& adoption) {
  auto loaded = factory.load(checkpoint);
  if (!loaded) return Failure{std::move(loaded.error())};
  Manifest manifest = manifest_of(loaded->scorer->info());
  manifest.reason = adoption.reason;
  manifest.code_version.clear();  // of another program, perhaps
  std::error_code error;
  if (const auto written = fs::last_write_time(checkpoint, error); !error) {
    manifest.created =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::file_clock::to_sys(written));
  }
  auto group = registry.group(manifest.group);
  const Manifest* known = group ? group->find(manifest.version) : nullptr;
  auto added = known != nullptr ? Result<Manifest>{*known}
                                : add_copy(registry, checkpoint, std::move(manifest), adoption);
  if (!added || (group && group->champion)) return added;
  auto promoted = registry.promote(added->group, added->version,
                                   {.why = adoption.reason, .by = kDaemon, .since = {}});
  if (!promoted) return Failure{std::move(promoted.error())};
  return added;
}

Status adopt_loose_checkpoints(ModelRegistry& registry, ModelFactory& factory) {
  for (const fs::path& path : registry.loose_checkpoints()) {
    auto adopted = adopt_checkpoint(registry, factory, path,
                                    {"found " + path.filename().string(), "migrated"});
    if (!adopted) return fail(std::move(adopted.error()), "loading the model " + path.string());
    std::error_code ignored;
    const auto sum = sha256_of_file(path);
    if (sum && *sum == adopted->sha256) fs::remove(path, ignored);
  }
  return {};
}

std::vector<std::string> warnings_about(const Manifest& manifest,
                                        const ModelRegistry::Group& group) {
  std::vector<std::string> warnings;
  const GateVerdict gate = gate_verdict(manifest);
  if (gate.outcome.empty()) {
    warnings.emplace_back("no promotion gate has judged it");
  } else if (gate.outcome != "passed") {
    warnings.push_back("the promotion gate said " + gate.outcome +
                       (gate.reason.empty() ? "" : ": " + gate.reason));
  }
  const Manifest* champion = group.champion ? group.find(group.champion->version) : nullptr;
  if (champion != nullptr && manifest.created < champion->created) {
    warnings.push_back("it is older than the champion " + champion->version);
  }
  return warnings;
}

}  // namespace anomalyd::runtime
