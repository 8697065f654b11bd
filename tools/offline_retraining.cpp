#include "tools/offline_retraining.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "daemon/pipeline/retraining.hpp"
#include "daemon/runtime/challenger.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "daemon/runtime/snapshot_store.hpp"
#include "daemon/wiring.hpp"
#include "tools/history_collector.hpp"
#include "tools/interrupt.hpp"
#include "tools/kafka_arguments.hpp"
#include "tools/training_bar.hpp"
#include "tools/version_options.hpp"
#include "tools/workbench.hpp"

namespace anomalyd::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using pipeline::JudgedRows;
using pipeline::RowMark;
using runtime::Challenger;
using runtime::ModelRegistry;

constexpr std::size_t kLeastRowsKept = 50'000;  // of each series of files and topics, the newest

/// The champion of the group, with all that it takes to train another.
struct Defender {
  ModelRegistry::Group group;
  config::Options options;
  std::unique_ptr<ModelFactory> factory;
  runtime::ServiceableModel model;
  std::vector<pipeline::Label> labels;
};

/// As the configuration says that is given, else as the champion was trained.
Result<config::Options> options_for(const ModelPlace& place, const runtime::Manifest& champion) {
  auto options = place.config_file.empty()
                     ? options_of(place, champion)
                     : Result<config::Options>{load_config(place.config_file).options};
  if (options) adapt_to_records(*options);
  return options;
}

Result<Defender> defender_of(const OfflineRetraining& what, const ModelRegistry& models) {
  const fs::path state = what.place.state_dir;
  for (const std::string& trouble : models.troubles()) {
    fmt::print(stderr, "anomalyctl: {}\n", trouble);
  }
  const auto groups = models.groups();
  if (groups.empty()) {
    return fail(
        ErrorKind::kInvalid,
        (state / "models").string() +
            ": found no models; expected one to retrain. The daemon learns the first one by "
            "itself, or begins with what `anomalyctl train` wrote (model.checkpoint)");
  }
  auto group = find_group(groups, what.group, "");
  if (!group) return Failure{std::move(group.error())};
  if (!group->champion) {
    return fail(ErrorKind::kInvalid, "group " + group->id +
                                         " has no champion to compare with; expected one: "
                                         "anomalyctl models promote VERSION");
  }
  const auto manifest = ModelRegistry::version(*group, group->champion->version);
  if (!manifest) return Failure{manifest.error()};
  auto options = options_for(what.place, *manifest);
  if (!options) return Failure{std::move(options.error())};
  auto factory = make_factory(*options);
  if (!factory) return Failure{std::move(factory.error())};
  auto model = load_version(models, **factory, *group, manifest->version);
  if (!model) return fail(std::move(model.error()), "loading the champion");
  const auto said = runtime::FeedbackStore{state}.read();
  if (!said) return Failure{said.error()};
  for (const Error& ignored : said->ignored) {
    fmt::print(stderr, "anomalyctl: {}\n", ignored.message);
  }
  return Defender{std::move(*group), std::move(*options), std::move(*factory), std::move(*model),
                  labels_of(said->feedback)};
}

/// Rows by series, and where each series comes from as far as that is known.
struct RowsAtHand {
  std::vector<std::vector<JudgedRows>> series;
  std::map<std::string, PartitionId> partition_of;
};

Result<RowsAtHand> rows_of_reservoir(const Defender& defender, const fs::path& state) {
  auto read = runtime::ReservoirReader{state / "reservoir"}.read(
      defender.group.key, {.max_series = defender.options.pipeline.retraining.max_series});
  if (!read) {
    return fail(ErrorKind::kInvalid, read.error().message +
                                         "; expected some that a daemon has judged, or files or "
                                         "--from and --until");
  }
  for (const Error& damage : read->damage) fmt::print(stderr, "anomalyctl: {}\n", damage.message);
  RowsAtHand rows;
  for (auto& [id, chunks] : read->series) rows.series.push_back(std::move(chunks));
  return rows;
}

