#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/ports.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/batcher.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/runtime/admin_server.hpp"
#include "daemon/runtime/learner.hpp"
#include "daemon/runtime/metrics.hpp"
#include "daemon/runtime/model_control.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/partition_task.hpp"
#include "daemon/runtime/poll_loop.hpp"
#include "daemon/runtime/request_topic.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "daemon/runtime/retrainer.hpp"
#include "daemon/runtime/scoring_loop.hpp"
#include "daemon/runtime/self_tester.hpp"
#include "daemon/runtime/service_options.hpp"
#include "daemon/runtime/service_status.hpp"
#include "daemon/runtime/snapshot_store.hpp"
#include "daemon/runtime/state_lock.hpp"

namespace anomalyd::runtime {

/// The running daemon: joins source, pipelines, models and sinks, and answers for them.
///
/// Runs on   run() is the main thread with the control io_context: signals, timers, schedules,
///           HTTP. It starts the polling, pool, disk, scoring and training threads and joins them.
/// Shutdown  SIGTERM or SIGINT: stop polling, finish what was read, write snapshots, commit, flush
///           alerts, all within `drain_timeout`; a second signal exits at once.
class Service {
 public:
  using Options = ServiceOptions;
  struct Parts {
    /// Of the state folder. Held before `source` joins its group, because a second daemon would
    /// drive out the first; may be null where there is no group: then create() takes it.
    std::unique_ptr<StateLock> lock;
    std::unique_ptr<Source> source;
    std::unique_ptr<Decoder> decoder;
    std::unique_ptr<AlertSink> alerts;
    std::unique_ptr<DeadLetterSink> dead_letters;  ///< May be null.
    std::unique_ptr<AuditSink> audit;              ///< May be null.
    std::unique_ptr<ModelFactory> models;
    RequestTopic::OpenFn open_feedback;  ///< May be empty: no topic of feedback.
    RequestTopic::OpenFn open_control;   ///< May be empty: no topic of commands.
    /// Called on the polling thread until it succeeds, before the first record is read; may be
    /// empty. Whatever the brokers must have first: the alert topic.
    std::function<Status()> prepare;
  };

  /// Errors: kInvalid (state folder, address in use), kIncompatible (a checkpoint), kUnavailable
  /// (another process works on the state folder).
  static Result<std::unique_ptr<Service>> create(Options options,
                                                 const pipeline::PipelineOptions& pipeline,
                                                 Parts parts, Clock& clock);
  ~Service();

  /// Runs until a signal, the end of the input, or a failure. Returns the exit code.
  int run();
  /// Begins an orderly shutdown. Any thread.
  void stop();
  /// Any thread.
  [[nodiscard]] ServiceStatus status() const;
  /// host:port of the HTTP server; empty without one.
  [[nodiscard]] std::string http_address() const { return admin_ ? admin_->address() : ""; }

  /// Puts a version into service: loads and checks it on the disk thread, moves the champion, and
  /// hands the model to the pipelines. Control io_context, where `done` is called too.
  void promote(ModelRequest request, ModelControl::Done done);
  /// The same for the version that served before.
  void rollback(ModelRequest request, ModelControl::Done done);

 private:
  /// What lies in the state folder.
  struct Store {
    std::unique_ptr<StateLock> lock;
    SnapshotStore snapshots;
    std::unique_ptr<AuditLog> audit;
    std::unique_ptr<ModelRegistry> models;
    std::shared_ptr<Reservoir> reservoir;  ///< Null unless models are retrained. Disk thread.
  };
  Service(Options options, const pipeline::PipelineOptions& pipeline, Parts parts, Store store,
          Clock& clock);
  [[nodiscard]] static Result<Store> open_store(const Options& options,
                                                std::unique_ptr<StateLock> lock, AuditSink* audit,
                                                Clock& clock);
  [[nodiscard]] AdminServer::Routes routes();
  [[nodiscard]] ModelControl model_control(pipeline::Trigger asked_by);
  void open_topics();
  [[nodiscard]] Status load_models();
  [[nodiscard]] Status begin_with_checkpoint();
  void put_into_service(const ModelRegistry::Group& group, const std::string& version,
                        ModelRegistry::Promotion promotion, const char* event,
                        ModelControl::Done done);
  void make_retrainer();
  void retrain(ModelRequest request, pipeline::Trigger trigger, const ModelControl::Done& done);
  void consider_retraining(const std::map<std::string, pipeline::GroupFacts>& facts);
  [[nodiscard]] std::vector<pipeline::Label> feedback();
  void serve(const std::shared_ptr<const pipeline::LearnedGroup>& group);
  void delete_old_versions(const std::string& group_key);
  void set_pin(ModelRequest request, ModelRegistry::Pin pin, const ModelControl::Done& done);
  void import_model(std::string package, ModelControl::Done done);
  void give_feedback(FeedbackRequest request, ModelControl::Done done);
  void adopt(std::shared_ptr<const pipeline::LearnedGroup> group, std::unique_ptr<Scorer> scorer);
  [[nodiscard]] PollLoop::Assigned make_task(const PartitionId& partition);
  [[nodiscard]] std::vector<std::shared_ptr<PartitionTask>> tasks() const;

  void on_signal();
  void every_status();
  void every_snapshot();
  void gather_status();
  void publish_status(std::vector<PartitionTask::Status> partitions);
  void begin_shutdown();
  void note_brokers(const Status& status);
  void note_error(const Error& error);
  void flush_reservoir();  // disk thread
  void check_progress();
  void prepare_and_poll();

  const Options options_;
  const pipeline::PipelineOptions pipeline_options_;
  Parts parts_;
  Store store_;
  Clock& clock_;
  const MonotonicTime started_;

  Metrics metrics_;
  boost::asio::io_context control_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer status_timer_;
  boost::asio::steady_timer snapshot_timer_;
  std::size_t next_snapshot_ = 0;  // control io_context
  boost::asio::thread_pool pool_;
  boost::asio::thread_pool disk_;  // one thread: snapshots wait for the disk here
  std::unique_ptr<ScoringLoop> scoring_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Retrainer> retrainer_;
  std::unique_ptr<SelfTester> self_tester_;
  std::unique_ptr<PollLoop> poll_;
  std::unique_ptr<AdminServer> admin_;
  std::vector<std::unique_ptr<RequestTopic>> topics_;  // control io_context
  std::thread poll_thread_;
  std::atomic<bool> failed_{false};
  bool stopping_ = false;           // control io_context
  bool input_ended_ = false;        // control io_context; with exit_at_end only
  MonotonicTime stopping_since_{};  // control io_context

  mutable std::mutex mutex_;  // tasks come and go on the polling thread, status is read by any
  std::map<PartitionId, std::shared_ptr<PartitionTask>> tasks_;        // guarded by mutex_
  std::vector<std::shared_ptr<const pipeline::LearnedGroup>> groups_;  // guarded by mutex_
  ServiceStatus status_;                                               // guarded by mutex_
};

}  // namespace anomalyd::runtime
