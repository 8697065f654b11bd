#include <fmt/format.h>

#include <chrono>

#include "config/option_rows.hpp"

namespace anomalyd::config {

using namespace std::chrono_literals;

void add_gate_rows(Schema& schema) {
  schema.section("retraining.gate",
                 "What a retrained model has to prove before it may take the champion's place.");
  schema.option("retraining.gate.loss_margin", FIELD(service.gate.loss_margin))
      .range(0, 1)
      .help("By how much its loss on rows that neither has seen may exceed the champion's.");
  schema.option("retraining.gate.budget_multiple", FIELD(service.gate.budget_multiple))
      .range(1, 100)
      .help("Alerts on normal rows that it may make, in alert budgets; chance comes on top.");
  schema.option("retraining.gate.recall_margin", FIELD(service.gate.recall_margin))
      .range(0, 1)
      .help("By how much its recall of injected faults may be lower than the champion's.");
  schema.option("retraining.gate.confidence", FIELD(service.gate.confidence))
      .range(0.5, 0.9999)
      .help("How sure a refusal must be that it is not chance.");
  schema.option("retraining.gate.min_rows", FIELD(service.gate.min_rows))
      .unit("rows")
      .range(64, 1'000'000)
      .help("Unseen rows of all series together that a judgement takes.");
  schema.option("retraining.gate.max_rows", FIELD(service.gate.max_rows))
      .unit("rows")
      .range(500, 1'000'000)
      .help("Of more only the newest are used.");
  schema.option("retraining.gate.faults", FIELD(service.gate.faults))
      .unit("faults")
      .range(4, 1000)
      .help("Injected faults of each of the seven types.");
  schema.option("retraining.gate.load_limit", FIELD(service.gate.load_limit))
      .range(100ms, 1h)
      .help("How long reading the new model may take.");
  schema.option("retraining.gate.check_limit", FIELD(service.gate.check_limit))
      .range(1s, 1h)
      .help("How long each of the other checks may take.");
  schema.option("retraining.gate.max_bytes", FIELD(service.gate.max_bytes))
      .bytes()
      .range(std::size_t{1} << 20U, std::size_t{4} << 30U)
      .help("A larger checkpoint is refused.");
  schema.option("retraining.gate.data_limit", FIELD(service.gate.data_limit))
      .range(1min, std::chrono::days{30})
      .help("How long to wait for enough unseen rows; then the champion stays.");
  schema.option("retraining.gate.promote_unproven", FIELD(service.gate.promote_unproven))
      .help("Whether a model that could not be judged in that time replaces an unfit champion.");
  schema.option("retraining.gate.seed", FIELD(service.gate.seed))
      .help("The same seed, models and rows give the same judgement.");
  schema.check({"retraining.gate.min_rows", "retraining.gate.max_rows"},
               [](const Options& o) -> std::optional<std::string> {
                 if (o.service.gate.min_rows <= o.service.gate.max_rows) return {};
                 return fmt::format("{} is too large; expected at most max_rows, which is {}",
                                    o.service.gate.min_rows, o.service.gate.max_rows);
               });
}

}  // namespace anomalyd::config
