#include "daemon/runtime/model_registry.hpp"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "daemon/pipeline/learning.hpp"
#include "daemon/runtime/durable_file.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uintmax_t kMaxDocumentBytes = 16 << 20;
constexpr const char* kDraft = ".draft";  // part of the name of what is not finished
constexpr const char* kGroupFile = "group.json";
constexpr const char* kChampionFile = "champion.json";
constexpr std::size_t kIdDigits = 16;

bool is_draft(const fs::path& path) {
  return path.filename().string().find(kDraft) != std::string::npos;
}

bool is_group_id(std::string_view name) {
  return name.size() == kIdDigits && name.find_first_not_of("0123456789abcdef") == name.npos;
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all.empty() ? "none" : all;
}

/// The entries of a folder, in the order of their names. A folder that cannot be read has none.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it{folder, error}, end; !error && it != end; it.increment(error)) {
    paths.push_back(it->path());
  }
  std::ranges::sort(paths);
  return paths;
}

void sort_by_age(std::vector<Manifest>& versions) {
  std::ranges::sort(versions, [](const Manifest& a, const Manifest& b) {
    return std::pair{a.created, std::string_view{a.version}} <
           std::pair{b.created, std::string_view{b.version}};
  });
}

}  // namespace

const Manifest* ModelRegistry::Group::find(std::string_view version) const {
  const auto it = std::ranges::find(versions, version, &Manifest::version);
  return it == versions.end() ? nullptr : &*it;
}

ModelRegistry::Draft::~Draft() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<std::unique_ptr<ModelRegistry>> ModelRegistry::open(fs::path folder, Access access,
                                                           Outside outside) {
  if (access == Access::kWrite) {
    if (auto made = make_folder(folder); !made) return Failure{std::move(made.error())};
  }
  std::error_code error;
  const fs::directory_iterator readable{folder, error};
  if (error) {
    return fail(ErrorKind::kInvalid, folder.string() + ": " + error.message() +
                                         "; expected the folder of models of an anomalyd");
  }
  std::unique_ptr<ModelRegistry> registry{
      new ModelRegistry{std::move(folder), access, std::move(outside)}};
  registry->read();
  return registry;
}

ModelRegistry::ModelRegistry(fs::path folder, Access access, Outside outside)
    : folder_{std::move(folder)}, access_{access}, outside_{std::move(outside)} {}

std::string ModelRegistry::id_of(std::string_view group_key) {
  char id[kIdDigits + 1];
  std::snprintf(id, sizeof id, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(group_key.data(), group_key.size())));
  return id;
}

void ModelRegistry::trouble(std::string sentence) { troubles_.push_back(std::move(sentence)); }

void ModelRegistry::note(const AuditEvent& event) const {
  if (outside_.on_event) outside_.on_event(event);
}

fs::path ModelRegistry::folder_of(std::string_view group_key) const {
  return folder_ / id_of(group_key);
}

void ModelRegistry::read() {
  for (const fs::path& path : entries(folder_)) {
    std::error_code error;
    if (is_draft(path)) {  // of a process that was killed while it wrote
      if (access_ == Access::kWrite) fs::remove_all(path, error);
    } else if (fs::is_directory(path, error)) {
      read_group(path);
    } else if (path.extension() == ".ckpt") {
      loose_.push_back(path);
    } else {
      trouble(path.string() + ": found a stray file; left alone");
    }
  }
}

void ModelRegistry::read_group(const fs::path& folder) {
  if (!is_group_id(folder.filename().string())) {
    return trouble(folder.string() + ": found a stray folder; left alone");
  }
  if (access_ == Access::kWrite) {
    std::error_code ignored;
    for (const fs::path& path : entries(folder)) {
      if (is_draft(path)) fs::remove_all(path, ignored);
    }
  }
  auto text = read_whole(folder / kGroupFile, kMaxDocumentBytes);
  if (!text) return trouble(text.error().message + "; the group is left alone");
  auto channels = parse_channels(*text);
  if (!channels) {
    return trouble((folder / kGroupFile).string() + ": " + channels.error().message +
                   "; the group is left alone");
  }
  Group group{folder.filename().string(),
              pipeline::group_key(*channels),
              std::move(*channels),
              std::nullopt,
              {}};
  if (group.id != id_of(group.key)) {
    return trouble((folder / kGroupFile).string() + ": found the channels " + group.key +
                   ", which belong to " + id_of(group.key) + "; the group is left alone");
  }
  read_versions(folder, group);
  read_champion(folder, group);
  std::string key = group.key;
  groups_.emplace(std::move(key), std::move(group));
}

