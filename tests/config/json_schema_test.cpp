#include "config/json_schema.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "config/schema.hpp"

namespace anomalyd::config {
namespace {

using ::testing::Contains;

const nlohmann::json& page() {
  static const auto page = nlohmann::json::parse(json_schema());
  return page;
}

// The node of "window.length".
nlohmann::json node_of(const std::string& path) {
  std::string pointer = "/properties/";
  for (const char c : path) pointer += c == '.' ? "/properties/" : std::string{c};
  return page().at(nlohmann::json::json_pointer{pointer});
}

TEST(JsonSchema, HoldsEveryOption) {
  EXPECT_EQ(page().at("$schema"), "https://json-schema.org/draft/2020-12/schema");
  for (const Option& option : schema().options()) {
    EXPECT_TRUE(node_of(option.path).contains("description")) << option.path;
  }
}

TEST(JsonSchema, CarriesRangesDefaultsAndNames) {
  const auto length = node_of("window.length");
  EXPECT_EQ(length.at("default"), 32);
  EXPECT_EQ(length.at("anyOf").at(0).at("minimum"), 8);
  EXPECT_EQ(length.at("anyOf").at(0).at("maximum"), 1024);
  EXPECT_THAT(node_of("log.format").at("anyOf").at(0).at("enum"), Contains("json"));
  EXPECT_EQ(node_of("data_faults.enabled").at("default"), true);
  EXPECT_EQ(node_of("window.evict_after").at("default"), "7d");
  EXPECT_THAT(node_of("model.hidden").at("anyOf").at(1).at("items").at("type"), Contains("number"));
}

TEST(JsonSchema, RefusesUnknownOptionsAndAsksForRequiredOnes) {
  EXPECT_EQ(page().at("additionalProperties"), false);
  EXPECT_THAT(page().at("required"), Contains("kafka"));
  const auto kafka = page().at("properties").at("kafka");
  EXPECT_EQ(kafka.at("additionalProperties"), false);
  EXPECT_THAT(kafka.at("required"), Contains("brokers"));
}

}  // namespace
}  // namespace anomalyd::config
