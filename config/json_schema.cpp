#include "config/json_schema.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "config/schema.hpp"

namespace anomalyd::config {
namespace {

using Json = nlohmann::ordered_json;

Json bound_to_json(const Value& bound) {
  if (const auto* number = std::get_if<std::int64_t>(&bound)) return *number;
  return std::get<double>(bound);
}

Json text_type() { return {{"type", "string"}}; }
// Editors take a bare 64 for a number, even where it is a text to us.
Json scalar_type() { return {{"type", {"string", "number"}}}; }

// Numbers may also be given by a reference, which is a string to an editor.
Json number_type(const Option& option) {
  Json number = {{"type", option.kind == Kind::kInteger ? "integer" : "number"}};
  if (option.min.index() != 0) number["minimum"] = bound_to_json(option.min);
  if (option.max.index() != 0) number["maximum"] = bound_to_json(option.max);
  Json alternatives = {std::move(number), {{"$ref", "#/$defs/reference"}}};
  if (!option.zero.empty()) alternatives.push_back({{"const", option.zero}});
  return {{"anyOf", std::move(alternatives)}};
}

Json pattern_type(const Option& option, std::string_view pattern) {
  Json alternatives = {{{"type", "string"}, {"pattern", pattern}}, {{"$ref", "#/$defs/reference"}}};
  if (!option.zero.empty()) alternatives.push_back({{"const", option.zero}});
  return {{"anyOf", std::move(alternatives)}};
}

Json record_type(const Option& option) {
  Json properties = Json::object();
  for (const RecordField& field : option.fields) {
    properties[field.name] = {{"type", "string"}, {"description", field.help}};
  }
  Json entry = {{"type", "object"},
                {"properties", std::move(properties)},
                {"required", {option.fields.front().name}},
                {"additionalProperties", false}};
  return {{"type", "array"}, {"items", {{"anyOf", {text_type(), std::move(entry)}}}}};
}

Json type_of(const Option& option) {
  switch (option.kind) {
    case Kind::kBool: return {{"anyOf", {{{"type", "boolean"}}, {{"$ref", "#/$defs/reference"}}}}};
    case Kind::kInteger:
    case Kind::kNumber: return number_type(option);
    case Kind::kText: return {{"type", {"string", "number"}}};
    case Kind::kChoice:
      return {{"anyOf", {{{"enum", option.choices}}, {{"$ref", "#/$defs/reference"}}}}};
    case Kind::kDuration: return pattern_type(option, R"(^[0-9]+(\.[0-9]+)?(us|ms|s|m|h|d|w)$)");
    case Kind::kBytes:
      return pattern_type(option, R"(^[0-9]+(\.[0-9]+)?(B|kB|KiB|MB|MiB|GB|GiB)$)");
    case Kind::kList:
      return {{"anyOf", {scalar_type(), {{"type", "array"}, {"items", scalar_type()}}}}};
    case Kind::kMap:
      return {{"type", {"object", "null"}},
              {"additionalProperties", {{"type", {"string", "number", "boolean"}}}}};
    case Kind::kRecords: return record_type(option);
  }
  return {};
}

Json option_schema(const Option& option) {
  Json node = type_of(option);
  node["description"] = fmt::format("{} Expects {}.", option.help, expectation(option));
  const Value value = option.get(Options{});
  if (option.required || value.index() == 0) return node;
  if (const auto* flag = std::get_if<bool>(&value))
    node["default"] = *flag;
  else if (option.kind == Kind::kInteger || option.kind == Kind::kNumber)
    node["default"] = bound_to_json(value);
  else if (const auto* list = std::get_if<TextList>(&value))
    node["default"] = *list;
  else if (option.kind != Kind::kMap && option.kind != Kind::kRecords)
    node["default"] = in_words(option, value);
  return node;
}

Json section_schema(const std::string& path) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Option& option : schema().options()) {
    if (section_of(option.path) != path) continue;
    properties[name_of(option.path)] = option_schema(option);
    if (option.required) required.push_back(name_of(option.path));
  }
  Json node = {{"type", {"object", "null"}}, {"additionalProperties", false}};
  for (const Section& section : schema().sections()) {
    if (section.path == path) node["description"] = section.help;
    if (section.path == path || section_of(section.path) != path) continue;
    Json subsection = section_schema(section.path);
    if (subsection.contains("required")) required.push_back(name_of(section.path));
    properties[name_of(section.path)] = std::move(subsection);
  }
  node["properties"] = std::move(properties);
  if (!required.empty()) node["required"] = std::move(required);
  return node;
}

}  // namespace

std::string json_schema() {
  Json root = section_schema("");
  Json page = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
               {"title", "anomalyd configuration"}};
  page.update(root);
  page["type"] = "object";
  page["$defs"]["reference"] = {{"type", "string"},
                                {"pattern", R"(\$\{)"},
                                {"description", "${NAME}, ${NAME:-default} or ${file:/path}"}};
  return page.dump(2) + "\n";
}

}  // namespace anomalyd::config
