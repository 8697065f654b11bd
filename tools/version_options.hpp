#pragma once

#include <memory>

#include "config/options.hpp"
#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/runtime/model_manifest.hpp"
#include "tools/model_place.hpp"

namespace anomalyd::tools {

/// The options that a version was trained with, from its manifest; what that does not say from the
/// configuration of `place`, if it has one, else the defaults. Errors: kIncompatible when the
/// manifest is of another program.
[[nodiscard]] Result<config::Options> options_of(const ModelPlace& place,
                                                 const runtime::Manifest& manifest);

/// Trains and loads models with these options. Errors: those of TorchModelFactory::create.
[[nodiscard]] Result<std::unique_ptr<ModelFactory>> make_factory(const config::Options& options);

}  // namespace anomalyd::tools
