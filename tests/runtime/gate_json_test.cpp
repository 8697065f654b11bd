#include "daemon/runtime/gate_json.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace anomalyd::runtime {
namespace {

TEST(GateJson, HasTheChecksAndTheFaults) {
  pipeline::GateReport report;
  report.outcome = pipeline::GateOutcome::kRefused;
  report.challenger = "aa";
  report.champion = "bb";
  report.rows = 1800;
  report.checks = {{.name = "loss",
                    .state = pipeline::GateCheck::State::kFailed,
                    .reason = pipeline::GateReason::kWorseLoss,
                    .figure = "loss, the champion's is 1",
                    .challenger = 1.05,
                    .bound = 1.02},
                   {.name = "recall"}};
  report.recall = {{pipeline::FaultType::kBrokenCoupling, 24, 10, 12}};
  const auto json = nlohmann::json::parse(gate_json(report));
  EXPECT_EQ(json["outcome"], "refused");
  EXPECT_EQ(json["reason"], "worse_loss");
  EXPECT_EQ(json["checks"][0]["challenger"], 1.05);
  EXPECT_TRUE(json["checks"][0]["champion"].is_null());
  EXPECT_EQ(json["checks"][1]["state"], "not reached");
  EXPECT_EQ(json["recall"]["broken_coupling"]["champion"], 12);
}

}  // namespace
}  // namespace anomalyd::runtime
