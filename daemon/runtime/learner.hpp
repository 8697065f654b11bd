#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/partition_task.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

/// Trains the model of a group as soon as its series have collected enough rows: the cold start.
///
/// Runs on   the control io_context; training itself on a thread of its own, `anomalyd-train`, at
///           low priority. progress(): any thread.
/// Result    a version in the registry, read back before it is added and promoted, so what serves
///           now is what a restart will load.
class Learner {
 public:
  struct Outside {
    boost::asio::io_context& control;
    ModelFactory& factory;
    Clock& clock;
    ModelRegistry& registry;
    ModelOrigin origin;
    /// A model is ready. Runs on the control io_context.
    std::function<void(std::shared_ptr<const pipeline::LearnedGroup>, std::unique_ptr<Scorer>,
                       const TrainingReport&)>
        on_model;
    /// Training failed; it is tried again when more rows have come. Control io_context.
    std::function<void(const Error&)> on_failure;
  };
  struct Progress {
    bool training = false;
    std::string group;
    std::string stage;
    double share = 0;
    double loss = 0;
    std::uint64_t runs = 0;
    std::uint64_t failures = 0;
  };

  Learner(const pipeline::PipelineOptions& options, Outside outside);
  /// Stops a training run and waits for it.
  ~Learner();

  /// Looks at all partitions and starts training where a group has enough; at the end of the input
  /// it waits for no slower series. Control io_context.
  void consider(const std::vector<std::shared_ptr<PartitionTask>>& tasks, pipeline::Input input);
  [[nodiscard]] Progress progress() const;

 private:
  struct Survey;
  struct TrainingData;
  void decide(const Survey& survey);
  void collect(const std::string& key, const std::vector<Channel>& channels,
               const std::vector<std::shared_ptr<PartitionTask>>& tasks);
  void train(std::string key, std::vector<Channel> channels, TrainingData data);
  void run(const std::string& key, const std::vector<Channel>& channels, TrainingData data,
           std::stop_token stop);
  [[nodiscard]] Status keep(std::unique_ptr<ModelRegistry::Draft> draft, const ModelInfo& info,
                            const TrainingData& data);

  pipeline::PipelineOptions options_;
  Outside outside_;
  bool busy_ = false;  // control io_context: surveying, collecting or training
  std::map<std::string, MonotonicTime> retry_at_;  // control io_context: groups that failed
  mutable std::mutex mutex_;  // progress is written by the training thread, read by any
  Progress progress_;         // guarded by mutex_
  std::jthread thread_;
};

}  // namespace anomalyd::runtime
