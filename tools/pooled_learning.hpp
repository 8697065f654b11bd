#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "daemon/core/model.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "tools/labelled_set.hpp"

namespace anomalyd::tools {

/// Learns one model for those series of each group that have the same channels, from their rows
/// before `train_end`, as the daemon learns one for a fleet. What is spoilt or hidden in each series
/// is what `set.read` makes of it.
///
/// Writes the checkpoints <folder>/<group>.ckpt, with a number where a group has several sets of
/// channels, and returns for the id of each series the one that it was learned with. Errors: those
/// of reading, training and writing; kInvalid for a series with too few rows to learn from.
[[nodiscard]] Result<std::map<std::string, std::filesystem::path>> learn_pooled(
    const LabelledSet& set, const pipeline::PipelineOptions& options, ModelFactory& factory,
    const std::filesystem::path& folder);

}  // namespace anomalyd::tools
