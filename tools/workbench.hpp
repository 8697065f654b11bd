#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/model_registry.hpp"

namespace anomalyd::tools {

/// Models in a folder of their own that goes with it: for what is not, or not yet, to be seen in
/// the state folder.
class Workbench {
 public:
  /// Errors: kExhausted, kInvalid when a folder cannot be made.
  [[nodiscard]] static Result<Workbench> make() {
    std::string name = (std::filesystem::temp_directory_path() / "anomalyctl-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return runtime::io_failure(name, "cannot make a folder");
    Workbench bench{name};
    auto models = runtime::ModelRegistry::open(
        bench.folder_ / "models", runtime::ModelRegistry::Access::kWrite, {system_clock(), {}});
    if (!models) return Failure{std::move(models.error())};
    bench.models_ = std::move(*models);
    return bench;
  }
  ~Workbench() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  Workbench(Workbench&& other) noexcept
      : folder_{std::exchange(other.folder_, {})}, models_{std::move(other.models_)} {}
  Workbench& operator=(Workbench&&) = delete;
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] runtime::ModelRegistry& models() const { return *models_; }

 private:
  explicit Workbench(std::filesystem::path folder) : folder_{std::move(folder)} {}
  std::filesystem::path folder_;
  std::unique_ptr<runtime::ModelRegistry> models_;
};

}  // namespace anomalyd::tools
