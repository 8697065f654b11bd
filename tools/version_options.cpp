#include "tools/version_options.hpp"

#include <utility>

#include "config/describe.hpp"
#include "models/torch_models.hpp"
#include "tools/kafka_arguments.hpp"

namespace anomalyd::tools {

Result<config::Options> options_of(const ModelPlace& place, const runtime::Manifest& manifest) {
  config::Options base;
  if (!place.config_file.empty()) base = load_config(place.config_file).options;
  auto options = config::with_effective(std::move(base), manifest.configuration);
  if (!options) {
    return fail(std::move(options.error()), "the configuration of version " + manifest.version);
  }
  options->model.seed = manifest.seed;
  return options;
}

Result<std::unique_ptr<ModelFactory>> make_factory(const config::Options& options) {
  auto factory = models::TorchModelFactory::create(options.model);
  if (!factory) return Failure{std::move(factory.error())};
  return std::unique_ptr<ModelFactory>{std::move(*factory)};
}

}  // namespace anomalyd::tools
