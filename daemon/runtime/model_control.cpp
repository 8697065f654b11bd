#include "daemon/runtime/model_control.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <ranges>
#include <utility>

namespace anomalyd::runtime {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kJson = "application/json";
constexpr const char* kTopic = "control topic";  // who asks, if the record does not tell
constexpr const char* kAction = "action";        // the field of a record

/// The commands that a ModelRequest is enough for.
constexpr std::array<std::pair<const char*, ModelControl::Action ModelControl::*>, 5> kActions{{
    {"promote", &ModelControl::promote},
    {"rollback", &ModelControl::rollback},
    {"retrain", &ModelControl::retrain},
    {"pin", &ModelControl::pin},
    {"unpin", &ModelControl::unpin},
}};

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid: return 400;
    case ErrorKind::kIncompatible:
    case ErrorKind::kNotFinite: return 409;
    case ErrorKind::kExhausted: return 507;
    case ErrorKind::kUnavailable:
    case ErrorKind::kDeviceLost:
    case ErrorKind::kCancelled: return 503;
  }
  return 500;
}

AdminServer::Page page_of(const Result<std::string>& result) {
  if (result) return {200, kJson, *result + "\n"};
  return {status_of(result.error().kind), kJson,
          dumped({{"error", result.error().message}}) + "\n"};
}

AdminServer::Command command(const ModelControl::Action& action) {
  return {.run = [action](const std::string& body, AdminServer::Answer answer) {
    auto request = parse_request(body);
    if (!request) return answer(page_of(Failure{std::move(request.error())}));
    action(std::move(*request), [answer = std::move(answer)](const Result<std::string>& result) {
      answer(page_of(result));
    });
  }};
}

Result<ModelRequest> parse_request(const Json& json) {
  ModelRequest request;
  for (const auto& [name, value] : json.items()) {
    std::string* field = name == "group"     ? &request.group
                         : name == "version" ? &request.version
                         : name == "by"      ? &request.by
                         : name == "why"     ? &request.why
                                             : nullptr;
    if (field == nullptr || !value.is_string()) {
      return fail(ErrorKind::kInvalid,
                  "found field '" + name + "'; expected the texts group, version, by and why");
    }
    *field = value.get<std::string>();
  }
  return request;
}

/// A record of the control topic.
struct TopicCommand {
  ModelControl::Action ModelControl::*action;
  ModelRequest request;
};

Result<TopicCommand> parse_command(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return fail(ErrorKind::kInvalid, "found no JSON object; expected one");
  const std::string name = dumped(json.value(kAction, Json{}));
  const auto known =
      std::ranges::find(kActions, name, [](const auto& action) { return dumped(action.first); });
  if (known == kActions.end()) {
    return fail(ErrorKind::kInvalid, fmt::format("'action' is {}; expected one of {}", name,
                                                 fmt::join(kActions | std::views::keys, ", ")));
  }
  json.erase(kAction);
  auto request = parse_request(json);
  if (!request) return Failure{std::move(request.error())};
  if (request->by.empty()) request->by = kTopic;
  return TopicCommand{known->second, *std::move(request)};
}

/// What came of a command, for the thread that waits for it.
class Answer {
 public:
  void give(Result<std::string> result) {
    const std::lock_guard lock{mutex_};
    result_ = std::move(result);
    given_.notify_all();
  }
  /// Nothing where `stop` came first.
  std::optional<Result<std::string>> wait(const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    given_.wait(lock, stop, [this] { return result_.has_value(); });
    return result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any given_;
  std::optional<Result<std::string>> result_;
};

Json champion_json(const ModelRegistry::Group& group) {
  return group.champion ? Json::parse(to_json(*group.champion)) : Json{};
}

Result<ModelRegistry::Group> parse_group(const Json& json) {
  ModelRegistry::Group group;
  group.key = json.at("key").get<std::string>();
  group.id = json.at("id").get<std::string>();
  auto channels = parse_channels(json.dump());
  if (!channels) return Failure{std::move(channels.error())};
  group.channels = std::move(*channels);
  if (!json.at("champion").is_null()) {
    auto champion = parse_champion(json.at("champion").dump());
    if (!champion) return Failure{std::move(champion.error())};
    group.champion = std::move(*champion);
  }
  for (const Json& version : json.at("versions")) {
    auto manifest = parse_manifest(version.dump());
    if (!manifest) return Failure{std::move(manifest.error())};
    group.versions.push_back(std::move(*manifest));
  }
  return group;
}

}  // namespace

