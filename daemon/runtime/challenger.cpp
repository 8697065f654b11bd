#include "daemon/runtime/challenger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/runtime/gate_json.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/reservoir.hpp"

namespace anomalyd::runtime {
namespace {

using nlohmann::json;
using pipeline::History;
using pipeline::IncidentDiff;

/// Where the rows of each partition that a challenger learned from lie.
std::vector<DataRange> ranges_of(const std::vector<History>& histories,
                                 const std::map<std::string, PartitionId>& partition_of) {
  std::map<PartitionId, DataRange> ranges;
  for (const History& history : histories) {
    if (history.size() == 0) continue;
    const auto known = partition_of.find(history.series);
    const PartitionId partition = known == partition_of.end() ? PartitionId{} : known->second;
    DataRange& range = ranges[partition];
    range.partition = partition;
    extend(range, history);
  }
  std::vector<DataRange> all;
  for (const auto& [partition, range] : ranges) all.push_back(range);
  return all;
}

json losses_of(const TrainingReport& report) {
  json members = json::array();
  const auto loss = [](double value) { return std::isfinite(value) ? json(value) : json(nullptr); };
  for (const TrainingReport::Member& member : report.members) {
    members.push_back({{"member", member.name},
                       {"epochs", member.epochs},
                       {"fitted", loss(member.fit_loss)},
                       {"kept_back", loss(member.validation_loss)}});
  }
  return members;
}

json incidents_of(const IncidentDiff& diff) {
  json alone = json::array();
  for (const auto& one : diff.alone) {
    alone.push_back({{"series", one.series},
                     {"opened", to_rfc3339(one.start)},
                     {"by", one.of_challenger ? "challenger" : "champion"}});
  }
  return {{"rows", diff.rows},
          {"both", diff.both},
          {"champion", diff.champion},
          {"challenger", diff.challenger},
          {"alone", std::move(alone)}};
}

}  // namespace

void extend(DataRange& range, const History& history) {
  if (history.size() == 0) return;
  const auto [first, last] = std::ranges::minmax(history.offsets);
  const auto [from, until] = std::ranges::minmax(history.times);
  const EventTime begin{std::chrono::microseconds{from}}, end{std::chrono::microseconds{until}};
  const bool is_first = range.rows == 0;
  range.first = is_first ? first : std::min(range.first, first);
  range.last = is_first ? last : std::max(range.last, last);
  range.from = is_first ? begin : std::min(range.from, begin);
  range.until = is_first ? end : std::max(range.until, end);
  range.rows += history.size();
}

std::string to_json(const ChallengerReport& report) {
  const json all{{"losses", losses_of(report.training)},
                 {"gate", json::parse(gate_json(report.gate))},
                 {"incidents", report.incidents ? incidents_of(*report.incidents) : json(nullptr)}};
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

pipeline::Faults faults_for(const ModelInfo& info) {
  const bool tells_apart = !info.classes.empty() && info.num_regimes() == 0;
  return tells_apart ? pipeline::Faults::kLearned : pipeline::Faults::kLeftOut;
}

pipeline::RetrainPolicy::Past past_of(const ModelRegistry::Group& group) {
  pipeline::RetrainPolicy::Past past;
  past.trainings = group.versions.size();
  for (const Manifest& version : group.versions) past.last = std::max(past.last, version.created);
  return past;
}

Status write_draft(const ModelRegistry::Draft& draft, const pipeline::Learned& learned,
                   std::span<const History> rows, ModelFactory& factory, std::string_view source) {
  const CheckpointExtras extras{fmt::format(R"({{"source":"{}"}})", source),
                                learned.group->calibration()};
  if (auto saved = factory.save(*learned.scorer, extras, draft.checkpoint()); !saved) {
    return fail(std::move(saved.error()), "saving the model");
  }
  if (auto kept = write_rows(draft.rows(), learned.group->info.channels, rows); !kept) {
    return fail(std::move(kept.error()), "saving the rows it was trained on");
  }
  return {};
}

Result<Challenger> make_challenger(Challenge challenge, const ModelRegistry::Draft& draft,
                                   const ChallengeContext& context) {
  pipeline::RetrainingRows& rows = challenge.rows;
  if (rows.learned.empty()) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("found {} rows of {} series; expected at least {} normal ones of one "
                    "series",
                    rows.seen, rows.num_series, context.pipeline.training.provisional_rows));
  }
  pipeline::PipelineOptions options = context.pipeline;
  options.training.labels = challenge.labels;
  if (challenge.champion.scorer == nullptr) challenge.start = pipeline::TrainingStart::kCold;
  auto contenders =
      pipeline::train_challenger(rows.learned, challenge.champion, challenge.start, context.factory,
                                 options, context.on_progress, context.stop);
  if (!contenders) return Failure{std::move(contenders.error())};
  auto& [learned, champion] = *contenders;
  if (auto written = write_draft(draft, learned, rows.learned, context.factory, "retraining");
      !written) {
    return Failure{std::move(written.error())};
  }
  Manifest manifest = manifest_of(learned.group->info);
  manifest.calibration = fmt::format("{{\"series\":{}}}", learned.group->series.size());
  const std::vector<Channel> channels = learned.group->info.channels;
  ChallengerReport report{std::move(learned.report), {}};
  if (context.on_trained) context.on_trained(learned.group->info);
  learned = {};  // the gate loads it again
  const auto size = std::filesystem::file_size(draft.checkpoint());
  auto examined = pipeline::examine(
      pipeline::StoredChallenger{.path = draft.checkpoint(), .bytes = size, .written_bytes = size},
      context.factory, champion.scorer == nullptr ? nullptr : &champion, {channels, rows.unseen},
      {context.pipeline, context.gate, context.clock, context.stop});
  if (examined.report.outcome == pipeline::GateOutcome::kStopped) {
    return fail(ErrorKind::kCancelled, "the gate was stopped");
  }
  report.gate = std::move(examined.report);

  manifest.parent = challenge.champion.group->info.version;
  manifest.seed = context.origin.seed;
  if (challenge.start == pipeline::TrainingStart::kWarm) manifest.start = manifest.parent;
  manifest.configuration = context.origin.configuration;
  manifest.num_series = rows.learned.size();
  manifest.data = ranges_of(rows.learned, challenge.partition_of);
  for (const pipeline::RowInterval& left_out : challenge.excluded) {
    manifest.exclusions.push_back({left_out.series, left_out.start, left_out.end, challenge.why});
  }
  for (std::size_t i = 0; i < pipeline::kNumLeftOut; ++i) {
    if (rows.left_out[i] == 0) continue;
    manifest.excluded_rows[std::string{to_string(static_cast<pipeline::LeftOut>(i))}] =
        rows.left_out[i];
  }
  manifest.gate = gate_json(report.gate);
  manifest.reason = challenge.trigger;
  return Challenger{std::move(report), std::move(examined.scorer), std::move(examined.group),
                    std::move(champion), std::move(manifest)};
}

}  // namespace anomalyd::runtime
