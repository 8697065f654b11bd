#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace anomalyd::models {

/// Runs numbered jobs on the calling thread and a few workers.
///
/// Scoring splits a batch into blocks whose activations stay in the cache of one core, so threads
/// meet once per batch and not once per product. Not OpenMP: its workers spin between regions, and
/// take the core from the threads that feed the scorer.
///
/// Threads  one call of `run` at a time. Workers have the priority of the thread that calls, as it
///          starts them by its first call: a model is trained on a thread of low priority, and then
///          serves on another.
class JobPool {
 public:
  /// `threads` >= 1, the caller's included. `prepare` runs first on each worker.
  JobPool(std::size_t threads, std::function<void()> prepare);
  ~JobPool();
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  /// Calls `job(i)` for every i < count, in any order, and returns when all are done. An exception
  /// of a job is thrown here; jobs not yet begun are then left out.
  void run(std::size_t count, const std::function<void(std::size_t)>& job);

  [[nodiscard]] std::size_t threads() const noexcept { return threads_; }

 private:
  void start_workers();
  void stop_workers();
  void work(std::size_t seen);
  void take_jobs() noexcept;

  const std::size_t threads_;
  const std::function<void()> prepare_;
  std::thread::id caller_;  // that the workers were started by
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::size_t round_ = 0;    // guarded by mutex_, like the next three
  std::size_t working_ = 0;  // workers that have not finished this round
  bool stopping_ = false;
  std::exception_ptr failure_;
  const std::function<void(std::size_t)>* job_ = nullptr;  // set before a round, read during it
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_ = 0;
  std::vector<std::thread> workers_;
};

}  // namespace anomalyd::models