void ModelRegistry::read_versions(const fs::path& folder, Group& group) {
  for (const fs::path& path : entries(folder)) {
    const std::string name = path.filename().string();
    if (is_draft(path)) continue;
    if (path.extension() == ".ckpt" && !fs::exists(fs::path{path}.replace_extension(".json"))) {
      trouble(path.string() + ": found no manifest beside it; left alone");
    }
    if (path.extension() != ".json" || name == kGroupFile || name == kChampionFile) continue;
    const auto refuse = [&](const std::string& why) {
      trouble(path.string() + ": " + why + "; the version is left out");
    };
    auto text = read_whole(path, kMaxDocumentBytes);
    if (!text) {
      trouble(text.error().message + "; the version is left out");
      continue;
    }
    auto manifest = parse_manifest(*text);
    if (!manifest) {
      refuse(manifest.error().message);
      continue;
    }
    const fs::path checkpoint = fs::path{path}.replace_extension(".ckpt");
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(checkpoint, error);
    if (manifest->version != path.stem() || manifest->group != group.key) {
      refuse("found version " + manifest->version + " of " + manifest->group + "; expected " +
             path.stem().string() + " of " + group.key);
    } else if (error) {
      refuse("its checkpoint: " + error.message());
    } else if (bytes != manifest->bytes) {
      refuse("its checkpoint: found " + std::to_string(bytes) + " bytes; expected " +
             std::to_string(manifest->bytes));
    } else {
      group.versions.push_back(std::move(*manifest));
    }
  }
  sort_by_age(group.versions);
}

void ModelRegistry::read_champion(const fs::path& folder, Group& group) {
  const fs::path path = folder / kChampionFile;
  if (!fs::exists(path)) return;  // before the first promotion
  auto text = read_whole(path, kMaxDocumentBytes);
  if (!text) return fall_back(text.error().message, "", group);
  auto champion = parse_champion(*text);
  if (!champion) return fall_back(path.string() + ": " + champion.error().message, "", group);
  if (group.find(champion->version) == nullptr) {
    return fall_back(path.string() + ": found version " + champion->version +
                         ", which is not there or cannot be used",
                     champion->previous, group);
  }
  if (group.find(champion->previous) == nullptr) champion->previous.clear();
  group.champion = std::move(*champion);
}

void ModelRegistry::fall_back(const std::string& why, const std::string& previous, Group& group) {
  if (group.versions.empty()) {
    return trouble(why + "; no version of the group can be used, and it has no champion");
  }
  const Manifest* heir = group.find(previous);
  if (heir == nullptr) heir = &group.versions.back();
  trouble(why + "; version " + heir->version + " takes its place");
  group.champion = Champion{.version = heir->version,
                            .previous = {},
                            .since = {},
                            .promoted_at = outside_.clock.wall(),
                            .by = "anomalyd",
                            .why = why};
  if (access_ == Access::kRead) return;
  if (auto written = write_durably(folder_ / group.id / kChampionFile, to_json(*group.champion));
      !written) {
    trouble(written.error().message);
  }
  note({"fell_back", group.key, heir->version, why, "anomalyd", ""});
}

std::vector<ModelRegistry::Group> ModelRegistry::groups() const {
  const std::lock_guard lock{mutex_};
  std::vector<Group> all;
  for (const auto& [key, group] : groups_) all.push_back(group);
  return all;
}

Result<ModelRegistry::Group> ModelRegistry::group(std::string_view name) const {
  const std::lock_guard lock{mutex_};
  if (const auto it = groups_.find(std::string{name}); it != groups_.end()) return it->second;
  std::vector<const Group*> fitting;
  std::vector<std::string> ids;
  for (const auto& [key, group] : groups_) {
    if (group.id.starts_with(name)) fitting.push_back(&group);
    ids.push_back(group.id + " (" + group.key + ")");
  }
  if (fitting.size() == 1) return *fitting.front();
  const std::string found = name.empty() ? "no group named" : "group '" + std::string{name} + "'";
  return fail(ErrorKind::kInvalid, found + (fitting.empty() ? " is unknown" : " is ambiguous") +
                                       "; there are: " + joined(ids));
}

Result<Manifest> ModelRegistry::version(const Group& group, std::string_view name) {
  if (const Manifest* exact = group.find(name)) return *exact;
  std::vector<const Manifest*> fitting;
  std::vector<std::string> names;
  for (const Manifest& manifest : group.versions) {
    if (!name.empty() && manifest.version.starts_with(name)) fitting.push_back(&manifest);
    names.push_back(manifest.version);
  }
  if (fitting.size() == 1) return *fitting.front();
  return fail(ErrorKind::kInvalid, "version '" + std::string{name} + "' of group " + group.id +
                                       (fitting.empty() ? " is unknown" : " is ambiguous") +
                                       "; there are: " + joined(names));
}

