#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "daemon/core/result.hpp"
#include "daemon/runtime/model_registry.hpp"

namespace anomalyd::runtime {

// A version in one file, for another host:
//
//   8   magic "ANMDPACK"
//   4   format version, 4 length of the header (little-endian)
//   ... header: JSON with the manifest and the lengths of the parts
//   ... the checkpoint, then the rows it was trained on, if they are kept
//   64  sha256 of everything before it, as hex digits

/// Writes a version to `file`, which is replaced as a whole. Errors: kIncompatible (a damaged
/// checkpoint), kInvalid, kExhausted.
[[nodiscard]] Status export_version(const ModelRegistry& registry, const Manifest& manifest,
                                    const std::filesystem::path& file);

/// Looks at a checkpoint before it is added: loads it, say.
using CheckpointCheck =
    std::function<Status(const std::filesystem::path& checkpoint, const Manifest& manifest)>;

/// Adds the version that a file holds; it is neither promoted nor pinned. The file is treated as
/// hostile: the checksum and every length are verified before anything is made of it. Errors:
/// kInvalid (no such file), kIncompatible (no package, a damaged one), those of `check` and of
/// ModelRegistry::add.
[[nodiscard]] Result<Manifest> import_version(ModelRegistry& registry,
                                              const std::filesystem::path& file,
                                              std::string_view by, const CheckpointCheck& check);

}  // namespace anomalyd::runtime
