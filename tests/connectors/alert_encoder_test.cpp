#include "connectors/codec/alert_encoder.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

namespace anomalyd::connectors {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

EventTime at(long seconds) { return EventTime{std::chrono::seconds{1'795'212'904 + seconds}}; }

Alert any_alert() {
  Alert alert;
  alert.id = "5f0c9d3e1b7a4c21";
  alert.series = "web-07";
  alert.state = AlertState::kResolve;
  alert.start = at(0);
  alert.time = at(60) + std::chrono::microseconds{5};
  alert.end = at(50);
  alert.severity = 78;
  alert.score = 6.42;
  alert.threshold = 2.31;
  alert.p_value = 3.1e-5;
  alert.rule = "tail";
  alert.provisional = true;
  alert.model_kind = "ensemble";
  alert.model_version = "9c1e5a77d02b";
  alert.features = {{"cpu", "%", 97.4, 41.8, 0.8}, {"load", "", 18.2, 4.9, 0.2}};
  alert.worst_steps = {{at(40), 6.42, "cpu"}, {at(30), 5.9, "cpu"}};
  alert.summary = "web-07: cpu at 97.4 %, expected 41.8 %";
  alert.input = {"metrics", 3};
  alert.first_offset = 184'220;
  alert.last_offset = 184'311;
  return alert;
}

/// Checks a document against the parts of JSON Schema that docs/alert.schema.json uses, and that
/// every field is described there. Returns what is wrong, one line each.
class SchemaCheck {
 public:
  explicit SchemaCheck(const char* path) : schema_(json::parse(std::ifstream{path})) {}

  std::string problems(const json& document) {
    found_.clear();
    check(document, schema_, "$");
    return found_;
  }

 private:
  void say(const std::string& where, const std::string& what) {
    found_ += where + ": " + what + "\n";
  }

  static bool is_type(const json& value, const std::string& type) {
    return type == "object"    ? value.is_object()
           : type == "array"   ? value.is_array()
           : type == "string"  ? value.is_string()
           : type == "boolean" ? value.is_boolean()
           : type == "integer" ? value.is_number_integer()
           : type == "number"  ? value.is_number()
           : type == "null"    ? value.is_null()
                               : false;
  }

  void check(const json& value, const json& schema, const std::string& where) {
    if (schema.contains("$ref")) {
      check(value, schema_.at(json::json_pointer{schema["$ref"].get<std::string>().substr(1)}),
            where);
    }
    if (schema.contains("anyOf")) check_any(value, schema["anyOf"], where);
    if (schema.contains("const") && value != schema["const"]) say(where, "not the constant");
    if (schema.contains("enum") &&
        std::ranges::find(schema["enum"], value) == schema["enum"].end()) {
      say(where, "not one of the names: " + value.dump());
    }
    if (schema.contains("type")) check_type(value, schema["type"], where);
    if (value.is_number()) {
      if (schema.contains("minimum") && value < schema["minimum"]) say(where, "too small");
      if (schema.contains("maximum") && value > schema["maximum"]) say(where, "too large");
    }
    if (value.is_string()) {
      const std::string text = value;
      if (schema.contains("minLength") && text.empty()) say(where, "empty");
      if (schema.contains("pattern") &&
          !std::regex_search(text, std::regex{schema["pattern"].get<std::string>()})) {
        say(where, "does not match: " + text);
      }
    }
    if (value.is_array() && schema.contains("items")) {
      for (const json& item : value) check(item, schema["items"], where + "[]");
    }
    if (value.is_object() && schema.contains("properties")) check_object(value, schema, where);
  }

  void check_any(const json& value, const json& schemas, const std::string& where) {
    const std::string before = found_;
    for (const json& schema : schemas) {
      found_.clear();
      check(value, schema, where);
      if (found_.empty()) {
        found_ = before;
        return;
      }
    }
    found_ = before;
    say(where, "none of the alternatives");
  }

  void check_type(const json& value, const json& type, const std::string& where) {
    const json types = type.is_array() ? type : json::array({type});
    const bool fits =
        std::ranges::any_of(types, [&](const json& one) { return is_type(value, one); });
    if (!fits) say(where, "type is not " + type.dump());
  }

  void check_object(const json& value, const json& schema, const std::string& where) {
    for (const json& name : schema["required"]) {
      if (!value.contains(name)) say(where, "lacks " + name.dump());
    }
    for (const auto& [name, part] : value.items()) {
      if (schema["properties"].contains(name)) {
        check(part, schema["properties"][name], where + "." + name);
      } else {
        say(where, "is not described: " + name);
      }
    }
  }

  json schema_;
  std::string found_;
};

std::string problems(const std::string& text) {
  return SchemaCheck{"docs/alert.schema.json"}.problems(json::parse(text));
}

TEST(AlertEncoder, KeepsToItsSchemaInEveryStateAndType) {
  for (const auto state : {AlertState::kOpen, AlertState::kUpdate, AlertState::kResolve}) {
    for (const auto type :
         {AlertType::kAnomaly, AlertType::kGap, AlertType::kStuckSensor, AlertType::kClockSkew,
          AlertType::kSilentSeries, AlertType::kChangedChannels}) {
      Alert alert = any_alert();
      alert.state = state;
      alert.type = type;
      if (state != AlertState::kResolve) alert.end.reset();
      EXPECT_THAT(problems(AlertEncoder{}.encode(alert)), IsEmpty());
    }
  }
}

TEST(AlertEncoder, KeepsToItsSchemaWithNothingToSay) {
  Alert alert;
  alert.id = "x";
  EXPECT_THAT(problems(AlertEncoder{}.encode(alert)), IsEmpty());
}

TEST(AlertEncoder, WritesNumbersThatAreNotFiniteAsNull) {
  Alert alert = any_alert();
  alert.score = std::numeric_limits<double>::infinity();
  alert.threshold = kNaN;
  alert.p_value = kNaN;
  alert.features[0] = {"cpu", "", kNaN, -std::numeric_limits<double>::infinity(), kNaN};
  alert.worst_steps[0].score = kNaN;
  const auto text = AlertEncoder{}.encode(alert);
  EXPECT_THAT(problems(text), IsEmpty());
  const auto data = json::parse(text).at("data");
  EXPECT_TRUE(data["score"].is_null());
  EXPECT_TRUE(data["features"][0]["observed"].is_null());
}

TEST(SchemaCheck, FindsWhatIsWrong) {
  json event = json::parse(AlertEncoder{}.encode(any_alert()));
  event["data"]["state"] = "closed";
  event["data"]["severity"] = 101;
  event["data"]["start"] = "yesterday";
  event["data"]["score"] = "6";
  event["data"].erase("summary");
  event["data"]["extra"] = 1;
  event["data"]["input"]["partition"] = 1.5;
  const auto found = problems(event.dump());
  for (const char* name :
       {"state", "severity", "start", "score", "summary", "extra", "partition"}) {
    EXPECT_THAT(found, HasSubstr(name));
  }
}

TEST(AlertEncoder, WritesACloudEventThatNamesTheIncident) {
  const auto event = json::parse(AlertEncoder{{.source = "/anomalyd/site-1"}}.encode(any_alert()));
  EXPECT_EQ(event["specversion"], "1.0");
  EXPECT_EQ(event["source"], "/anomalyd/site-1");
  EXPECT_EQ(event["type"], "anomalyd.incident.resolve");
  EXPECT_EQ(event["subject"], "web-07");
  EXPECT_EQ(event["partitionkey"], "5f0c9d3e1b7a4c21");
  EXPECT_EQ(event["data"]["severity"], 78);
  EXPECT_EQ(event["data"]["severity_name"], "critical");
  EXPECT_EQ(event["data"]["start"], "2026-11-20T22:15:04.000Z");
}

TEST(AlertEncoder, RepeatsItselfForTheSameMessageOnly) {
  const AlertEncoder encoder;
  Alert alert = any_alert();
  const auto id = [&] { return json::parse(encoder.encode(alert)).at("id").get<std::string>(); };
  EXPECT_EQ(encoder.encode(alert), encoder.encode(any_alert()));
  const auto first = id();
  alert.time += std::chrono::seconds{1};
  EXPECT_NE(id(), first);
  alert = any_alert();
  alert.state = AlertState::kUpdate;
  EXPECT_NE(id(), first);
}

TEST(AlertEncoder, ReplacesBytesThatAreNotUtf8) {
  Alert alert = any_alert();
  alert.series = "a\xff\xfe";
  EXPECT_EQ(json::parse(AlertEncoder{}.encode(alert))["subject"], "a\uFFFD\uFFFD");
}

TEST(ParseAlert, GivesBackWhatWasEncoded) {
  Alert alert = any_alert();
  const auto text = AlertEncoder{}.encode(alert);
  const auto parsed = parse_alert(text);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(AlertEncoder{}.encode(*parsed), text);
  EXPECT_EQ(parsed->end, alert.end);
  EXPECT_EQ(parsed->time, alert.time);
  EXPECT_EQ(parsed->features.at(1).name, "load");
  EXPECT_EQ(parsed->input, alert.input);
}

TEST(ParseAlert, ReadsNullAsNotANumber) {
  Alert alert = any_alert();
  alert.score = kNaN;
  alert.end.reset();
  const auto parsed = parse_alert(AlertEncoder{}.encode(alert));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(std::isnan(parsed->score));
  EXPECT_FALSE(parsed->end.has_value());
}

TEST(ParseAlert, SaysWhatIsWrong) {
  json event = json::parse(AlertEncoder{}.encode(any_alert()));
  const auto message = [](const std::string& text) {
    const auto parsed = parse_alert(text);
    return parsed ? std::string{} : parsed.error().message;
  };
  EXPECT_THAT(message("{"), HasSubstr("alert: "));
  EXPECT_THAT(message("{}"), HasSubstr("data"));
  auto broken = event;
  broken["data"]["state"] = "closed";
  EXPECT_THAT(message(broken.dump()), HasSubstr("state: found 'closed'"));
  broken = event;
  broken["data"]["start"] = "yesterday";
  EXPECT_THAT(message(broken.dump()),
              HasSubstr("start: found 'yesterday'; expected an RFC 3339 time"));
  broken = event;
  broken["data"]["severity"] = "high";
  EXPECT_THAT(message(broken.dump()), Not(IsEmpty()));
}

}  // namespace
}  // namespace anomalyd::connectors
