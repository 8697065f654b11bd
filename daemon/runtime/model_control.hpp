#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/runtime/admin_server.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/request_topic.hpp"

namespace anomalyd::runtime {

/// What a command about a model names. Empty where it was not given.
struct ModelRequest {
  std::string group;    ///< Key or beginning of the id; may be empty where there is one group.
  std::string version;  ///< Or its beginning.
  std::string by;       ///< Who asks; nobody checks that.
  std::string why;
};

/// What can be done with the models of a running daemon, for its HTTP server. Each function runs
/// on the io_context of the server, must not block, and answers once, there, with a JSON object.
struct ModelControl {
  using Done = std::function<void(Result<std::string>)>;
  using Action = std::function<void(ModelRequest, Done)>;

  std::function<std::string()> list;  ///< See to_json(groups).
  Action promote;
  Action rollback;
  Action retrain;  ///< Begins; the answer does not wait for the end.
  Action pin;
  Action unpin;
  /// Adds an exported version (see model_package.hpp).
  std::function<void(std::string package, Done)> import;
  /// Keeps what a person says of an incident; answers what was kept.
  std::function<void(FeedbackRequest, Done)> feedback;
};

/// Largest package that is taken over HTTP. It is held in memory for a moment.
inline constexpr std::size_t kMaxPackageBytes = 1U << 30U;

/// GET /models, POST /models/promote and so on, POST /feedback. A failed command answers {"error":
/// "sentence"}.
[[nodiscard]] AdminServer::Routes model_routes(const ModelControl& control);

/// For the records of the control topic: {"action":"retrain"} with the fields of a ModelRequest.
/// What can be asked for is what can be over HTTP at /models/. Waits for the answer, so that a
/// command finds what the one before has done; the commands run on `control`.
[[nodiscard]] RequestTopic::ObeyFn obey_commands(boost::asio::any_io_executor control,
                                                 const ModelControl& commands);

/// Groups, their champions and all manifests: the document of GET /models.
[[nodiscard]] std::string to_json(const std::vector<ModelRegistry::Group>& groups);
/// Reads that document. Errors: kIncompatible.
[[nodiscard]] Result<std::vector<ModelRegistry::Group>> parse_groups(std::string_view text);

/// The body of a command. What is empty is left out.
[[nodiscard]] std::string to_json(const ModelRequest& request);
/// Reads one. Errors: kInvalid, with the field that is wrong.
[[nodiscard]] Result<ModelRequest> parse_request(std::string_view text);

/// The answer to a command that changed, or would have changed, a champion.
struct Promoted {
  std::string group;  ///< Id.
  std::string version;
  std::string previous;
  std::vector<std::string> warnings;
  bool unchanged = false;  ///< It was the champion before.
};
[[nodiscard]] std::string to_json(const Promoted& promoted);

}  // namespace anomalyd::runtime
