#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "daemon/core/result.hpp"
#include "tools/feed_arguments.hpp"
#include "tools/model_place.hpp"

namespace anomalyd::tools {

/// What is asked of a retraining without a daemon.
struct OfflineRetraining {
  const ModelPlace& place;
  const FeedArguments& feed;  ///< Rows to learn from; if none are given, those of the reservoir.
  std::string group;          ///< Key or beginning of the id; may be empty where there is one.
  std::string why;
  bool promote = false;  ///< Lets the new version serve if it passes.
  bool dry_run = false;  ///< Changes nothing in the state folder, and needs no lock.
};

/// Trains a challenger of the champion as the daemon does, puts it through the gate and, in place
/// of the shadow, replays the newest rows through both; the outcome is a version of the registry.
///
/// Rows of files and topics count as normal but for the incidents that the state folder knows and
/// what people have said of them. Shows on stderr how it goes. What comes back is as `retraining`
/// of /status: `outcome` is "passed" where it could serve and was not to.
///
/// Errors: kUnavailable while a daemon works on the folder; kInvalid when model or rows are not
/// there; those of training.
[[nodiscard]] Result<nlohmann::json> retrain_offline(const OfflineRetraining& what);

/// What came of a retraining, for a person: losses, gate, incidents, outcome. Takes `retraining`
/// of /status.
[[nodiscard]] std::string retraining_text(const nlohmann::json& retraining);

}  // namespace anomalyd::tools
