#include <fmt/format.h>

#include <chrono>

#include "config/option_rows.hpp"

namespace anomalyd::config {
namespace {

using namespace std::chrono_literals;
using pipeline::Schedule;
using std::chrono::days;

void add_reservoir(Schema& schema) {
  schema.section("retraining.reservoir", "Rows kept on disk to learn from again.");
  schema.option("retraining.reservoir.max_bytes", FIELD(service.reservoir.max_bytes))
      .bytes()
      .range(std::size_t{1} << 20, std::size_t{1} << 40)
      .help("Disk space for all rows; beyond it old rows are thinned, the newest never.");
  schema.option("retraining.reservoir.max_age", FIELD(service.reservoir.max_age))
      .range(1h, std::chrono::hours{24 * 3650})
      .help("Rows this much older than the newest one are forgotten.");
}

void add_triggers(Schema& schema) {
  schema.section("retraining.drift",
                 "Retraining when the scores of normal rows have become larger than they were.");
  schema.option("retraining.drift.enabled", FIELD(pipeline.retraining.drift.enabled))
      .help("Whether that is a reason.");
  schema.option("retraining.drift.effect", FIELD(pipeline.retraining.drift.effect))
      .range(0.01, 1)
      .help(
          "Least distance of the two distributions (Kolmogorov-Smirnov, one-sided) that matters.");
  schema.option("retraining.drift.p_value", FIELD(pipeline.retraining.drift.p_value))
      .range(1e-12, 0.1)
      .help("How unlikely the distance must be by chance.");
  schema.option("retraining.drift.hold", FIELD(pipeline.retraining.drift.hold))
      .range(0ms, days{15})
      .help("How long it must have been so, in the time of the data.");
  schema.option("retraining.drift.cycle", FIELD(pipeline.retraining.drift.cycle))
      .range(10min, days{30})
      .help(
          "What ordinary rows go through in turn. The first one is what others are compared with.");

  schema.section("retraining.governor",
                 "Retraining when series hold back alerts all the time to keep the budget.");
  schema.option("retraining.governor.enabled", FIELD(pipeline.retraining.governor.enabled))
      .help("Whether that is a reason.");
  schema.option("retraining.governor.share", FIELD(pipeline.retraining.governor.share))
      .range(0, 1)
      .help("Share of the series of a group that must be so.");
  schema.option("retraining.governor.hold", FIELD(pipeline.retraining.governor.hold))
      .range(1min, days{30})
      .help("How long they must have been so, in the time of the data.");

  schema.section("retraining.schema",
                 "Retraining when series carry new channels, or lack some that the model knows.");
  schema.option("retraining.schema.enabled", FIELD(pipeline.retraining.schema.enabled))
      .help("Whether that is a reason.");
  schema.option("retraining.schema.share", FIELD(pipeline.retraining.schema.share))
      .range(0, 1)
      .help("Share of the series of a group that must be so.");

  schema.section("retraining.unfit",
                 "When a champion is so far off that it should be replaced without delay.");
  schema.option("retraining.unfit.share", FIELD(pipeline.retraining.unfit.share))
      .range(0, 1)
      .help("Share of its series that hold back alerts all the time.");
  schema.option("retraining.unfit.hold", FIELD(pipeline.retraining.unfit.hold))
      .range(1min, days{30})
      .help("How long they must have been so, in the time of the data.");
}

void add_checks(Schema& schema) {
  schema.check({"retraining.drift.hold", "retraining.drift.cycle"},
               [](const Options& o) -> std::optional<std::string> {
                 const auto& drift = o.pipeline.retraining.drift;
                 if (drift.hold <= drift.cycle / 2) return {};
                 return fmt::format(
                     "{} is too large; expected at most half of retraining.drift.cycle, which is "
                     "{}",
                     format_duration(drift.hold), format_duration(drift.cycle));
               });
  schema.check({"retraining.unfit.hold", "retraining.governor.hold"},
               [](const Options& o) -> std::optional<std::string> {
                 const auto& retraining = o.pipeline.retraining;
                 if (retraining.unfit.hold >= retraining.governor.hold) return {};
                 return fmt::format(
                     "{} is too small; expected at least retraining.governor.hold, which is {}",
                     format_duration(retraining.unfit.hold),
                     format_duration(retraining.governor.hold));
               });
}

}  // namespace

void add_retraining_rows(Schema& schema) {
  schema.section("retraining", "When models are trained again, and what becomes of the new ones.");
  schema.option("retraining.enabled", FIELD(pipeline.retraining.enabled))
      .help("Whether normal rows are kept and models trained again.");
  schema
      .text("retraining.schedule", FIELD(pipeline.retraining.schedule),
            "an interval such as 24h, five fields of cron in UTC such as 0 3 * * *, or never",
            &Schedule::parse, &Schedule::text)
      .help("When a model is trained again whatever happens.");
  schema.option("retraining.jitter", FIELD(pipeline.retraining.jitter))
      .range(0ms, days{7})
      .help("Up to so much later, different for each group, so that they do not train at once.");
  schema.option("retraining.new_rows", FIELD(pipeline.retraining.new_rows))
      .unit("rows")
      .range(1, 1'000'000'000'000)
      .zero("never")
      .help("Normal rows of a group since its last training that are a reason for another.");
  schema.option("retraining.cool_down", FIELD(pipeline.retraining.cool_down))
      .range(0ms, days{30})
      .help("Time after a training. It doubles, up to 16 times, while challengers are refused.");
  schema.option("retraining.cold_every", FIELD(pipeline.retraining.cold_every))
      .unit("trainings")
      .range(1, 1000)
      .help("One training in so many starts from new weights, the others from the champion's.");
  schema.option("retraining.training_deadline", FIELD(pipeline.retraining.training_deadline))
      .range(1min, days{7})
      .help("A training that takes longer is given up.");
  schema.option("retraining.shadow_rows", FIELD(pipeline.retraining.shadow_rows))
      .unit("rows")
      .range(0, 1'000'000'000)
      .help("Rows of a group that a challenger judges beside the champion before it takes over.");
  schema.option("retraining.shadow_time", FIELD(pipeline.retraining.shadow_time))
      .range(0ms, days{7})
      .help("What those rows must span, in the time of the data.");
  schema.option("retraining.shadow_deadline", FIELD(pipeline.retraining.shadow_deadline))
      .range(1min, days{30})
      .help("A challenger that has not judged enough rows by then is dropped.");
  schema.option("retraining.rows", FIELD(pipeline.retraining.rows))
      .unit("rows")
      .range(0, 10'000'000)
      .help("Normal rows of each series to learn from again; 0 takes twice training.rows.");
  schema.option("retraining.unseen_share", FIELD(pipeline.retraining.unseen_share))
      .range(0.05, 0.5)
      .help("The newest of them, which only the gate sees.");
  schema.option("retraining.max_series", FIELD(pipeline.retraining.max_series))
      .unit("series")
      .range(1, 100'000)
      .help("Series of a group to learn from; of more, a fixed choice.");
  schema.option("retraining.keep_versions", FIELD(pipeline.retraining.keep_versions))
      .unit("versions")
      .range(2, 1000)
      .help("Versions of a model that are kept, to go back to.");
  schema.option("retraining.promote_unfit", FIELD(pipeline.retraining.promote_unfit))
      .help(
          "Whether an unfit champion gives way to a challenger that was not in the shadow first.");
  schema.option("retraining.audit_topic", FIELD(audit_topic))
      .form("a topic")
      .help("Where the lines of the audit log go too. Empty: only to the file.");
  schema.option("retraining.feedback_topic", FIELD(feedback_topic))
      .form("a topic")
      .help("Where people say of incidents whether they were harmless. Empty: no topic.");
  schema.option("retraining.control_topic", FIELD(control_topic))
      .form("a topic")
      .help("Where people ask for a training, a promotion, a rollback. Empty: no topic.");
  add_reservoir(schema);
  add_triggers(schema);
  add_checks(schema);
}

}  // namespace anomalyd::config