AdminServer::Routes model_routes(const ModelControl& control) {
  AdminServer::Routes routes;
  routes.pages["/models"] = [list = control.list] { return AdminServer::Page{200, kJson, list()}; };
  for (const auto& [name, action] : kActions) {
    routes.commands[std::string{"/models/"} + name] = command(control.*action);
  }
  routes.commands["/feedback"] = {
      .run = [give = control.feedback](const std::string& body, const AdminServer::Answer& answer) {
        auto request = parse_feedback_request(body);
        if (!request) return answer(page_of(Failure{std::move(request.error())}));
        give(std::move(*request),
             [answer](const Result<std::string>& result) { answer(page_of(result)); });
      }};
  routes.commands["/models/import"] = {
      .content_type = "application/octet-stream",
      .max_bytes = kMaxPackageBytes,
      .run = [import = control.import](std::string body, AdminServer::Answer answer) {
        import(std::move(body), [answer = std::move(answer)](const Result<std::string>& result) {
          answer(page_of(result));
        });
}
};
return routes;
}

std::string to_json(const std::vector<ModelRegistry::Group>& groups) {
  Json list = Json::array();
  for (const ModelRegistry::Group& group : groups) {
    Json versions = Json::array();
    for (const Manifest& manifest : group.versions) {
      versions.push_back(Json::parse(to_json(manifest)));
    }
    list.push_back({{"id", group.id},
                    {"key", group.key},
                    {"channels", Json::parse(channels_to_json(group.channels)).at("channels")},
                    {"champion", champion_json(group)},
                    {"versions", std::move(versions)}});
  }
  return Json{{"groups", std::move(list)}}.dump(2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

Result<std::vector<ModelRegistry::Group>> parse_groups(std::string_view text) {
  try {
    std::vector<ModelRegistry::Group> groups;
    const Json document = Json::parse(text);
    for (const Json& one : document.at("groups")) {
      auto group = parse_group(one);
      if (!group) return Failure{std::move(group.error())};
      groups.push_back(std::move(*group));
    }
    return groups;
  } catch (const Json::exception& error) {
    return fail(ErrorKind::kIncompatible, std::string{"models: "} + error.what());
  }
}

std::string to_json(const ModelRequest& request) {
  Json json = Json::object();
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  put("group", request.group);
  put("version", request.version);
  put("by", request.by);
  put("why", request.why);
  return dumped(json);
}

Result<ModelRequest> parse_request(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return fail(ErrorKind::kInvalid, "found a body that is no JSON object; expected one");
  }
  return parse_request(json);
}

RequestTopic::ObeyFn obey_commands(boost::asio::any_io_executor control,
                                   const ModelControl& commands) {
  return [control = std::move(control), commands](
             std::string_view text, const std::stop_token& stop) -> Result<std::optional<Refusal>> {
    auto command = parse_command(text);
    if (!command) return Refusal{std::move(command.error().message), {}};
    const std::string by = command->request.by;
    auto answer = std::make_shared<Answer>();  // which may come when nobody waits any more
    boost::asio::post(control, [action = commands.*(command->action),
                                request = std::move(command->request), answer] {
      action(request, [answer](const Result<std::string>& result) { answer->give(result); });
    });
    const auto result = answer->wait(stop);
    if (!result || *result) return std::nullopt;
    return Refusal{result->error().message, by};
  };
}

std::string to_json(const Promoted& promoted) {
  return dumped({{"group", promoted.group},
                 {"version", promoted.version},
                 {"previous", promoted.previous},
                 {"unchanged", promoted.unchanged},
                 {"warnings", promoted.warnings}});
}

}  // namespace anomalyd::runtime
