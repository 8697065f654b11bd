#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/runtime/audit_log.hpp"
#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/model_control.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/state_lock.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// Where the models of a command are: the state folder, and the daemon that may be running on it.
struct ModelPlace {
  std::string config_file;
  std::string state_dir;  ///< Empty: that of the configuration, else /var/lib/anomalyd.
  std::string address;    ///< Of a daemon; empty: found by the state folder.

  /// Adds --config, --state and --address.
  void add_to(CLI::App& command);

  /// Fills in what the configuration says. Prints its problems. Errors: kInvalid.
  [[nodiscard]] Status complete();

  /// Groups and versions: from the folder, else from the daemon.
  [[nodiscard]] Result<std::vector<runtime::ModelRegistry::Group>> groups() const;
  /// The folder itself, to read.
  [[nodiscard]] Result<std::unique_ptr<runtime::ModelRegistry>> open() const;

  /// Address of the daemon that works on the folder; empty when none does. Errors: kUnavailable
  /// when one does that cannot be asked.
  [[nodiscard]] Result<std::string> daemon() const;

 private:
  std::string configured_http_;
};

/// A state folder that no daemon works on, kept for as long as this lives.
struct OwnedState {
  std::unique_ptr<runtime::StateLock> lock;
  std::unique_ptr<runtime::AuditLog> audit;
  std::unique_ptr<runtime::ModelRegistry> models;

  /// Errors: those of StateLock::acquire, AuditLog::open and ModelRegistry::open; kInvalid where
  /// there is no state folder.
  [[nodiscard]] static Result<OwnedState> take(const std::filesystem::path& state_dir);
};

/// The group of this name, or the only one. Errors: kInvalid, with the ids there are.
[[nodiscard]] Result<runtime::ModelRegistry::Group> find_group(
    const std::vector<runtime::ModelRegistry::Group>& groups, const std::string& name,
    const std::string& version);

/// Gives a running daemon a command; its answer. Errors: kInvalid with its words where it refuses.
[[nodiscard]] Result<std::string> command_daemon(const std::string& address,
                                                 const std::string& path, runtime::HttpBody body);

/// Who gives this command, for the audit log: the name of the user.
[[nodiscard]] std::string user_name();

}  // namespace anomalyd::tools
