#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/runtime/model_registry.hpp"

namespace anomalyd::runtime {

// From versions in a registry to models that score, and from checkpoints to versions.

/// What a model says of itself, as the beginning of a manifest.
[[nodiscard]] Manifest manifest_of(const ModelInfo& info);

/// A model that can score, with what its series know.
struct ServiceableModel {
  Manifest manifest;
  std::shared_ptr<const pipeline::LearnedGroup> group;
  std::unique_ptr<Scorer> scorer;
};

/// Loads a checkpoint and compares it with what is said of it: version and channels. Errors:
/// kIncompatible; those of ModelFactory::load.
[[nodiscard]] Result<ServiceableModel> load_checked(ModelFactory& factory,
                                                    const std::filesystem::path& checkpoint,
                                                    Manifest expected);

/// The same, for who only wants to know.
[[nodiscard]] Status check_checkpoint(ModelFactory& factory,
                                      const std::filesystem::path& checkpoint,
                                      const Manifest& expected);

/// Loads a version of a group, whose checkpoint must be the one of its manifest.
[[nodiscard]] Result<ServiceableModel> load_version(const ModelRegistry& registry,
                                                    ModelFactory& factory,
                                                    const ModelRegistry::Group& group,
                                                    const std::string& version);

/// Loads the champion of every group. Where it cannot be loaded, its predecessor is, else the
/// newest version that can; it becomes the champion, and the audit log tells. Errors: kIncompatible
/// when a group has a champion and no version that loads; what says to try again, as it is.
[[nodiscard]] Result<std::vector<ServiceableModel>> load_champions(ModelRegistry& registry,
                                                                   ModelFactory& factory);

/// What makes a version of a checkpoint that comes from elsewhere.
struct Adoption {
  std::string reason;  ///< Of the manifest, and of the promotion.
  std::string event;   ///< What the audit log calls it.
};
/// Adds a checkpoint as a version, which becomes the champion of a group without one. A version of
/// its name that is there stays as it is. The file stays. Errors: those of ModelFactory::load and
/// ModelRegistry::add.
[[nodiscard]] Result<Manifest> adopt_checkpoint(ModelRegistry& registry, ModelFactory& factory,
                                                const std::filesystem::path& checkpoint,
                                                const Adoption& adoption);

/// Makes versions of the checkpoints that lie in the folder itself, as they did before there were
/// versions, and removes those that are now in one. Errors: those of adopt_checkpoint, with the
/// path.
[[nodiscard]] Status adopt_loose_checkpoints(ModelRegistry& registry, ModelFactory& factory);

/// What speaks against promoting a version that loads: nothing, or sentences for the operator.
[[nodiscard]] std::vector<std::string> warnings_about(const Manifest& manifest,
                                                      const ModelRegistry::Group& group);

}  // namespace anomalyd::runtime