/// Rows are normal but for those of known incidents.
std::vector<RowMark> marks_of(const pipeline::History& rows,
                              const std::vector<runtime::KnownIncident>& incidents) {
  std::vector<RowMark> marks(rows.size(), RowMark::kNormal);
  for (const auto& incident : incidents) {
    if (incident.series != rows.series) continue;
    const auto first =
        std::ranges::lower_bound(rows.times, incident.start.time_since_epoch().count());
    const auto last = std::ranges::upper_bound(rows.times, incident.end.time_since_epoch().count());
    for (auto at = first; at < last; ++at) {
      marks[static_cast<std::size_t>(at - rows.times.begin())] = RowMark::kIncident;
    }
  }
  return marks;
}

Result<RowsAtHand> rows_of_feed(const Defender& defender, const FeedArguments& arguments,
                                const fs::path& state) {
  const auto incidents = runtime::IncidentLog{state}.read();
  if (!incidents) return Failure{incidents.error()};
  auto feed = arguments.open(defender.options, DatasetPart::kTraining);
  if (!feed) return Failure{std::move(feed.error())};
  const auto& options = defender.options.pipeline;
  HistoryCollector collector{options.window, std::max(kLeastRowsKept, options.retraining.rows)};
  auto collected = pump_all(**feed, "reading", [&](const SampleBlock& block) {
    collector.take(block);
    return Status{};
  });
  if (!collected) return Failure{std::move(collected.error())};
  if (interrupted()) return fail(ErrorKind::kCancelled, "interrupted");
  auto groups = collector.groups(1);
  const auto found = groups.find(defender.group.key);
  if (found == groups.end()) {
    std::string keys;
    for (const auto& [key, group] : groups) keys += (keys.empty() ? "" : "; ") + key;
    const std::size_t rejected = (*feed)->num_rejected();
    const std::string unusable =
        rejected == 0 ? "" : fmt::format(", {} records could not be used", rejected);
    const std::string found_series =
        keys.empty() ? "no rows"
                     : fmt::format("{} series with the channels {}", collector.num_series(), keys);
    return fail(ErrorKind::kInvalid, fmt::format("found {}{}; expected some with {}", found_series,
                                                 unusable, defender.group.key));
  }
  RowsAtHand rows{{}, std::move(found->second.partition_of)};
  for (pipeline::History& history : found->second.histories) {
    std::vector<RowMark> marks = marks_of(history, *incidents);
    rows.series.push_back({{found->second.channels, std::move(history), std::move(marks)}});
  }
  return rows;
}

/// Where the series of the group come from: the one partition that it was learned from before, or
/// what the snapshots of several say.
std::map<std::string, PartitionId> partitions_of(const Defender& defender, const RowsAtHand& rows,
                                                 const fs::path& state) {
  std::set<PartitionId> partitions;
  for (const auto& version : defender.group.versions) {
    for (const auto& range : version.data) partitions.insert(range.partition);
  }
  std::map<std::string, PartitionId> partition_of;
  if (partitions.size() == 1) {
    for (const auto& chunks : rows.series) {
      partition_of.emplace(chunks.front().history.series, *partitions.begin());
    }
    return partition_of;
  }
  std::error_code ignored;
  if (!fs::exists(state / "partitions", ignored)) return partition_of;
  const auto snapshots = runtime::SnapshotStore::open(state / "partitions");
  for (const PartitionId& partition : partitions) {
    if (!snapshots) break;
    const auto snapshot = snapshots->read(partition);
    if (!snapshot || !*snapshot) continue;
    pipeline::PartitionPipeline pipeline{partition, defender.options.pipeline};
    pipeline.install(defender.model.group);
    StateReader in{(*snapshot)->state()};
    if (!pipeline.load(in)) continue;
    for (const std::string& id : pipeline.series_of(defender.group.key)) {
      partition_of.emplace(id, partition);
    }
  }
  return partition_of;
}

/// What is said of it, and whether it may serve.
struct Ruling {
  std::string outcome;
  std::string reason;
  std::string sentence;
};

