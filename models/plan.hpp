#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/member_options.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {

/// What is to be trained.
struct Plan {
  std::vector<MemberSpec> members;
  ModelScope scope = ModelScope::kPooled;  ///< Never kAuto.
  std::string choice;  ///< What `auto` chose and why, a sentence; empty for other kinds.
};

/// Every name that `options.kind` may be, or be joined of by '+', `auto` first.
[[nodiscard]] std::vector<std::string> kind_names();
/// Whether a kind, or one of those that it is joined of, learns nothing without labelled rows.
[[nodiscard]] bool needs_labels(std::string_view kind);

/// The members that `options.kind` names, ready to be trained on `set`, of which only the rows do
/// not matter. Errors: kInvalid (an unknown name, the same member twice, labels or conditions that
/// are not there).
[[nodiscard]] Result<Plan> plan_members(const TorchModelFactory::Options& options,
                                        const TrainingSet& set);

/// What kAuto means for more series than may have networks of their own.
[[nodiscard]] ModelScope scope_of_fleet(const TorchModelFactory::Options& options);

/// Checks every range that the Options state. Errors: kInvalid, naming the first one outside.
[[nodiscard]] Status check_options(const TorchModelFactory::Options& options);

}  // namespace anomalyd::models
