#include "daemon/runtime/gate_json.hpp"

#include <nlohmann/json.hpp>
#include <optional>

namespace anomalyd::runtime {

using nlohmann::json;

std::string gate_json(const pipeline::GateReport& report) {
  const auto figure = [](const std::optional<double>& value) {
    return value ? json(*value) : json(nullptr);
  };
  json checks = json::array();
  for (const pipeline::GateCheck& check : report.checks) {
    checks.push_back({{"name", check.name},
                      {"state", to_string(check.state)},
                      {"reason", to_string(check.reason)},
                      {"figure", check.figure},
                      {"challenger", figure(check.challenger)},
                      {"champion", figure(check.champion)},
                      {"bound", figure(check.bound)},
                      {"seconds", check.seconds},
                      {"sentence", check.sentence}});
  }
  json recall = json::object();
  for (const pipeline::FaultRecall& type : report.recall) {
    recall[std::string{to_string(type.type)}] = {
        {"faults", type.faults}, {"challenger", type.challenger}, {"champion", type.champion}};
  }
  const json all{{"outcome", to_string(report.outcome)},
                 {"reason", to_string(report.reason())},
                 {"challenger", report.challenger},
                 {"champion", report.champion},
                 {"series", report.series},
                 {"rows", report.rows},
                 {"seconds", report.seconds},
                 {"checks", std::move(checks)},
                 {"recall", std::move(recall)}};
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace anomalyd::runtime
