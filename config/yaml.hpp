#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.hpp"

namespace anomalyd::config {

/// Place in a text, counted from 1.
struct Mark {
  int line = 0;
  int column = 0;
};

/// One node of a YAML document, as it was written: no types, no aliases, repeated keys kept.
///
/// yaml-cpp's own tree was rejected: it hides repeated keys and follows aliases, which makes a
/// short file stand for a huge tree.
struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Mark mark = {};
  std::string text = {};  ///< Of a scalar.
  std::string key = {};   ///< When the parent is a map.
  Mark key_mark = {};
  std::vector<YamlNode> children = {};
};

/// What `parse_yaml` found: a tree, or the problem that kept it from reading one.
struct YamlDocument {
  YamlNode root;
  std::vector<Problem> problems;  ///< At most one.
};

/// The longest text that is read as YAML, in bytes.
inline constexpr std::size_t kMaxYamlBytes = 1 << 20;

/// Reads one YAML document. The text may be hostile: size, depth and number of nodes are limited.
[[nodiscard]] YamlDocument parse_yaml(std::string_view text);

/// Writes `text` so that YAML reads it back as the same text, quoted where needed.
[[nodiscard]] std::string yaml_scalar(const std::string& text);

}  // namespace anomalyd::config
