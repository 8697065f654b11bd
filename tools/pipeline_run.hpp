#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/pipeline/gate_options.hpp"
#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::tools {

/// What came of a retraining, in the words of the daemon's audit log.
struct Retraining {
  std::string outcome;  ///< "shadow", "promoted", or the reason of the refusal.
  std::string why{};    ///< With figures; may be empty.
  std::string series{};
  std::size_t row = 0;  ///< Of the series, that came first afterwards.
};

/// Runs the production pipeline over samples on the calling thread, as fast as it goes: the classes
/// of the daemon without its queues, threads and clocks, so the scores are the daemon's.
///
/// Series without a model are learned when the daemon would learn them, and judged from their first
/// unlearned row on.
class PipelineRun {
 public:
  /// Who wants to know what. Any of them may be empty.
  struct Events {
    pipeline::PartitionPipeline::VerdictFn verdict;
    std::function<void(const Alert&)> alert;
    std::function<void(const pipeline::Learned&)> learned;
  };

  /// `factory` must outlive the run.
  PipelineRun(const pipeline::PipelineOptions& options, ModelFactory& factory, Events events);

  /// Judges with a model that was trained before. Errors: those of ModelFactory::load.
  [[nodiscard]] Status load(const std::filesystem::path& checkpoint);

  /// Takes a block in, and learns, scores and judges what it completes. Errors: those of training
  /// and scoring.
  [[nodiscard]] Status ingest(const SampleBlock& block);
  /// The input has ended: learns what still waits, releases rows that wait for late ones.
  [[nodiscard]] Status finish();

  /// Learns a challenger from the rows judged so far, as the daemon's retrainer does, and lets it
  /// judge beside the newest model if the gate lets it pass. Takes `training.record`. Errors: those
  /// of training and scoring.
  [[nodiscard]] Result<Retraining> challenge(const pipeline::GateOptions& gate);
  /// Ends that: the challenger replaces the model, unless it alerts too much. Nothing without one.
  [[nodiscard]] std::optional<Retraining> end_shadow();

  [[nodiscard]] pipeline::PipelineCounters counters() const;

 private:
  struct Model {
    std::shared_ptr<const pipeline::LearnedGroup> group;
    std::unique_ptr<Scorer> scorer;
  };

  [[nodiscard]] Status settle();
  [[nodiscard]] Status learn(pipeline::Input input);
  [[nodiscard]] Status train(const std::string& key, const std::vector<Channel>& channels);
  void install(Model model);
  void keep_record(std::vector<pipeline::JudgedRows> chunks);
  [[nodiscard]] Result<Residuals> score(const pipeline::ScoreRequest& request);
  [[nodiscard]] pipeline::PartitionPipeline& pipeline_of(const PartitionId& partition);

  pipeline::PipelineOptions options_;
  ModelFactory& factory_;
  Events events_;
  std::map<PartitionId, pipeline::PartitionPipeline> pipelines_;
  std::vector<Model> models_;                                // the newest last
  Model challenger_;                                         // no group: none
  std::vector<std::vector<pipeline::JudgedRows>> recorded_;  // by series
};

}  // namespace anomalyd::tools
