#include "tools/pipeline_run.hpp"

#include <algorithm>
#include <utility>

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
  models_.push_back(std::move(model));
}

Result<Residuals> PipelineRun::score(const pipeline::ScoreRequest& request) {
  const auto model = std::ranges::find(models_, request.group, &Model::group);
  if (request.batch.windows.empty()) {
    return Residuals{model->scorer->info().members.size(), request.batch.channels, {}};
  }
  return model->scorer->score(request.batch);
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
