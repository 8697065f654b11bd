#pragma once

#include <string>
#include <vector>

#include "models/member_options.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {

/// Every name that `options.kind` may be, or be joined of by '+', `auto` first.
[[nodiscard]] std::vector<std::string> kind_names();

/// The members that `options.kind` names, ready to be trained on rows of `channels` columns of so
/// many series. Errors: kInvalid (an unknown name, or the same member twice).
[[nodiscard]] Result<std::vector<MemberSpec>> plan_members(
    const TorchModelFactory::Options& options, std::size_t channels, std::size_t num_series);

/// Checks every range that the Options state. Errors: kInvalid, naming the first one outside.
[[nodiscard]] Status check_options(const TorchModelFactory::Options& options);

}  // namespace anomalyd::models
