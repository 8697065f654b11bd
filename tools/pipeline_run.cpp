#include "tools/pipeline_run.hpp"

#include <algorithm>
#include <utility>

#include "daemon/pipeline/gate.hpp"
#include "daemon/pipeline/retraining.hpp"

namespace anomalyd::tools {

using pipeline::PartitionPipeline;

PipelineRun::PipelineRun(const pipeline::PipelineOptions& options, ModelFactory& factory,
                         Events events)
    : options_{options}, factory_{factory}, events_{std::move(events)} {}

Status PipelineRun::load(const std::filesystem::path& checkpoint) {
  auto loaded = factory_.load(checkpoint);
  if (!loaded) return fail(std::move(loaded.error()), "loading the model " + checkpoint.string());
  auto group =
      pipeline::LearnedGroup::from_calibration(loaded->scorer->info(), loaded->extras.calibration);
  if (!group) return fail(std::move(group.error()), "loading the model " + checkpoint.string());
  install({*std::move(group), std::move(loaded->scorer)});
  return {};
}

Status PipelineRun::ingest(const SampleBlock& block) {
  pipeline_of(block.partition()).ingest(block);
  if (auto settled = settle(); !settled) return settled;
  return learn(pipeline::Input::kGoesOn);
}

Status PipelineRun::finish() {
  if (auto learned = learn(pipeline::Input::kHasEnded); !learned) return learned;
  for (auto& [partition, one] : pipelines_) one.flush();
  return settle();
}

/// Scores and judges all that is asked for.
Status PipelineRun::settle() {
  for (auto& [partition, one] : pipelines_) {
    for (const pipeline::ScoreRequest& request : one.take_requests()) {
      auto residuals = score(request);
      if (!residuals) return fail(std::move(residuals.error()), "scoring");
      one.judge(request, *std::move(residuals));
    }
    for (const Alert& alert : one.take_alerts()) {
      if (events_.alert) events_.alert(alert);
    }
    keep_record(one.take_record());
  }
  return {};
}

Status PipelineRun::learn(pipeline::Input input) {
  std::map<std::string, PartitionPipeline::Candidates> groups;
  for (const auto& [partition, one] : pipelines_) {
    for (auto& [key, candidates] : one.candidates()) groups[key] += std::move(candidates);
  }
  for (const auto& [key, group] : groups) {
    if (!group.may_be_learned(options_.training, input)) continue;
    if (auto trained = train(key, group.channels); !trained) return trained;
  }
  return settle();
}

Status PipelineRun::train(const std::string& key, const std::vector<Channel>& channels) {
  std::vector<pipeline::History> histories;
  for (const auto& [partition, one] : pipelines_) {
    for (auto& history : one.training_set(key)) histories.push_back(std::move(history));
  }
  std::ranges::sort(histories, {}, &pipeline::History::series);
  auto learned = pipeline::learn(histories, channels, factory_, options_, [](const auto&) {}, {});
  if (!learned) return fail(std::move(learned.error()), "training the model of " + key);
  if (events_.learned) events_.learned(*learned);
  install({learned->group, std::move(learned->scorer)});
  return {};
}

void PipelineRun::install(Model model) {
  for (auto& [partition, one] : pipelines_) one.install(model.group);
  const auto key = [](const Model& one) { return pipeline::group_key(one.group->info.channels); };
  std::erase_if(models_, [&](const Model& before) { return key(before) == key(model); });
  models_.push_back(std::move(model));
}

void PipelineRun::keep_record(std::vector<pipeline::JudgedRows> chunks) {
  for (pipeline::JudgedRows& chunk : chunks) {
    const auto same = [&](const auto& others) {
      return others.front().history.series == chunk.history.series;
    };
    auto known = std::ranges::find_if(recorded_, same);
    if (known == recorded_.end()) known = recorded_.insert(recorded_.end(), {{}});
    known->push_back(std::move(chunk));
  }
}

Result<Retraining> PipelineRun::challenge(const pipeline::GateOptions& gate) {
  const auto rows = pipeline::retraining_rows(recorded_, {}, {}, options_);
  if (models_.empty() || rows.learned.empty()) return Retraining{"too_few_rows"};
  const Model& champion = models_.back();
  auto contenders = pipeline::train_challenger(
      rows.learned, {champion.scorer.get(), champion.group}, pipeline::TrainingStart::kCold,
      factory_, options_, [](const auto&) {}, {});
  if (!contenders) return Failure{std::move(contenders.error())};
  auto& [learned, before] = *contenders;
  const pipeline::GateReport report = pipeline::examine(
      {learned.scorer.get(), learned.group}, &before, {learned.group->info.channels, rows.unseen},
      {options_, gate, system_clock()});
  if (report.outcome != pipeline::GateOutcome::kPassed) {
    return Retraining{std::string{to_string(report.reason())}, report.sentence()};
  }
  challenger_ = {learned.group, std::move(learned.scorer)};
  for (auto& [partition, one] : pipelines_) one.challenge(challenger_.group);
  return Retraining{"shadow"};
}

std::optional<Retraining> PipelineRun::end_shadow() {
  if (challenger_.group == nullptr) return {};
  Model challenger = std::exchange(challenger_, {});
  const std::string key = pipeline::group_key(challenger.group->info.channels);
  PartitionPipeline::ShadowReport report;
  for (const auto& [partition, one] : pipelines_) report += one.shadow_report(key);
  const auto ruling = pipeline::rule_ended_shadow(
      report, pipeline::pace_of(*challenger.group, options_).budget_per_row, options_.retraining);
  if (ruling.outcome != pipeline::ShadowRuling::Outcome::kPromote) {
    for (auto& [partition, one] : pipelines_) one.dismiss(key);
    return Retraining{std::string{to_string(ruling.outcome)}, ruling.sentence};
  }
  install(std::move(challenger));
  return Retraining{"promoted", ruling.sentence};
}

Result<Residuals> PipelineRun::score(const pipeline::ScoreRequest& request) {
  const auto model = std::ranges::find(models_, request.group, &Model::group);
  Scorer& scorer = request.shadow ? *challenger_.scorer : *model->scorer;
  if (request.batch.windows.empty()) {
    return Residuals{scorer.info().members.size(), request.batch.channels, {}};
  }
  return scorer.score(request.batch);
}

PartitionPipeline& PipelineRun::pipeline_of(const PartitionId& partition) {
  if (const auto found = pipelines_.find(partition); found != pipelines_.end()) {
    return found->second;
  }
  auto& added = pipelines_.try_emplace(partition, partition, options_).first->second;
  added.on_verdict(events_.verdict);
  for (const Model& model : models_) added.install(model.group);
  return added;
}

pipeline::PipelineCounters PipelineRun::counters() const {
  pipeline::PipelineCounters sum;
  for (const auto& [partition, one] : pipelines_) sum += one.counters();
  return sum;
}

}  // namespace anomalyd::tools
