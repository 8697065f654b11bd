#include "models/job_pool.hpp"

#include <utility>

namespace anomalyd::models {

JobPool::JobPool(std::size_t threads, std::function<void()> prepare)
    : threads_{threads}, prepare_{std::move(prepare)} {}

JobPool::~JobPool() { stop_workers(); }

void JobPool::start_workers() {
  stop_workers();
  stopping_ = false;
  caller_ = std::this_thread::get_id();
  for (std::size_t i = 1; i < threads_; ++i) {
    workers_.emplace_back([this, round = round_] { work(round); });
  }
}

void JobPool::stop_workers() {
  {
    const std::scoped_lock lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void JobPool::run(std::size_t count, const std::function<void(std::size_t)>& job) {
  const bool share = count > 1 && threads_ > 1;
  if (share && caller_ != std::this_thread::get_id()) start_workers();
  {
    const std::scoped_lock lock{mutex_};
    job_ = &job;
    count_ = count;
    next_ = 0;
    if (share) {
      working_ = workers_.size();
      ++round_;
    }
  }
  if (share) wake_.notify_all();
  take_jobs();

  std::unique_lock lock{mutex_};
  idle_.wait(lock, [this] { return working_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

/// Takes part in all rounds after `seen`.
void JobPool::work(std::size_t seen) {
  prepare_();
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
    if (stopping_) return;
    seen = round_;
    lock.unlock();
    take_jobs();
    lock.lock();
    if (--working_ == 0) idle_.notify_one();
  }
}

void JobPool::take_jobs() noexcept {
  for (std::size_t i = next_++; i < count_; i = next_++) {
    try {
      (*job_)(i);
    } catch (...) {
      const std::scoped_lock lock{mutex_};
      if (!failure_) failure_ = std::current_exception();
      next_ = count_;
    }
  }
}

}  // namespace anomalyd::models
