#include "daemon/runtime/scoring_loop.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace anomalyd::runtime {
namespace {

using namespace std::chrono_literals;

/// Of one call, so that the watchdog sees that work goes on: a second's for the slowest model.
constexpr std::size_t kMostWindows = 1 << 14;

/// Windows [begin, end) of a batch, with the rows that they cover.
Batch part_of(const Batch& batch, std::size_t begin, std::size_t end) {
  Batch part{batch.channels,
             batch.context,
             {},
             {batch.windows.begin() + static_cast<std::ptrdiff_t>(begin),
              batch.windows.begin() + static_cast<std::ptrdiff_t>(end)}};
  const auto [first, last] = std::ranges::minmax(part.windows, {}, &Batch::Window::end_row);
  const std::size_t first_row = first.end_row + 1 - batch.context;
  const auto cell = [&](std::size_t row) {
    return batch.rows.begin() + static_cast<std::ptrdiff_t>(row * batch.channels);
  };
  part.rows.assign(cell(first_row), cell(last.end_row + std::size_t{1}));
  for (Batch::Window& window : part.windows) {
    window.end_row -= static_cast<std::uint32_t>(first_row);
  }
  return part;
}

}  // namespace

ScoringLoop::ScoringLoop(pipeline::Batcher::Options options, Clock& clock, Events events)
    : clock_{clock}, events_{std::move(events)}, batcher_{options}, thread_{[this] { run(); }} {
  pthread_setname_np(thread_.native_handle(), "anomalyd-score");
}

ScoringLoop::~ScoringLoop() { stop(); }

void ScoringLoop::install(const std::shared_ptr<const pipeline::LearnedGroup>& group,
                          std::unique_ptr<Scorer> scorer) {
  auto model = std::make_shared<Model>();
  model->wanted_device = scorer->info().device;
  model->scorer = std::move(scorer);
  const std::lock_guard lock{mutex_};
  models_[group.get()] = std::move(model);
}

void ScoringLoop::remove(const pipeline::LearnedGroup& group) {
  const std::lock_guard lock{mutex_};
  models_.erase(&group);
}

void ScoringLoop::submit(pipeline::ScoreRequest request, Done done) {
  {
    const std::lock_guard lock{mutex_};
    batcher_.add({std::move(request), std::move(done)}, clock_.monotonic());
  }
  wake_.notify_one();
}

void ScoringLoop::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::size_t ScoringLoop::queued_windows() const {
  const std::lock_guard lock{mutex_};
  return batcher_.waiting_windows();
}

MonotonicTime::duration ScoringLoop::stuck_for(MonotonicTime now) const {
  const std::lock_guard lock{mutex_};
  return scoring_ ? now - moved_at_ : MonotonicTime::duration::zero();
}

void ScoringLoop::run() {
  std::unique_lock lock{mutex_};
  while (true) {
    // When stopping, everything is due.
    auto items = batcher_.take_ready(stopping_ ? MonotonicTime::max() - 24h : clock_.monotonic());
    if (!items.empty()) {
      scoring_ = true;
      moved_at_ = clock_.monotonic();
      lock.unlock();
      score(std::move(items));
      lock.lock();
      scoring_ = false;
      continue;
    }
    if (stopping_) return;
    if (const auto deadline = batcher_.deadline()) {
      wake_.wait_until(lock, *deadline);
    } else {
      wake_.wait(lock);
    }
  }
}

void ScoringLoop::score(std::vector<pipeline::Batcher::Item> items) {
  if (degraded_ && clock_.monotonic() >= try_again_at_) try_device_again();
  std::shared_ptr<Model> model;
  {
    const std::lock_guard lock{mutex_};
    const auto found = models_.find(items.front().request.group.get());
    if (found != models_.end()) model = found->second;
  }
  const MonotonicTime started = clock_.monotonic();
  const bool single = items.size() == 1;
  Batch merged = single ? Batch{} : pipeline::merge(items);
  const Batch& batch = single ? items.front().request.batch : merged;

  auto residuals =
      model == nullptr
          ? Result<Residuals>{fail(ErrorKind::kInvalid, "no model is installed for this group")}
      : batch.windows.empty()
          ? Result<Residuals>{Residuals{model->scorer->info().members.size(), batch.channels, {}}}
          : score_in_parts(*model->scorer, batch);
  const double seconds = std::chrono::duration<double>(clock_.monotonic() - started).count();
  if (events_.on_batch) events_.on_batch(batch.windows.size(), seconds);

  if (!residuals) {
    for (auto& item : items) item.done(std::move(item.request), Failure{residuals.error()});
    return;
  }
  if (single) {
    items.front().done(std::move(items.front().request), std::move(*residuals));
    return;
  }
  auto parts = pipeline::split(*residuals, items);
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].done(std::move(items[i].request), std::move(parts[i]));
  }
}

Result<Residuals> ScoringLoop::score_in_parts(Scorer& scorer, const Batch& batch) {
  if (batch.windows.size() > kMostWindows) return score_halves(scorer, batch);
  auto residuals = scorer.score(batch);
  {
    const std::lock_guard lock{mutex_};
    moved_at_ = clock_.monotonic();
  }
  if (residuals) return residuals;
  if (residuals.error().kind == ErrorKind::kDeviceLost) {
    if (events_.on_degraded) events_.on_degraded(residuals.error().message);
    degraded_ = true;
    try_again_at_ = clock_.monotonic() + 1min;
    if (auto moved = scorer.move_to("cpu"); !moved) return Failure{std::move(moved.error())};
    return scorer.score(batch);
  }
  if (residuals.error().kind != ErrorKind::kExhausted || batch.windows.size() < 2) return residuals;
  return score_halves(scorer, batch);
}

Result<Residuals> ScoringLoop::score_halves(Scorer& scorer, const Batch& batch) {
  const std::size_t middle = batch.windows.size() / 2;
  auto first = score_in_parts(scorer, part_of(batch, 0, middle));
  if (!first) return first;
  auto second = score_in_parts(scorer, part_of(batch, middle, batch.windows.size()));
  if (!second) return second;
  first->values.insert(first->values.end(), second->values.begin(), second->values.end());
  first->classes.insert(first->classes.end(), second->classes.begin(), second->classes.end());
  return first;
}

void ScoringLoop::try_device_again() {
  const std::lock_guard lock{mutex_};
  degraded_ = false;
  for (auto& [group, model] : models_) {
    if (model->scorer->info().device == model->wanted_device) continue;
    if (!model->scorer->move_to(model->wanted_device)) degraded_ = true;
  }
  try_again_at_ = clock_.monotonic() + 1min;
  if (!degraded_ && events_.on_degraded) events_.on_degraded("");
}

}  // namespace anomalyd::runtime