fs::path ModelRegistry::checkpoint_path(const std::string& group_key,
                                        const std::string& version) const {
  return folder_of(group_key) / (version + ".ckpt");
}

fs::path ModelRegistry::rows_path(const std::string& group_key, const std::string& version) const {
  return folder_of(group_key) / (version + ".rows");
}

std::vector<fs::path> ModelRegistry::loose_checkpoints() const { return loose_; }

Result<std::unique_ptr<ModelRegistry::Draft>> ModelRegistry::begin() const {
  static std::atomic<unsigned> drafts{0};
  const fs::path folder = folder_ / ("version" + std::to_string(drafts++) + kDraft);
  if (auto made = make_folder(folder); !made) return Failure{std::move(made.error())};
  return std::unique_ptr<Draft>{new Draft{folder}};
}

Result<ModelRegistry::Group*> ModelRegistry::make_group(const std::vector<Channel>& channels) {
  std::string key = pipeline::group_key(channels);
  if (const auto it = groups_.find(key); it != groups_.end()) return &it->second;
  const fs::path folder = folder_of(key);
  if (auto made = make_folder(folder); !made) return Failure{std::move(made.error())};
  if (auto synced = sync_folder(folder_); !synced) return Failure{std::move(synced.error())};
  if (auto written = write_durably(folder / kGroupFile, channels_to_json(channels)); !written) {
    return Failure{std::move(written.error())};
  }
  Group group{id_of(key), key, channels, std::nullopt, {}};
  return &groups_.emplace(std::move(key), std::move(group)).first->second;
}

Status ModelRegistry::publish(const Draft& draft, const Manifest& manifest) const {
  // The manifest comes last: with it the version exists.
  if (fs::exists(draft.rows())) {
    auto moved = move_durably(draft.rows(), rows_path(manifest.group, manifest.version));
    if (!moved) return moved;
  }
  auto moved = move_durably(draft.checkpoint(), checkpoint_path(manifest.group, manifest.version));
  if (!moved) return moved;
  return write_durably(folder_of(manifest.group) / (manifest.version + ".json"), to_json(manifest));
}

Result<Manifest> ModelRegistry::add(std::unique_ptr<Draft> draft, Manifest manifest,
                                    std::string_view by, std::string_view event) {
  if (!is_version_name(manifest.version)) {
    return fail(ErrorKind::kInvalid,
                "version '" + manifest.version + "'; expected 1..64 letters, digits, '-' or '_'");
  }
  if (manifest.channels.empty()) {
    return fail(ErrorKind::kInvalid, "version " + manifest.version + " has no channels");
  }
  auto sum = sha256_of_file(draft->checkpoint());
  if (!sum) return Failure{std::move(sum.error())};
  manifest.sha256 = std::move(*sum);
  manifest.bytes = fs::file_size(draft->checkpoint());
  manifest.group = pipeline::group_key(manifest.channels);
  if (manifest.created == EventTime{}) manifest.created = outside_.clock.wall();
  {
    const std::lock_guard lock{mutex_};
    auto group = make_group(manifest.channels);
    if (!group) return Failure{std::move(group.error())};
    if (const Manifest* old = (*group)->find(manifest.version)) {
      if (old->sha256 == manifest.sha256) return *old;
      return fail(ErrorKind::kInvalid, "version " + manifest.version + " of group " + (*group)->id +
                                           ": found another checkpoint, sha256 " +
                                           manifest.sha256.substr(0, 12) + "...; expected " +
                                           old->sha256.substr(0, 12) + "... as it is there");
    }
    if (auto published = publish(*draft, manifest); !published) {
      return Failure{std::move(published.error())};
    }
    (*group)->versions.push_back(manifest);
    sort_by_age((*group)->versions);
  }
  const json details = {{"sha256", manifest.sha256},
                        {"parent", manifest.parent},
                        {"kind", manifest.kind},
                        {"rows", manifest.num_rows()}};
  note({std::string{event}, manifest.group, manifest.version, manifest.reason, std::string{by},
        details.dump(-1, ' ', false, json::error_handler_t::replace)});
  return manifest;
}

Result<ModelRegistry::Group*> ModelRegistry::known(const std::string& group_key,
                                                   const std::string& version) {
  const auto it = groups_.find(group_key);
  if (it == groups_.end()) {
    return fail(ErrorKind::kInvalid, "group '" + group_key + "' is unknown");
  }
  if (it->second.find(version) == nullptr) {
    return fail(ErrorKind::kInvalid,
                "version '" + version + "' of group " + it->second.id + " is unknown");
  }
  return &it->second;
}

