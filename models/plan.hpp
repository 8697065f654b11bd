#pragma once

#include <vector>

#include "models/member_options.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {

/// The members that `options.kind` names, ready to be trained on `set`, of which only the rows do
/// not matter. Errors: kInvalid (an unknown name, the same member twice, labels or conditions that
/// are not there).
[[nodiscard]] Result<std::vector<MemberSpec>> plan_members(
    const TorchModelFactory::Options& options, const TrainingSet& set);

/// Checks every range that the Options state. Errors: kInvalid, naming the first one outside.
[[nodiscard]] Status check_options(const TorchModelFactory::Options& options);

}  // namespace anomalyd::models
