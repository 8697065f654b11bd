#include "tools/model_place.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/kafka_arguments.hpp"

namespace anomalyd::tools {

namespace fs = std::filesystem;
using runtime::ModelRegistry;
using runtime::StateLock;
using namespace std::chrono_literals;

void ModelPlace::add_to(CLI::App& command) {
  command.add_option("-c,--config", config_file, "Take state folder and address from here")
      ->check(CLI::ExistingFile);
  command.add_option("--state", state_dir, "State folder; by default that of --config");
  command.add_option("--address", address,
                     "HTTP of a running daemon; by default the one that works on the state folder");
}

Status ModelPlace::complete() {
  runtime::ServiceOptions service;
  if (!config_file.empty()) {
    const config::Loaded loaded = load_config(config_file);
    if (!check_and_report(loaded)) {
      return fail(ErrorKind::kInvalid, config_file + " has problems; expected a valid one");
    }
    service = loaded.options.service;
    configured_http_ = service.http.listen;
  }
  if (state_dir.empty()) state_dir = service.state_dir.string();
  return {};
}

Result<std::vector<ModelRegistry::Group>> ModelPlace::groups() const {
  Error why{ErrorKind::kInvalid, {}};
  if (address.empty()) {
    auto registry = open();
    if (registry) {
      for (const std::string& trouble : (*registry)->troubles()) {
        fmt::print(stderr, "anomalyctl: {}\n", trouble);
      }
      for (const fs::path& loose : (*registry)->loose_checkpoints()) {
        fmt::print(stderr,
                   "anomalyctl: {}: no version yet; anomalyd makes one of it at its start\n",
                   loose.string());
      }
      return (*registry)->groups();
    }
    why = std::move(registry.error());
  }
  const std::string where = address.empty() ? configured_http_ : address;
  if (where.empty()) return Failure{std::move(why)};
  const auto reply = runtime::http_get(where, "/models", 5s);
  if (!reply) {
    if (why.message.empty()) return Failure{reply.error()};
    return fail(ErrorKind::kInvalid, why.message + "; and " + reply.error().message);
  }
  if (reply->status != 200) {
    return fail(ErrorKind::kIncompatible,
                fmt::format("{}/models: status {}; expected 200", where, reply->status));
  }
  return runtime::parse_groups(reply->body);
}

Result<std::unique_ptr<ModelRegistry>> ModelPlace::open() const {
  return ModelRegistry::open(fs::path{state_dir} / "models", ModelRegistry::Access::kRead,
                             {system_clock(), {}});
}

Result<std::string> ModelPlace::daemon() const {
  if (!address.empty()) return address;
  const auto holder = StateLock::holder(state_dir);
  if (!holder) {
    // The folder of another user, say: the daemon may be asked all the same.
    if (!configured_http_.empty()) return configured_http_;
    return fail(ErrorKind::kUnavailable,
                holder.error().message + "; expected a folder that you may read, or --address");
  }
  if (!*holder) return std::string{};
  if (!(*holder)->http.empty()) return (*holder)->http;
  const bool is_daemon = (*holder)->program == "anomalyd";
  return fail(ErrorKind::kUnavailable,
              fmt::format("{} {} works on {}{}", (*holder)->program, (*holder)->process, state_dir,
                          is_daemon ? " and serves no HTTP (http.listen is empty); stop it first"
                                    : "; try again when it is done"));
}

Result<OwnedState> OwnedState::take(const fs::path& state_dir) {
  std::error_code ignored;
  if (!fs::is_directory(state_dir, ignored)) {
    return fail(ErrorKind::kInvalid,
                state_dir.string() + ": no such folder; expected the state folder of an anomalyd");
  }
  OwnedState state;
  auto lock = StateLock::acquire(state_dir, "anomalyctl");
  if (!lock) return Failure{std::move(lock.error())};
  state.lock = std::move(*lock);
  auto audit = runtime::AuditLog::open(state_dir / "audit.ndjson", system_clock());
  if (!audit) return Failure{std::move(audit.error())};
  state.audit = std::move(*audit);
  const auto tell = [log = state.audit.get()](const runtime::AuditEvent& event) {
    if (auto written = log->append(event); !written) {
      fmt::print(stderr, "anomalyctl: the audit log lacks a line: {}\n", written.error().message);
    }
  };
  auto models = ModelRegistry::open(state_dir / "models", ModelRegistry::Access::kWrite,
                                    {system_clock(), tell});
  if (!models) return Failure{std::move(models.error())};
  state.models = std::move(*models);
  return state;
}

Result<ModelRegistry::Group> find_group(const std::vector<ModelRegistry::Group>& groups,
                                        const std::string& name, const std::string& version) {
  std::vector<const ModelRegistry::Group*> fitting;
  std::string ids;
  for (const auto& group : groups) {
    if (name == group.key) return group;
    const bool has_version = version.empty() || ModelRegistry::version(group, version).has_value();
    const bool named = !name.empty() && group.id.starts_with(name);
    if (named || (name.empty() && has_version)) fitting.push_back(&group);
    ids += fmt::format("{}{} ({})", ids.empty() ? "" : ", ", group.id, group.key);
  }
  if (fitting.size() == 1) return *fitting.front();
  if (name.empty() && groups.size() == 1) return groups.front();
  return fail(ErrorKind::kInvalid,
              fmt::format("group '{}' is {}; expected --group with one of: {}", name,
                          fitting.empty() ? "unknown" : "ambiguous", ids.empty() ? "none" : ids));
}

Result<std::string> command_daemon(const std::string& address, const std::string& path,
                                   runtime::HttpBody body) {
  const auto reply = runtime::http_post(address, path, std::move(body), 10min);
  if (!reply) return Failure{reply.error()};
  if (reply->status == 200) return reply->body;
  const nlohmann::json answer = nlohmann::json::parse(reply->body, nullptr, false);
  const bool explained = answer.is_object() && answer.contains("error");
  std::string why = explained ? answer["error"].get<std::string>() : reply->body;
  while (why.ends_with('\n')) why.pop_back();
  return fail(ErrorKind::kInvalid,
              why.empty() ? fmt::format("{}{}: status {}", address, path, reply->status) : why);
}

std::string user_name() {
  const passwd* user = ::getpwuid(::geteuid());
  return user == nullptr ? std::to_string(::geteuid()) : user->pw_name;
}

}  // namespace anomalyd::tools
