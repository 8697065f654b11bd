#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/batcher.hpp"

namespace anomalyd::runtime {

/// Scores batches on the device: owns the models, the batcher and the thread that uses them.
///
/// Runs on   its own thread, `anomalyd-score`. submit(), install() and the figures: any thread.
/// Errors    out of memory halves the batch, down to a single window. A lost device moves the
///           models to the CPU, is told through `on_degraded`, and is tried again once a minute.
class ScoringLoop {
 public:
  using Done = std::function<void(pipeline::ScoreRequest, Result<Residuals>)>;

  struct Events {
    /// The device was lost (message), or is back (empty message).
    std::function<void(const std::string& message)> on_degraded;
    /// A batch was scored: windows, seconds on the device.
    std::function<void(std::size_t windows, double seconds)> on_batch;
  };

  ScoringLoop(pipeline::Batcher::Options options, Clock& clock, Events events);
  ~ScoringLoop();

  /// Makes `scorer` the model of `group`. Requests made for the group find it here.
  void install(const std::shared_ptr<const pipeline::LearnedGroup>& group,
               std::unique_ptr<Scorer> scorer);

  /// Forgets the model of `group`, for which no request is queued or will come.
  void remove(const pipeline::LearnedGroup& group);

  /// Queues a request. `done` runs on the scoring thread and should only post.
  void submit(pipeline::ScoreRequest request, Done done);

  /// Scores what is queued and ends the thread. Nothing may be submitted afterwards.
  void stop();

  [[nodiscard]] std::size_t queued_windows() const;
  /// How long the batch in work has been there; zero when there is none.
  [[nodiscard]] MonotonicTime::duration stuck_for(MonotonicTime now) const;

 private:
  void run();
  void score(std::vector<pipeline::Batcher::Item> items);
  [[nodiscard]] Result<Residuals> score_in_parts(Scorer& scorer, const Batch& batch);
  [[nodiscard]] Result<Residuals> score_halves(Scorer& scorer, const Batch& batch);
  void try_device_again();

  struct Model {
    std::unique_ptr<Scorer> scorer;
    std::string wanted_device;
  };

  Clock& clock_;
  Events events_;

  mutable std::mutex mutex_;  // a strand would not do: the loop waits with a deadline, for seconds
  std::condition_variable wake_;
  pipeline::Batcher batcher_;                                               // guarded by mutex_
  std::map<const pipeline::LearnedGroup*, std::shared_ptr<Model>> models_;  // guarded by mutex_
  bool stopping_ = false;                                                   // guarded by mutex_
  bool scoring_ = false;                                                    // guarded by mutex_
  MonotonicTime moved_at_{};                                                // guarded by mutex_

  bool degraded_ = false;         // scoring thread only
  MonotonicTime try_again_at_{};  // scoring thread only
  std::thread thread_;
};

}  // namespace anomalyd::runtime
