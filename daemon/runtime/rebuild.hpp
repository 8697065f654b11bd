#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/normal_rows.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/runtime/model_registry.hpp"

namespace anomalyd::runtime {

/// The rows that a version was trained on: those that are kept beside it, else all normal ones of
/// its data ranges in the reservoir. `labels`: what had been said when it was trained.
///
/// Errors: kInvalid when neither has them; kIncompatible when what is kept is damaged. The message
/// says of each range how many rows are left.
[[nodiscard]] Result<std::vector<pipeline::History>> rows_of_version(
    const ModelRegistry& registry, const Manifest& manifest, const std::filesystem::path& reservoir,
    std::span<const pipeline::Label> labels, const pipeline::PipelineOptions& options);

/// `histories` without the rows of the exclusions and those whose windows would touch them. Rows
/// that no exclusion concerns are as they were, to the bit.
[[nodiscard]] std::vector<pipeline::History> without(std::vector<pipeline::History> histories,
                                                     std::span<const Exclusion> exclusions,
                                                     const pipeline::PipelineOptions& options);

/// A version that is trained again.
struct Rebuild {
  const Manifest& manifest;
  std::vector<pipeline::History> rows;  ///< See rows_of_version.
  std::vector<Exclusion> exclusions;    ///< More than it had.
  std::string by;
};
struct Rebuilt {
  Manifest manifest;
  bool reproduced = false;     ///< The weights are the same; nothing was added.
  std::size_t rows_taken = 0;  ///< Rows that were left out this time.
};
/// Trains a version again as it was, without the rows of the exclusions, and adds the outcome to
/// `to`. `factory` and `options` are those it was trained with.
///
/// Errors: those of learn() and ModelRegistry::add; kInvalid when no rows are left.
[[nodiscard]] Result<Rebuilt> rebuild(Rebuild what, ModelRegistry& to, ModelFactory& factory,
                                      const pipeline::PipelineOptions& options,
                                      const ProgressFn& progress, std::stop_token stop);

}  // namespace anomalyd::runtime
