#pragma once

#include <map>
#include <string>

#include "config/load.hpp"

namespace anomalyd::testing {

/// An environment and files that exist only in a test.
struct FakeSurroundings {
  std::map<std::string, std::string> variables = {};
  std::map<std::string, std::string> files = {};

  [[nodiscard]] config::Surroundings get() const {
    return {
        .variable = [variables = variables](const std::string& name) -> std::optional<std::string> {
          const auto found = variables.find(name);
          return found == variables.end() ? std::nullopt : std::optional{found->second};
        },
        .file = [files = files](const std::string& path) -> Result<std::string> {
          const auto found = files.find(path);
          if (found == files.end()) {
            return fail(ErrorKind::kInvalid, "'" + path + "': no such file");
          }
          return found->second;
        }};
  }
  [[nodiscard]] config::Context context() const {
    return {.surroundings = get(), .kafka_property = {}};
  }
};

}  // namespace anomalyd::testing