/// As the daemon rules: by the gate, then by how it judges beside the champion, which is noted in
/// its report. `newest` are the rows behind those that were learned from.
Ruling rule_on(Challenger& challenger, std::span<const pipeline::History> newest,
               const pipeline::GateContext& context) {
  const pipeline::GateReport& gate = challenger.report.gate;
  const auto ruling = pipeline::rule(gate, {}, context.gate);
  std::string failure;
  std::optional<pipeline::ShadowRuling> shadow;
  const bool scores = std::ranges::any_of(gate.checks, [](const pipeline::GateCheck& check) {
    return check.name == "shape" && check.state == pipeline::GateCheck::State::kPassed;
  });
  if (scores) {
    const auto report = pipeline::replay_shadow({challenger.scorer.get(), challenger.group},
                                                challenger.champion, newest, context);
    if (report) {
      const pipeline::Pace pace = pipeline::pace_of(*challenger.group, context.pipeline);
      challenger.report.incidents = pipeline::incident_diff(*report, pace.slack);
      shadow =
          pipeline::rule_ended_shadow(*report, pace.budget_per_row, context.pipeline.retraining);
    } else {
      failure = report.error().message;
    }
  }
  if (ruling != pipeline::GateRuling::kPromote) {
    return {ruling == pipeline::GateRuling::kWait ? "postponed" : "refused",
            std::string{to_string(gate.reason())}, gate.sentence()};
  }
  if (!shadow) return {"refused", "scoring_failed", failure};
  const std::string sentence =
      fmt::format("{}; {}", shadow->sentence, to_text(*challenger.report.incidents));
  if (shadow->outcome == pipeline::ShadowRuling::Outcome::kPromote) return {"passed", "", sentence};
  return {"refused", std::string{to_string(shadow->outcome)}, sentence};
}

/// A retraining that may write: what the daemon writes of one, in registry and audit log.
class Record {
 public:
  /// `models` is null for a dry run.
  Record(ModelRegistry* models, std::string group) : models_{models}, group_{std::move(group)} {}

  void begins(const std::string& why) const { note("retraining", "", "command: " + why); }
  void failed(const Error& error) const { note("failed", "", "training_failed: " + error.message); }
  /// Keeps the version and, if it is to serve, promotes it; tells in `ruling`.
  Status ended(std::unique_ptr<ModelRegistry::Draft> draft, const runtime::Manifest& manifest,
               Ruling& ruling, bool promote, std::size_t keep_versions) const {
    if (models_ == nullptr) return {};
    auto added = models_->add(std::move(draft), manifest, user_name());
    if (!added) return fail(std::move(added.error()), "keeping the challenger");
    if (ruling.outcome != "passed") {
      note(ruling.outcome, manifest.version, ruling.reason + ": " + ruling.sentence);
    } else if (promote) {
      auto champion = models_->promote(group_, manifest.version,
                                       {.why = ruling.sentence, .by = user_name(), .since = {}});
      if (!champion) return fail(std::move(champion.error()), "promoting the challenger");
      ruling.outcome = "promoted";
    }
    const auto kept = models_->keep(group_, keep_versions);
    return kept ? Status{} : Status{Failure{kept.error()}};
  }

 private:
  void note(std::string event, std::string version, std::string reason) const {
    if (models_ == nullptr) return;
    models_->note(
        {std::move(event), group_, std::move(version), std::move(reason), user_name(), ""});
  }

  ModelRegistry* models_;
  std::string group_;
};

