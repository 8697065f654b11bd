#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/gate.hpp"
#include "daemon/pipeline/retrain_policy.hpp"
#include "daemon/pipeline/retraining.hpp"
#include "daemon/runtime/challenger.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/partition_task.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "daemon/runtime/scoring_loop.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

/// Keeps the models of all groups current: trains challengers, puts them through the gate and the
/// shadow of the champion, and swaps.
///
/// Runs on   the control io_context; training and the gate on a thread of their own,
///           `anomalyd-retrain`, at low priority; loading for a promotion on the disk executor.
///           progress(): any thread.
/// One       challenger at a time, whatever asks for it; what is asked for meanwhile waits.
/// Swap      all partitions stand still between two rows, with snapshots of that on disk, while the
///           champion is moved there: after a crash at any moment, one champion judges each row.
class Retrainer {
 public:
  struct Options {
    pipeline::PipelineOptions pipeline;
    pipeline::GateOptions gate;
    ModelOrigin origin;
  };
  struct Outside {
    boost::asio::io_context& control;
    boost::asio::any_io_executor disk;
    ModelFactory& factory;
    ModelRegistry& registry;
    ScoringLoop& scoring;
    Clock& clock;
    std::filesystem::path reservoir;
    std::function<std::vector<std::shared_ptr<PartitionTask>>()> tasks;
    /// What serves a group now; nullptr if nothing does.
    std::function<std::shared_ptr<const pipeline::LearnedGroup>(const std::string& key)> champion;
    /// What people have said of incidents.
    std::function<std::vector<pipeline::Label>()> feedback;
    /// Makes what waits to be written to the reservoir readable, then runs `done` on any thread.
    std::function<void(std::function<void()> done)> flush_reservoir;
    /// `group` serves from now on.
    std::function<void(std::shared_ptr<const pipeline::LearnedGroup> group)> on_champion;
  };
  enum class Phase : std::uint8_t { kIdle, kTraining, kGate, kShadow, kSwap };
  struct Progress {
    Phase phase = Phase::kIdle;
    std::string group;    ///< Group key of the run, or of the last one.
    std::string trigger;  ///< What it was started by.
    std::string version;  ///< Of the challenger, once it is trained.
    std::string stage;    ///< Of training.
    double share = 0;     ///< 0..1, of training or of the shadow.
    double loss = 0;
    std::string outcome;   ///< Of the last run: "promoted", "refused", "postponed", "failed".
    std::string reason;    ///< Reason code of a refusal: of the gate or of the shadow.
    std::string sentence;  ///< For people.
    /// Of the last run, once it is through the gate.
    std::shared_ptr<const ChallengerReport> report;
    std::uint64_t runs = 0;
    std::uint64_t promoted = 0;
    std::uint64_t refused = 0;
    std::uint64_t postponed = 0;
    std::uint64_t failed = 0;
  };
  /// What asks for a new version.
  struct Request {
    std::string group;                              ///< Group key.
    std::string trigger;                            ///< "command", "schedule", ...
    std::string why;                                ///< "command: new cooling"; all that hold.
    std::string by;                                 ///< "anomalyd", or who asked.
    std::vector<pipeline::RowInterval> excluded{};  ///< Left out besides what is usual.
    std::uint64_t normal_rows = 0;                  ///< GroupFacts::normal_rows now.
    std::string unfit{};  ///< Says why, if the champion is: see RetrainPolicy::unfit.
  };

  Retrainer(Options options, Outside outside);
  /// Stops a run and waits for it.
  ~Retrainer();

  /// Queues a run; one that waits already for this group is enough. Control io_context.
  void request(Request request);
  /// Looks at what is under way. Every second or so, on the control io_context.
  void consider();
  /// Makes an older version the champion, with its calibration as it was when it was replaced.
  /// `done` gets how that went, on the control io_context. Control io_context.
  void promote(const std::string& group, const std::string& version,
               ModelRegistry::Promotion promotion, std::string event,
               std::function<void(Status)> done);
  /// A challenger could not be scored; its run ends. Any thread.
  void on_challenger_failed(const Error& error);
  /// What judges beside the champion now, if anything does. Any thread.
  [[nodiscard]] std::shared_ptr<const pipeline::LearnedGroup> challenger() const;
  /// What became of the trainings of a group so far; of those before the start of the daemon, when
  /// the last one was. Control io_context.
  [[nodiscard]] pipeline::RetrainPolicy::Past past(const std::string& group) const;
  [[nodiscard]] bool busy() const { return progress().phase != Phase::kIdle; }
  [[nodiscard]] Progress progress() const;

 private:
  struct Run;
  struct Swap;

  void start(Request request);
  void train(std::shared_ptr<Run> run, std::stop_token stop);
  [[nodiscard]] Result<Challenger> train_challenger(Run& run, const std::stop_token& stop);
  void on_trained(const std::shared_ptr<Run>& run, Result<Challenger> trained);
  [[nodiscard]] pipeline::GateRuling rule(const pipeline::GateReport& report);
  void begin_shadow();
  void replace_champion(const std::string& why);
  void watch_shadow();
  void on_shadow(const pipeline::PartitionPipeline::ShadowReport& report);
  void begin_swap(std::shared_ptr<const pipeline::LearnedGroup> group,
                  ModelRegistry::Promotion promotion, std::string event,
                  std::function<void(Status)> done);
  void finish_swap(Status status);
  void keep_state(const pipeline::LearnedGroup& outgoing,
                  std::unordered_map<std::string, pipeline::LearnedGroup::Known> known);
  void end(std::string outcome, std::string reason, std::string sentence);
  void enter(Phase phase);
  void note(std::string event, std::string reason, std::string details = {}) const;

  const Options options_;
  Outside outside_;
  std::deque<Request> waiting_;                                 // control io_context from here on
  std::map<std::string, pipeline::RetrainPolicy::Past> pasts_;  // by group
  std::map<std::string, MonotonicTime> short_of_rows_;  // since when, by group, the gate has been
  std::shared_ptr<Run> run_;
  std::shared_ptr<Swap> swap_;
  struct Replaced {
    std::shared_ptr<const pipeline::LearnedGroup> group;
    MonotonicTime at;
  };
  std::deque<Replaced> replaced_;  // their scorers go when nothing can ask for them any more
  mutable std::mutex mutex_;       // progress is written by the training thread, read by any
  Progress progress_;              // guarded by mutex_
  std::shared_ptr<const pipeline::LearnedGroup> challenger_;  // guarded by mutex_
  std::jthread thread_;
};

[[nodiscard]] std::string_view to_string(Retrainer::Phase phase);

}  // namespace anomalyd::runtime
