#include <fmt/format.h>

#include <chrono>

#include "config/option_rows.hpp"

namespace anomalyd::config {
namespace {

using namespace std::chrono_literals;
using models::Corruption;
using models::Effort;
using models::ModelScope;
using models::VaeScore;
using pipeline::AlertBudget;
using pipeline::Threshold;

void add_window(Schema& schema) {
  schema.section("window", "How the samples of a series become rows and windows.");
  schema.option("window.length", FIELD(pipeline.window.length))
      .unit("rows")
      .range(8, 1024)
      .help("Rows of one series that a model looks at.");
  schema.option("window.stride", FIELD(pipeline.window.stride))
      .unit("rows")
      .range(1, 1024)
      .help("Every stride-th row of a series is judged.");
  schema.option("window.period", FIELD(pipeline.window.period))
      .range(1ms, std::chrono::days{1})
      .zero("auto")
      .help("Time between two rows; auto infers it for each series.");
  schema.option("window.grace", FIELD(pipeline.window.grace))
      .range(0ms, std::chrono::days{1})
      .help("How long a late row may still take its place. Rows wait that long to be judged.");
  schema.option("window.max_gap", FIELD(pipeline.window.max_gap))
      .unit("rows")
      .range(0, pipeline::Windower::kLongestGap)
      .help("A longer gap restarts the window; a shorter one is missing rows.");
  schema.option("window.max_missing", FIELD(pipeline.window.max_missing))
      .range(0, 1)
      .help("Rows and windows with a larger share of missing values are not judged.");
  schema.option("window.evict_after", FIELD(pipeline.window.evict_after))
      .range(1min, std::chrono::days{3650})
      .help("A series that is silent for so long is forgotten.");
}

void add_data_faults(Schema& schema) {
  schema.section("data_faults",
                 "Faults of the data themselves, published as alerts of their own type.");
  schema.option("data_faults.enabled", FIELD(pipeline.faults.enabled))
      .help("Whether data faults are published.");
  schema.option("data_faults.stuck_rows", FIELD(pipeline.faults.stuck_rows))
      .unit("rows")
      .range(2, 1'000'000)
      .help("A channel that used to move may rest so long, and four times its longest rest.");
  schema.option("data_faults.absent_rows", FIELD(pipeline.faults.absent_rows))
      .unit("rows")
      .range(1, 1'000'000)
      .help("A channel may be missing, or a new one present, for so long.");
  schema.option("data_faults.skewed_samples", FIELD(pipeline.faults.skewed_samples))
      .unit("samples")
      .range(1, 1'000'000)
      .help("So many late samples in a row mean that a clock was set back.");
  schema.option("data_faults.silent_after", FIELD(pipeline.faults.silent_after))
      .range(1s, std::chrono::days{365})
      .help("A series may be silent for so long, and for ten of its periods.");
}

void add_model(Schema& schema) {
  schema.section("model", "What learns how a series behaves, and where it runs.");
  schema.option("model.kind", FIELD(model.kind))
      .form(
          "auto, linear, memory, latent, pca, dense_ae, conv_ae, channel_ae, vae, conv_vae, cvae, "
          "aae, aae_cluster, aae_supervised, aae_semi, or several joined by +")
      .help(
          "Kind of model. auto goes by the number of series: linear with memory, with latent, "
          "alone.");
  schema
      .choice("model.effort", FIELD(model.effort),
              {{"low", Effort::kLow}, {"normal", Effort::kNormal}, {"high", Effort::kHigh}})
      .help("For auto: how much work a window may make, and how much memory a series may take.");
  schema
      .choice("model.scope", FIELD(model.scope),
              {{"auto", ModelScope::kAuto},
               {"pooled", ModelScope::kPooled},
               {"pooled_networks", ModelScope::kPooledNetworks},
               {"per_series", ModelScope::kPerSeries}})
      .help(
          "Whether series with the same channels share weights: all, those of networks, or none. "
          "auto goes by their number.");
  schema.option("model.device", FIELD(model.device))
      .form("auto, cpu, cuda or cuda:N")
      .help("Where windows are scored. auto takes a GPU when there is one.");
  schema.option("model.threads", FIELD(model.threads))
      .unit("threads")
      .range(1, 256)
      .zero("auto")
      .help("Threads of one scoring call on a CPU; auto is half of the cores.");
  schema.option("model.checkpoint", FIELD(service.checkpoint))
      .form("a file")
      .help("A trained model to begin with. Empty: the daemon learns by itself.");
  schema.option("model.variance", FIELD(model.variance))
      .range(0.5, 0.999)
      .help("For pca: share of the variance that its components keep.");
  schema.option("model.hidden", FIELD(model.hidden))
      .form("1 to 8 widths of 1..8192")
      .help("For autoencoders of dense layers: widths of the layers down to the code.");
  schema.option("model.latent", FIELD(model.latent))
      .range(1, 1024)
      .help("For autoencoders: width of the code, at most a quarter of the values of a window.");
  schema
      .choice("model.vae_score", FIELD(model.vae_score),
              {{"mean", VaeScore::kMean},
               {"probability", VaeScore::kProbability},
               {"elbo", VaeScore::kElbo}})
      .help("For vae, conv_vae and cvae: what a window is scored by.");
  schema.option("model.conditions", FIELD(model.conditions))
      .form("a list of hour, weekday, holiday, entity, or channels")
      .help("For cvae: what normal depends on. entity is the series, up to 512 of them.");
  schema.option("model.holidays", FIELD(model.holidays))
      .form("a list of dates such as 2026-12-25")
      .help("For the condition holiday.");
  schema.option("model.utc_offset", FIELD(model.utc_offset))
      .range(-24h, 24h)
      .help("Of the calendar that hour, weekday and holiday follow.");
  schema.option("model.regimes", FIELD(model.regimes))
      .unit("regimes")
      .range(1, 64)
      .help("For aae_cluster: operating regimes to tell apart, at most.");
  schema.option("model.seed", FIELD(model.seed))
      .help("The same seed and rows give the same weights on a CPU.");
}

void add_training(Schema& schema) {
  schema.section("training", "When and from what a series is learned.");
  schema.option("training.rows", FIELD(pipeline.training.rows))
      .unit("rows")
      .range(64, 1'000'000)
      .help("Rows of a series that make its training set; it warms up until then.");
  schema.option("training.provisional_rows", FIELD(pipeline.training.provisional_rows))
      .unit("rows")
      .range(64, 1'000'000)
      .help("A new series whose group has a model is judged, provisionally, after so many.");
  schema.option("training.calibration_share", FIELD(pipeline.training.calibration_share))
      .range(0.1, 0.5)
      .help("The newest share of them, kept from the model to calibrate its scores.");
  schema.option("training.detect_counters", FIELD(pipeline.training.detect_counters))
      .help("Whether channels that only grow become rates per second.");
  schema.option("training.pooled_series", FIELD(pipeline.training.pooled_series))
      .unit("series")
      .range(1, 1000)
      .help("Series whose rows calibrate new ones of their group.");
  schema.option("training.straggler_share", FIELD(pipeline.training.patience))
      .range(0, 10)
      .help("How long complete series wait for slower ones of their group, as a share of rows.");
  schema.option("training.epochs", FIELD(model.epochs))
      .unit("epochs")
      .range(1, 10'000)
      .help("For autoencoders: passes over the rows, at most.");
  schema.option("training.patience", FIELD(model.patience))
      .unit("epochs")
      .range(1, 1000)
      .help("For autoencoders: epochs without improvement that end the training.");
  schema.option("training.batch", FIELD(model.batch))
      .unit("windows")
      .range(16, 65'536)
      .help("For autoencoders: windows in one step.");
  schema.option("training.max_windows", FIELD(model.max_windows))
      .unit("windows")
      .range(64, 1'000'000)
      .help("For autoencoders: windows to learn from, at most.");
  schema
      .choice("training.corruption", FIELD(model.corruption),
              {{"none", Corruption::kNone},
               {"gaussian", Corruption::kGaussian},
               {"masking", Corruption::kMasking},
               {"blocks", Corruption::kBlocks},
               {"features", Corruption::kFeatures}})
      .help("For autoencoders: what is done to windows that the network learns to restore.");
  schema.option("training.corruption_amount", FIELD(model.corruption_amount))
      .range(0, 1)
      .help("Deviation of the noise, or share of cells, channels' windows or channels hidden.");
  schema.option("training.learning_rate", FIELD(model.learning_rate))
      .range(1e-6, 0.1)
      .help("For autoencoders: step size of Adam.");
}

void add_threshold(Schema& schema) {
  schema.section("threshold", "How rare a score must be. Most users set alerts.budget instead.");
  schema
      .choice("threshold.method", FIELD(pipeline.detector.threshold.kind),
              {{"tail", Threshold::Kind::kTail},
               {"fixed", Threshold::Kind::kFixed},
               {"quantile", Threshold::Kind::kQuantile},
               {"mad", Threshold::Kind::kMad}})
      .help("tail fits the recent large scores and follows them, within the alert budget.");
  schema.option("threshold.fixed", FIELD(pipeline.detector.threshold.fixed))
      .range(0, 1e9)
      .help("For fixed: the score. Ordinary ones are about 0.7.");
  schema.option("threshold.quantile", FIELD(pipeline.detector.threshold.quantile))
      .range(0.5, 1)
      .help("For quantile: share of the recent scores below it.");
  schema.option("threshold.deviations", FIELD(pipeline.detector.threshold.deviations))
      .range(0, 1000)
      .help("For mad: median deviations of the logarithm of the score.");
  schema.option("threshold.per_regime", FIELD(pipeline.detector.per_regime))
      .help("For aae_cluster: whether each operating regime has a tail of its own.");
  schema.option("threshold.memory_rows", FIELD(pipeline.detector.threshold.tail.memory_rows))
      .unit("rows")
      .range(100, 1e7)
      .help("For tail: a row's weight has faded to 1/e after so many.");
  schema.option("threshold.excesses", FIELD(pipeline.detector.threshold.tail.excesses))
      .unit("excesses")
      .range(16, 4096)
      .help("For tail: newest large scores that it is fitted to.");
}

void add_alerts(Schema& schema) {
  schema.section("alerts", "Where incidents go, and how many of them a person can stand.");
  schema.option("alerts.topic", FIELD(alert_topic))
      .form("a topic")
      .required()
      .help("Topic that incidents are published to.");
  schema
      .text("alerts.budget", FIELD(pipeline.budget), "a budget such as 1 per series per week",
            &AlertBudget::parse, &AlertBudget::text)
      .help("How many alerts you can stand, per series or per fleet. The main knob.");
  schema.option("alerts.magnitude", FIELD(pipeline.detector.rule.magnitude))
      .range(0.1, 100)
      .help("How large a rare row must be to count, in units of what calibration found extreme.");
  schema.option("alerts.high_magnitude", FIELD(pipeline.detector.rule.high_magnitude))
      .range(0.1, 100)
      .help("The same for a row that is up to ten times less rare.");
}

void add_incidents(Schema& schema) {
  schema.option("alerts.confirm", FIELD(pipeline.incidents.confirm))
      .unit("rows")
      .range(1, 64)
      .help("Abnormal rows, among the last confirm_rows, that open an incident.");
  schema.option("alerts.confirm_rows", FIELD(pipeline.incidents.confirm_rows))
      .unit("rows")
      .range(1, 64)
      .help("Rows among which they are counted.");
  schema.option("alerts.resolve_rows", FIELD(pipeline.incidents.resolve_rows))
      .unit("rows")
      .range(1, 100'000)
      .help("Ordinary rows in succession that resolve an incident.");
  schema.option("alerts.merge_rows", FIELD(pipeline.incidents.merge_rows))
      .unit("rows")
      .range(0, 100'000)
      .help("Rows after that in which the same incident opens again instead of a new one.");
  schema.option("alerts.cool_down_rows", FIELD(pipeline.incidents.cool_down_rows))
      .unit("rows")
      .range(0, 1'000'000)
      .help("Rows after an incident in which no other one opens for the series.");
  schema.option("alerts.update_rows", FIELD(pipeline.incidents.update_rows))
      .unit("rows")
      .range(1, 1'000'000)
      .help("While an incident is open, an update comes this often.");
  schema.option("alerts.abandon_rows", FIELD(pipeline.incidents.abandon_rows))
      .unit("rows")
      .range(1, 1'000'000)
      .help("Rows in succession that could not be judged, which resolve an incident too.");
  schema.option("alerts.worst_steps", FIELD(pipeline.incidents.worst_steps))
      .unit("rows")
      .range(0, 20)
      .help("Worst rows named in each alert.");
  schema.option("alerts.features", FIELD(pipeline.incidents.features))
      .unit("channels")
      .range(1, 100)
      .help("Channels named in each alert, worst first.");
}

using Complaint = std::optional<std::string>;

void add_checks(Schema& schema) {
  schema.check({"window.stride", "window.length"}, [](const Options& o) -> Complaint {
    const auto& window = o.pipeline.window;
    if (window.stride <= window.length) return {};
    return fmt::format("{} is too large; expected at most window.length, which is {}",
                       window.stride, window.length);
  });
  schema.check({"training.provisional_rows", "training.rows"}, [](const Options& o) -> Complaint {
    const auto& training = o.pipeline.training;
    if (training.provisional_rows <= training.rows) return {};
    return fmt::format("{} is too large; expected at most training.rows, which is {}",
                       training.provisional_rows, training.rows);
  });
  schema.check({"training.rows", "window.length"}, [](const Options& o) -> Complaint {
    const std::size_t least = 4 * o.pipeline.window.length;
    if (o.pipeline.training.rows >= least) return {};
    return fmt::format("{} is too small; expected at least 4 times window.length, which is {}",
                       o.pipeline.training.rows, least);
  });
  schema.check({"alerts.confirm", "alerts.confirm_rows"}, [](const Options& o) -> Complaint {
    const auto& incidents = o.pipeline.incidents;
    if (incidents.confirm <= incidents.confirm_rows) return {};
    return fmt::format("{} is too large; expected at most alerts.confirm_rows, which is {}",
                       incidents.confirm, incidents.confirm_rows);
  });
  schema.check({"alerts.high_magnitude", "alerts.magnitude"}, [](const Options& o) -> Complaint {
    const auto& rule = o.pipeline.detector.rule;
    if (rule.high_magnitude >= rule.magnitude) return {};
    return fmt::format("{} is too small; expected at least alerts.magnitude, which is {}",
                       rule.high_magnitude, rule.magnitude);
  });
}

}  // namespace

void add_detection_rows(Schema& schema) {
  add_window(schema);
  add_data_faults(schema);
  add_model(schema);
  add_training(schema);
  add_threshold(schema);
  add_alerts(schema);
  add_incidents(schema);
  add_checks(schema);
}

}  // namespace anomalyd::config
