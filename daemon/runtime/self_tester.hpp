#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/self_test.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/partition_task.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

/// Shows every day anew that the detector would notice: injects small faults into copies of live
/// rows, judges them with copies of state and model, and counts which ones are found.
///
/// Runs on   the control io_context; the trials on a thread of their own, `anomalyd-check`, at the
///           lowest priority. submit(): any thread.
/// Apart     from what is live: the model is read from its version for each sample, and nothing
///           but the counts comes back.
/// Cost      its thread works at most 0.5 % of the time: the slower a sample is tried, the longer
/// the
///           next one waits.
class SelfTester {
 public:
  struct Outside {
    boost::asio::io_context& control;
    ModelFactory& factory;
    const ModelRegistry& registry;
    Clock& clock;
  };
  struct Progress {
    bool enabled = false;
    std::uint64_t samples = 0;   ///< In which faults have been tried.
    std::uint64_t failures = 0;  ///< In which that failed.
    std::string last_failure;
    double seconds = 0;  ///< That all trials took.
    std::vector<pipeline::SelfTestRecord::Figures> figures;
  };

  SelfTester(const pipeline::PipelineOptions& pipeline, const SelfTestOptions& options,
             Outside outside);
  /// Stops trials that are under way and waits for that.
  ~SelfTester();

  /// Asks one of the partitions for a sample, if it is time. Every second or so, on the control
  /// io_context.
  void consider(const std::vector<std::shared_ptr<PartitionTask>>& tasks);
  /// Tries faults in a sample. Any thread.
  void submit(pipeline::LiveSample sample);
  /// Control io_context.
  [[nodiscard]] Progress progress() const;

 private:
  using Trials = std::vector<pipeline::SelfTestTrial>;
  [[nodiscard]] Result<Trials> try_faults(const pipeline::LiveSample& sample) const;
  void record(const ModelInfo& model, const Result<Trials>& trials, double seconds);

  const pipeline::PipelineOptions pipeline_;
  const SelfTestOptions options_;
  Outside outside_;
  MonotonicTime next_at_;  // control io_context from here on
  std::size_t turn_ = 0;   // of the partitions
  Progress progress_;      // without figures
  pipeline::SelfTestRecord record_;
  std::stop_source stop_;
  boost::asio::thread_pool worker_{1};
};

}  // namespace anomalyd::runtime
