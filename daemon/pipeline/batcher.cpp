#include "daemon/pipeline/batcher.hpp"

#include <algorithm>

namespace anomalyd::pipeline {

void Batcher::add(Item item, MonotonicTime now) {
  auto queue = std::find_if(queues_.begin(), queues_.end(),
                            [&](const Queue& q) { return q.group == item.request.group; });
  if (queue == queues_.end()) {
    queues_.push_back({item.request.group, {}, 0, {}});
    queue = queues_.end() - 1;
  }
  if (queue->items.empty()) queue->oldest = now;
  queue->windows += item.request.batch.windows.size();
  queue->items.push_back(std::move(item));
}

std::optional<MonotonicTime> Batcher::deadline() const noexcept {
  std::optional<MonotonicTime> first;
  for (const Queue& queue : queues_) {
    if (queue.items.empty()) continue;
    const MonotonicTime due =
        queue.windows >= options_.max_windows ? queue.oldest : queue.oldest + options_.max_delay;
    first = first ? std::min(*first, due) : due;
  }
  return first;
}

std::vector<Batcher::Item> Batcher::take_ready(MonotonicTime now) {
  for (Queue& queue : queues_) {
    if (queue.items.empty()) continue;
    if (queue.windows < options_.max_windows && queue.oldest + options_.max_delay > now) continue;
    std::vector<Item> ready;
    std::size_t windows = 0;
    while (!queue.items.empty() && (ready.empty() || windows < options_.max_windows)) {
      windows += queue.items.front().request.batch.windows.size();
      ready.push_back(std::move(queue.items.front()));
      queue.items.pop_front();
    }
    queue.windows -= windows;  // what is left keeps its age: it was due no later than these
    return ready;
  }
  return {};
}

std::size_t Batcher::waiting_windows() const noexcept {
  std::size_t windows = 0;
  for (const Queue& queue : queues_) windows += queue.windows;
  return windows;
}

Batch merge(const std::vector<Batcher::Item>& items) {
  Batch merged{items.front().request.batch.channels, items.front().request.batch.context, {}, {}};
  std::size_t cells = 0, windows = 0;
  for (const auto& item : items) {
    cells += item.request.batch.rows.size();
    windows += item.request.batch.windows.size();
  }
  merged.rows.reserve(cells);
  merged.windows.reserve(windows);
  for (const auto& item : items) {
    const auto base = static_cast<std::uint32_t>(merged.num_rows());
    const Batch& part = item.request.batch;
    merged.rows.insert(merged.rows.end(), part.rows.begin(), part.rows.end());
    for (const Batch::Window& window : part.windows) {
      merged.windows.push_back(window);
      merged.windows.back().end_row += base;
    }
  }
  return merged;
}

std::vector<Residuals> split(const Residuals& residuals, const std::vector<Batcher::Item>& items) {
  std::vector<Residuals> parts;
  const std::size_t stride = residuals.members * residuals.channels;
  auto from = residuals.values.begin();
  auto of_class = residuals.classes.begin();
  for (const auto& item : items) {
    const auto to = from + static_cast<std::ptrdiff_t>(item.request.batch.windows.size() * stride);
    parts.push_back({residuals.members, residuals.channels, {from, to}});
    from = to;
    if (residuals.classes.empty()) continue;
    const auto class_end =
        of_class + static_cast<std::ptrdiff_t>(item.request.batch.windows.size());
    parts.back().classes.assign(of_class, class_end);
    of_class = class_end;
  }
  return parts;
}

}  // namespace anomalyd::pipeline
