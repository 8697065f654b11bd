#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::testing {

/// Runs a PartitionPipeline and a scorer on one thread: push samples, read alerts. No waiting.
class PipelineDriver {
 public:
  PipelineDriver(pipeline::PipelineOptions options, std::vector<Channel> channels)
      : options_{std::move(options)},
        pipeline_{{"test", 0}, options_},
        schema_{std::make_shared<const Schema>(Schema{std::move(channels)})} {
    watch();
  }

  /// Adds a row of a series; it is taken in with the next `run`.
  void push(const std::string& series, EventTime time, const std::vector<double>& values) {
    if (!block_) block_.emplace(PartitionId{"test", 0}, schema_);
    block_->append(series, time, offset_++, values);
    block_->set_end(offset_);
    if (block_->size() >= block_size) run();
  }
  /// Takes in what was pushed, scores and judges it.
  void run() {
    if (block_) pipeline_.ingest(*block_);
    block_.reset();
    settle();
  }
  void finish() {
    run();
    pipeline_.flush();
    settle();
  }
  /// Trains on what waits and installs the model, as the daemon's learner does. False if nothing
  /// is ready.
  bool train(ModelFactory& factory) {
    for (const auto& [key, group] : pipeline_.candidates()) {
      if (group.waiting == 0) continue;
      const auto histories = pipeline_.training_set(key);
      auto learned =
          pipeline::learn(histories, group.channels, factory, options_, [](const auto&) {}, {});
      if (!learned) return false;
      install(std::move(learned->scorer), std::move(learned->group));
      return true;
    }
    return false;
  }
  void install(std::unique_ptr<Scorer> scorer,
               std::shared_ptr<const pipeline::LearnedGroup> group) {
    group_ = std::move(group);
    scorers_[group_] = std::move(scorer);
    pipeline_.install(group_);
    settle();
  }
  /// Learns another version from the rows of `histories`; it is not used yet.
  std::shared_ptr<const pipeline::LearnedGroup> learn(
      ModelFactory& factory, const std::vector<pipeline::History>& histories) {
    auto learned = pipeline::learn(histories, group_->info.channels, factory, options_,
                                   [](const auto&) {}, {});
    if (!learned) return nullptr;
    scorers_[learned->group] = std::move(learned->scorer);
    return learned->group;
  }
  /// Makes a version that `learn` gave, or one before, the one that decides.
  void swap(std::shared_ptr<const pipeline::LearnedGroup> group) {
    group_ = std::move(group);
    pipeline_.install(group_);
    settle();
  }
  /// Replaces the pipeline by one that was restored from its snapshot.
  [[nodiscard]] Status restart() {
    const auto snapshot = save();
    return restart_from(snapshot);
  }
  [[nodiscard]] std::vector<std::byte> save() const {
    StateWriter out;
    pipeline_.save(out);
    return std::move(out).take();
  }
  [[nodiscard]] Status restart_from(std::span<const std::byte> snapshot) {
    pipeline_ = pipeline::PartitionPipeline{{"test", 0}, options_};
    if (group_) pipeline_.install(group_);
    watch();
    StateReader in{snapshot};
    return pipeline_.load(in);
  }

  [[nodiscard]] pipeline::PartitionPipeline& pipeline() { return pipeline_; }
  [[nodiscard]] const std::shared_ptr<const pipeline::LearnedGroup>& group() { return group_; }
  [[nodiscard]] const std::unique_ptr<Scorer>& scorer() const { return scorers_.at(group_); }

  struct Judged {
    std::string series;
    EventTime time;
    pipeline::Verdict verdict;
  };
  std::vector<Judged> verdicts;
  std::vector<Alert> alerts;
  std::size_t block_size = 64;

 private:
  void watch() {
    pipeline_.on_verdict([this](std::string_view series, EventTime time, const auto& verdict) {
      verdicts.push_back({std::string{series}, time, verdict});
    });
  }
  void settle() {
    for (auto& request : pipeline_.take_requests()) {
      Scorer& scorer = *scorers_.at(request.group);
      Residuals residuals{scorer.info().members.size(), request.batch.channels, {}};
      if (!request.batch.windows.empty())
        residuals = std::move(scorer.score(request.batch).value());
      pipeline_.judge(request, std::move(residuals));
    }
    for (Alert& alert : pipeline_.take_alerts()) alerts.push_back(std::move(alert));
  }

  pipeline::PipelineOptions options_;
  pipeline::PartitionPipeline pipeline_;
  std::shared_ptr<const Schema> schema_;
  std::shared_ptr<const pipeline::LearnedGroup> group_;  // decides
  std::map<std::shared_ptr<const pipeline::LearnedGroup>, std::unique_ptr<Scorer>> scorers_;
  std::optional<SampleBlock> block_;
  Offset offset_ = 0;
};

}  // namespace anomalyd::testing