Status ModelRegistry::verify(const std::string& group_key, const std::string& version) const {
  std::string expected;
  {
    const std::lock_guard lock{mutex_};
    const auto it = groups_.find(group_key);
    const Manifest* manifest = it == groups_.end() ? nullptr : it->second.find(version);
    if (manifest == nullptr) {
      return fail(ErrorKind::kInvalid, "version '" + version + "' is unknown");
    }
    expected = manifest->sha256;
  }
  const fs::path path = checkpoint_path(group_key, version);
  auto sum = sha256_of_file(path);
  if (!sum) return Failure{std::move(sum.error())};
  if (*sum == expected) return {};
  return fail(ErrorKind::kIncompatible, path.string() + ": found sha256 " + sum->substr(0, 12) +
                                            "...; its manifest expects " + expected.substr(0, 12) +
                                            "...");
}

Result<Champion> ModelRegistry::promote(const std::string& group_key, const std::string& version,
                                        Promotion promotion, std::string_view event) {
  Champion champion{.version = version,
                    .previous = {},
                    .since = std::move(promotion.since),
                    .promoted_at = outside_.clock.wall(),
                    .by = std::move(promotion.by),
                    .why = std::move(promotion.why)};
  {
    const std::lock_guard lock{mutex_};
    auto group = known(group_key, version);
    if (!group) return Failure{std::move(group.error())};
    std::optional<Champion>& now = (*group)->champion;
    if (now && now->version == version) return *now;
    if (now) champion.previous = now->version;
    auto written = write_durably(folder_of(group_key) / kChampionFile, to_json(champion));
    if (!written) return Failure{std::move(written.error())};
    now = champion;
  }
  json since = json::array();
  for (const Position& position : champion.since) {
    since.push_back({{"topic", position.partition.topic},
                     {"partition", position.partition.partition},
                     {"offset", position.offset}});
  }
  const json details = {{"previous", champion.previous}, {"since", std::move(since)}};
  note({std::string{event}, group_key, version, champion.why, champion.by,
        details.dump(-1, ' ', false, json::error_handler_t::replace)});
  return champion;
}

Status ModelRegistry::set_pin(const std::string& group_key, const std::string& version, Pin pin,
                              std::string_view by) {
  {
    const std::lock_guard lock{mutex_};
    auto group = known(group_key, version);
    if (!group) return Failure{std::move(group.error())};
    const auto it = std::ranges::find((*group)->versions, version, &Manifest::version);
    if (it->pinned == (pin == Pin::kPinned)) return {};
    Manifest changed = *it;
    changed.pinned = pin == Pin::kPinned;
    auto written = write_durably(folder_of(group_key) / (version + ".json"), to_json(changed));
    if (!written) return written;
    *it = std::move(changed);
  }
  note({pin == Pin::kPinned ? "pinned" : "unpinned", group_key, version, "", std::string{by}, ""});
  return {};
}

Status ModelRegistry::remove(const Group& group, const Manifest& manifest) const {
  // Into a draft, the manifest first: whatever a crash leaves is no version.
  auto draft = begin();
  if (!draft) return Failure{std::move(draft.error())};
  const fs::path folder = folder_ / group.id;
  for (const char* extension : {".json", ".ckpt", ".rows"}) {
    const fs::path path = folder / (manifest.version + extension);
    std::error_code error;
    fs::rename(path, (*draft)->folder_ / path.filename(), error);
    if (error && error != std::errc::no_such_file_or_directory) {
      return fail(ErrorKind::kInvalid, path.string() + ": cannot delete: " + error.message());
    }
  }
  return sync_folder(folder);
}

Result<std::vector<std::string>> ModelRegistry::keep(const std::string& group_key,
                                                     std::size_t count) {
  std::vector<std::string> deleted;
  {
    const std::lock_guard lock{mutex_};
    const auto it = groups_.find(group_key);
    if (it == groups_.end()) {
      return fail(ErrorKind::kInvalid, "group '" + group_key + "' is unknown");
    }
    Group& group = it->second;
    auto unpinned =
        static_cast<std::size_t>(std::ranges::count(group.versions, false, &Manifest::pinned));
    const auto is_needed = [&](const Manifest& manifest) {
      return manifest.pinned || (group.champion && (manifest.version == group.champion->version ||
                                                    manifest.version == group.champion->previous));
    };
    for (auto version = group.versions.begin();
         unpinned > count && version != group.versions.end();) {
      if (is_needed(*version)) {
        ++version;
        continue;
      }
      if (auto removed = remove(group, *version); !removed) {
        return Failure{std::move(removed.error())};
      }
      deleted.push_back(version->version);
      version = group.versions.erase(version);
      --unpinned;
    }
  }
  const std::string why = "the newest " + std::to_string(count) + " are kept";
  for (const std::string& version : deleted) {
    note({"deleted", group_key, version, why, "anomalyd", ""});
  }
  return deleted;
}

}  // namespace anomalyd::runtime
