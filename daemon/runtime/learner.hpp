#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
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
#include "daemon/runtime/partition_task.hpp"

namespace anomalyd::runtime {

/// Trains the model of a group as soon as its series have collected enough rows: the cold start.
///
/// Runs on   the control io_context; training itself on a thread of its own, `anomalyd-train`, at
///           low priority. progress(): any thread.
/// Result    a checkpoint in `folder`, read back before it is used, so what serves now is what a
///           restart will load.
class Learner {
 public:
  struct Outside {
    boost::asio::io_context& control;
    ModelFactory& factory;
    Clock& clock;
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

  Learner(const pipeline::PipelineOptions& options, std::filesystem::path folder, Outside outside);
  /// Stops a training run and waits for it.
  ~Learner();

  /// Looks at all partitions and starts training where a group has enough; at the end of the input
  /// it waits for no slower series. Control io_context.
  void consider(const std::vector<std::shared_ptr<PartitionTask>>& tasks, pipeline::Input input);
  [[nodiscard]] Progress progress() const;

  /// Where the checkpoint of a group is kept.
  [[nodiscard]] static std::filesystem::path checkpoint_path(const std::filesystem::path& folder,
                                                             const std::string& group_key);

 private:
  struct Survey;
  void decide(const Survey& survey);
  void collect(const std::string& key, const std::vector<Channel>& channels,
               const std::vector<std::shared_ptr<PartitionTask>>& tasks);
  void train(std::string key, std::vector<Channel> channels,
             std::vector<pipeline::History> histories);
  void run(const std::string& key, const std::vector<Channel>& channels,
           std::vector<pipeline::History> histories, std::stop_token stop);

  pipeline::PipelineOptions options_;
  std::filesystem::path folder_;
  Outside outside_;
  bool busy_ = false;  // control io_context: surveying, collecting or training
  std::map<std::string, MonotonicTime> retry_at_;  // control io_context: groups that failed
  mutable std::mutex mutex_;  // progress is written by the training thread, read by any
  Progress progress_;         // guarded by mutex_
  std::jthread thread_;
};

}  // namespace anomalyd::runtime
