#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/expand.hpp"
#include "config/options.hpp"
#include "config/problem.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::config {

/// Where a value came from. A value without an origin is a default.
struct Origin {
  int line = 0;
  std::vector<std::string> sources;  ///< "environment NAME", "file PATH": references in the value.
  bool secret = false;               ///< One of them is a secret: never show the value.
};

/// What a configuration file says. The options may be used only when there is no problem.
struct Loaded {
  Options options;
  std::vector<Problem> problems;          ///< All of them, in the order of the file.
  std::map<std::string, Origin> origins;  ///< By option, "kafka.properties.ssl.ca.location" too.
  std::string file;                       ///< As messages name it.
};

/// What the loader needs besides the file.
struct Context {
  Surroundings surroundings = process_surroundings();
  /// Says whether the Kafka client takes this property, so that config/ need not know it. The error
  /// must not repeat the value, which may be a secret. Empty: every property is taken.
  std::function<Status(const std::string& name, const std::string& value)> kafka_property = {};
  /// What only the parts themselves can tell: that a device is there, that a pointer is well
  /// formed.
  std::vector<Check> checks = {};
};

/// Reads a configuration: finds every problem at once, guesses and clamps nothing. The text may be
/// hostile. `file` is only for messages.
[[nodiscard]] Loaded load(std::string_view yaml, std::string_view file, const Context& context);

/// Reads a configuration file. That it cannot be read is a problem like any other.
[[nodiscard]] Loaded load_file(const std::filesystem::path& path, const Context& context = {});

}  // namespace anomalyd::config
