#include "connectors/codec/alert_encoder.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "connectors/codec/time_reader.hpp"

namespace anomalyd::connectors {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kStates{AlertState::kOpen, AlertState::kUpdate, AlertState::kResolve};
constexpr std::array kTypes{AlertType::kAnomaly,      AlertType::kGap,
                            AlertType::kStuckSensor,  AlertType::kClockSkew,
                            AlertType::kSilentSeries, AlertType::kChangedChannels};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json features_of(const Alert& alert) {
  Json list = Json::array();
  for (const auto& feature : alert.features) {
    list.push_back({{"name", feature.name},
                    {"unit", feature.unit},
                    {"observed", number(feature.observed)},
                    {"expected", number(feature.expected)},
                    {"share", number(feature.share)}});
  }
  return list;
}

Json steps_of(const Alert& alert) {
  Json list = Json::array();
  for (const auto& step : alert.worst_steps) {
    list.push_back({{"time", to_rfc3339(step.time)},
                    {"score", number(step.score)},
                    {"feature", step.feature}});
  }
  return list;
}

Json data_of(const Alert& alert) {
  return {{"id", alert.id},
          {"series", alert.series},
          {"state", to_string(alert.state)},
          {"type", to_string(alert.type)},
          {"start", to_rfc3339(alert.start)},
          {"time", to_rfc3339(alert.time)},
          {"end", alert.end ? Json(to_rfc3339(*alert.end)) : Json(nullptr)},
          {"severity", alert.severity},
          {"severity_name", to_string(severity_name(alert.severity))},
          {"score", number(alert.score)},
          {"threshold", number(alert.threshold)},
          {"p_value", number(alert.p_value)},
          {"rule", alert.rule},
          {"class", alert.window_class},
          {"provisional", alert.provisional},
          {"model", {{"kind", alert.model_kind}, {"version", alert.model_version}}},
          {"features", features_of(alert)},
          {"worst_steps", steps_of(alert)},
          {"input",
           {{"topic", alert.input.topic},
            {"partition", alert.input.partition},
            {"first_offset", alert.first_offset},
            {"last_offset", alert.last_offset}}},
          {"summary", alert.summary}};
}

double number_at(const Json& object, const char* name) {
  const Json& value = object.at(name);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

EventTime time_at(const Json& object, const char* name) {
  const auto& text = object.at(name).get_ref<const std::string&>();
  if (const auto time = parse_rfc3339(text)) return *time;
  throw std::invalid_argument{fmt::format("{}: found '{}'; expected an RFC 3339 time", name, text)};
}

template <typename Enum, std::size_t kSize>
Enum name_at(const Json& object, const char* name, const std::array<Enum, kSize>& values) {
  const auto& text = object.at(name).get_ref<const std::string&>();
  for (const Enum value : values) {
    if (to_string(value) == text) return value;
  }
  throw std::invalid_argument{
      fmt::format("{}: found '{}'; expected one of its known names", name, text)};
}

Alert alert_from(const Json& data) {
  Alert alert;
  alert.id = data.at("id");
  alert.series = data.at("series");
  alert.state = name_at(data, "state", kStates);
  alert.type = name_at(data, "type", kTypes);
  alert.start = time_at(data, "start");
  alert.time = time_at(data, "time");
  if (!data.at("end").is_null()) alert.end = time_at(data, "end");
  alert.severity = data.at("severity");
  alert.score = number_at(data, "score");
  alert.threshold = number_at(data, "threshold");
  alert.p_value = number_at(data, "p_value");
  alert.rule = data.at("rule");
  alert.window_class = data.value("class", "");
  alert.provisional = data.at("provisional");
  alert.model_kind = data.at("model").at("kind");
  alert.model_version = data.at("model").at("version");
  for (const Json& feature : data.at("features")) {
    alert.features.push_back({feature.at("name"), feature.at("unit"),
                              number_at(feature, "observed"), number_at(feature, "expected"),
                              number_at(feature, "share")});
  }
  for (const Json& step : data.at("worst_steps")) {
    alert.worst_steps.push_back(
        {time_at(step, "time"), number_at(step, "score"), step.at("feature")});
  }
  const Json& input = data.at("input");
  alert.input = {input.at("topic"), input.at("partition")};
  alert.first_offset = input.at("first_offset");
  alert.last_offset = input.at("last_offset");
  alert.summary = data.at("summary");
  return alert;
}

}  // namespace

std::string AlertEncoder::encode(const Alert& alert) const {
  const auto state = to_string(alert.state);
  const Json event{
      {"specversion", "1.0"},
      {"id", fmt::format("{}.{}.{}", alert.id, state, alert.time.time_since_epoch().count())},
      {"source", options_.source},
      {"type", fmt::format("anomalyd.incident.{}", state)},
      {"subject", alert.series},
      {"time", to_rfc3339(alert.time)},
      {"datacontenttype", "application/json"},
      {"partitionkey", alert.id},
      {"data", data_of(alert)}};
  return event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Alert> parse_alert(std::string_view text) {
  try {
    return alert_from(Json::parse(text).at("data"));
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInvalid, fmt::format("alert: {}", error.what()));
  }
}

}  // namespace anomalyd::connectors