/// Trains, judges and records. `drafts` is where the challenger is written.
Result<json> retrain(const OfflineRetraining& what, Defender& defender, const ModelRegistry& drafts,
                     const Record& record) {
  const fs::path state = what.place.state_dir;
  const auto& options = defender.options.pipeline;
  const auto& gate = defender.options.service.gate;
  auto rows = what.feed.given() ? rows_of_feed(defender, what.feed, state)
                                : rows_of_reservoir(defender, state);
  if (!rows) return Failure{std::move(rows.error())};
  if (!what.dry_run && rows->partition_of.empty()) {
    rows->partition_of = partitions_of(defender, *rows, state);
  }
  runtime::Challenge challenge;
  challenge.champion = {defender.model.scorer.get(), defender.model.group};
  challenge.rows = pipeline::retraining_rows(rows->series, defender.labels, {}, options,
                                             runtime::faults_for(defender.model.group->info));
  challenge.labels = defender.labels;
  challenge.partition_of = std::move(rows->partition_of);
  challenge.start =
      pipeline::RetrainPolicy{options.retraining}.start(runtime::past_of(defender.group));
  challenge.trigger = to_string(pipeline::Trigger::kCommand);
  challenge.why = what.why;
  const auto newest = pipeline::rows_behind(challenge.rows.learned, rows->series, options);
  rows->series.clear();

  record.begins(what.why);
  auto draft = drafts.begin();
  if (!draft) return Failure{std::move(draft.error())};
  TrainingBar bar;
  const auto on_trained = [&](const ModelInfo& info) {
    bar.finish();
    fmt::print(stderr, "anomalyctl: judging {} beside {}\n", info.version,
               defender.model.manifest.version);
  };
  const runtime::ModelOrigin origin = origin_of(defender.options);
  auto challenger = make_challenger(std::move(challenge), **draft,
                                    {*defender.factory, options, gate, origin, system_clock(),
                                     bar.callback(), on_trained, bar.stop_token()});
  if (!challenger) {
    record.failed(challenger.error());
    return Failure{std::move(challenger.error())};
  }
  Ruling ruling = rule_on(*challenger, newest, {options, gate, system_clock(), bar.stop_token()});
  auto ended = record.ended(std::move(*draft), challenger->manifest, ruling, what.promote,
                            options.retraining.keep_versions);
  if (!ended) return Failure{std::move(ended.error())};
  return json{{"group", defender.group.key},
              {"trigger", challenger->manifest.reason},
              {"version", challenger->manifest.version},
              {"outcome", ruling.outcome},
              {"reason", ruling.reason},
              {"sentence", ruling.sentence},
              {"gate", gate_table(challenger->report.gate)},
              {"report", json::parse(to_json(challenger->report))}};
}

}  // namespace

Result<json> retrain_offline(const OfflineRetraining& what) {
  if (what.dry_run) {
    const auto models = what.place.open();
    if (!models) return Failure{models.error()};
    auto defender = defender_of(what, **models);
    if (!defender) return Failure{std::move(defender.error())};
    const auto bench = Workbench::make();
    if (!bench) return Failure{bench.error()};
    return retrain(what, *defender, bench->models(), {nullptr, defender->group.key});
  }
  auto state = OwnedState::take(what.place.state_dir);
  if (!state) return Failure{std::move(state.error())};
  auto defender = defender_of(what, *state->models);
  if (!defender) return Failure{std::move(defender.error())};
  return retrain(what, *defender, *state->models, {state->models.get(), defender->group.key});
}

std::string retraining_text(const json& retraining) {
  const auto loss = [](const json& value) {
    return value.is_number() ? fmt::format("{:.5g}", value.get<double>()) : "-";
  };
  std::string text;
  const json report = retraining.value("report", json{});
  if (report.is_object()) {
    text += fmt::format("{:<24}{:>12}{:>16}\n", "trained", "loss fitted", "loss kept back");
    for (const json& member : report.at("losses")) {
      text += fmt::format("  {:<22}{:>12}{:>16}\n", member.at("member").get<std::string>(),
                          loss(member.at("fitted")), loss(member.at("kept_back")));
    }
    text += '\n';
  }
  if (const auto table = retraining.value("gate", ""); !table.empty()) text += table + '\n';
  if (report.is_object() && report.at("incidents").is_object()) {
    constexpr std::size_t kMostShown = 20;
    const json& incidents = report.at("incidents");
    text += fmt::format(
        "{} rows judged by both: {} incidents of both, {} of the champion alone, {} "
        "of the challenger alone\n",
        incidents.at("rows").get<std::size_t>(), incidents.at("both").get<std::size_t>(),
        incidents.at("champion").get<std::size_t>(), incidents.at("challenger").get<std::size_t>());
    const json& alone = incidents.at("alone");
    for (std::size_t i = 0; i < std::min(kMostShown, alone.size()); ++i) {
      text += fmt::format("  {:<12}{} {}\n", alone[i].at("by").get<std::string>(),
                          alone[i].at("opened").get<std::string>(),
                          alone[i].at("series").get<std::string>());
    }
    if (alone.size() > kMostShown)
      text += fmt::format("  and {} more\n", alone.size() - kMostShown);
    text += '\n';
  }
  const auto of = [&](const char* name) { return retraining.at(name).get<std::string>(); };
  return text + fmt::format("{} {}{}{}\n{}\n", of("version"), of("outcome"),
                            of("reason").empty() ? "" : ": ", of("reason"), of("sentence"));
}

}  // namespace anomalyd::tools
