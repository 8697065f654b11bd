#pragma once

#include <string>
#include <vector>

#include "models/member_options.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {

/// What is to be trained.
struct Plan {
  std::vector<MemberSpec> members;
  std::string choice;  ///< What `auto` chose and why, a sentence; empty for other kinds.
};

/// The members that `options.kind` names, ready to be trained on rows of `channels` columns of so
/// many series. Errors: kInvalid (an unknown name, or the same member twice).
[[nodiscard]] Result<Plan> plan_members(const TorchModelFactory::Options& options,
                                        std::size_t channels, std::size_t num_series);

/// Checks every range that the Options state. Errors: kInvalid, naming the first one outside.
[[nodiscard]] Status check_options(const TorchModelFactory::Options& options);

}  // namespace anomalyd::models
