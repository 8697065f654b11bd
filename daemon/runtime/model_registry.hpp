#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/runtime/audit_log.hpp"
#include "daemon/runtime/model_manifest.hpp"

namespace anomalyd::runtime {

/// The versions of the models of every group, and which of them serves: the folder `models`.
///
///   models/<id of the group>/group.json       its channels
///                           /<version>.ckpt   what the ModelFactory wrote
///                           /<version>.json   the Manifest: with it, the version exists
///                           /<version>.rows   the rows it was trained on, if they are kept
///                           /champion.json    the Champion
///
/// Versions are immutable and complete: a crash leaves a version or none, and the old champion or
/// the new one. A champion that cannot be used is replaced when the folder is opened: by its
/// predecessor, else by the newest version that can.
///
/// Threads  any. Files are small but for checkpoints; add() and verify() read those.
/// Lock     whoever opens it for writing holds the StateLock of the state folder.
class ModelRegistry {
 public:
  enum class Access : std::uint8_t { kRead, kWrite };
  struct Outside {
    Clock& clock;
    /// Every step, after it was taken: for the audit log. May be empty. On the calling thread.
    std::function<void(const AuditEvent&)> on_event;
  };
  /// One model group. A value: it does not follow the registry.
  struct Group {
    std::string id;   ///< 16 hex digits: the hash of the key.
    std::string key;  ///< See pipeline::group_key.
    std::vector<Channel> channels;
    std::optional<Champion> champion;
    std::vector<Manifest> versions;  ///< Oldest first.
    [[nodiscard]] const Manifest* find(std::string_view version) const;
  };
  /// Why a version becomes the champion.
  struct Promotion {
    std::string why;
    std::string by;
    std::vector<Position> since;  ///< See Champion.
  };

  /// A version in the making, in a folder of its own in the registry: whoever makes it writes its
  /// files there. One that is not added leaves nothing behind.
  class Draft {
   public:
    ~Draft();
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    [[nodiscard]] std::filesystem::path checkpoint() const { return folder_ / "checkpoint"; }
    [[nodiscard]] std::filesystem::path rows() const { return folder_ / "rows"; }

   private:
    friend class ModelRegistry;
    explicit Draft(std::filesystem::path folder) : folder_{std::move(folder)} {}
    std::filesystem::path folder_;
  };

  /// Reads the folder; with kWrite it is made if need be, and what a crash left is cleared away.
  /// What is wrong in it is in troubles(). Errors: kInvalid when it cannot be read or made.
  [[nodiscard]] static Result<std::unique_ptr<ModelRegistry>> open(std::filesystem::path folder,
                                                                   Access access, Outside outside);

  /// The id of the group of this key.
  [[nodiscard]] static std::string id_of(std::string_view group_key);

  [[nodiscard]] std::vector<Group> groups() const;
  /// The group of this key, or whose id begins so; any name will do where there is one group only
  /// and none is given. Errors: kInvalid, with the ids there are.
  [[nodiscard]] Result<Group> group(std::string_view name) const;
  /// The version of `group` that is called or begins so. Errors: kInvalid, with those there are.
  [[nodiscard]] static Result<Manifest> version(const Group& group, std::string_view name);

  [[nodiscard]] std::filesystem::path checkpoint_path(const std::string& group_key,
                                                      const std::string& version) const;
  [[nodiscard]] std::filesystem::path rows_path(const std::string& group_key,
                                                const std::string& version) const;
  /// Checkpoints that lie in the folder itself: the layout before there were versions. Who can
  /// read them adds them (see adopt_loose_checkpoints) and removes them.
  [[nodiscard]] std::vector<std::filesystem::path> loose_checkpoints() const;
  /// What was found wrong when the folder was opened, one sentence each.
  [[nodiscard]] const std::vector<std::string>& troubles() const { return troubles_; }

  /// Errors: kInvalid, kExhausted.
  [[nodiscard]] Result<std::unique_ptr<Draft>> begin() const;
  /// Makes a version of the draft. Fills in `sha256`, `bytes`, `group` and, where unset, `created`.
  /// One that is there already and equal stays as it is. Errors: kInvalid (a name that cannot be
  /// one, another checkpoint of the same name), kExhausted. `event` is what the audit log calls it.
  [[nodiscard]] Result<Manifest> add(std::unique_ptr<Draft> draft, Manifest manifest,
                                     std::string_view by, std::string_view event = "added");
  /// Whether the checkpoint of a version is the one of its manifest. Reads all of it. Errors:
  /// kInvalid (no such version), kIncompatible (damaged).
  [[nodiscard]] Status verify(const std::string& group_key, const std::string& version) const;
  /// Makes a version the champion; the one that is stays it. `event` is what the audit log calls
  /// it. Errors: kInvalid (no such version), kExhausted: the champion is then as before.
  [[nodiscard]] Result<Champion> promote(const std::string& group_key, const std::string& version,
                                         Promotion promotion, std::string_view event = "promoted");
  enum class Pin : std::uint8_t { kPinned, kUnpinned };
  /// Keeps a version for ever, or no longer. Errors: kInvalid, kExhausted.
  [[nodiscard]] Status set_pin(const std::string& group_key, const std::string& version, Pin pin,
                               std::string_view by);
  /// Deletes the oldest versions of a group beyond `count`, but never the champion, its
  /// predecessor or a pinned one, which does not count. Returns their names. Errors: kInvalid.
  [[nodiscard]] Result<std::vector<std::string>> keep(const std::string& group_key,
                                                      std::size_t count);
  /// Writes a step to the audit log that is none of the above.
  void note(const AuditEvent& event) const;

 private:
  ModelRegistry(std::filesystem::path folder, Access access, Outside outside);
  void read();
  void read_group(const std::filesystem::path& folder);
  void read_versions(const std::filesystem::path& folder, Group& group);
  void read_champion(const std::filesystem::path& folder, Group& group);
  void fall_back(const std::string& why, const std::string& previous, Group& group);
  void trouble(std::string sentence);
  [[nodiscard]] std::filesystem::path folder_of(std::string_view group_key) const;
  [[nodiscard]] Result<Group*> known(const std::string& group_key, const std::string& version);
  [[nodiscard]] Result<Group*> make_group(const std::vector<Channel>& channels);
  [[nodiscard]] Status publish(const Draft& draft, const Manifest& manifest) const;
  [[nodiscard]] Status remove(const Group& group, const Manifest& manifest) const;

  const std::filesystem::path folder_;
  const Access access_;
  const Outside outside_;
  std::vector<std::string> troubles_;         // constant after open()
  std::vector<std::filesystem::path> loose_;  // constant after open()
  mutable std::mutex mutex_;
  std::map<std::string, Group> groups_;  // by key; guarded by mutex_
};

}  // namespace anomalyd::runtime
