#include "models/scoring_jobs.hpp"

#include <algorithm>
#include <numeric>

namespace anomalyd::models {
namespace {

// Joins jobs of one slot each, largest first, into batched ones.
void merge_into(std::vector<ScoringJob>& jobs, std::vector<ScoringJob> small, std::size_t block) {
  std::ranges::stable_sort(small, std::ranges::greater{},
                           [](const ScoringJob& job) { return job.windows.size(); });
  std::size_t length = 0;  // windows per slot in the job being filled
  for (ScoringJob& next : small) {
    const bool fits = length > 0 && 2 * next.windows.size() >= length &&
                      jobs.back().windows.size() + length <= block;
    if (!fits) {
      length = next.windows.size();
      jobs.push_back(std::move(next));
      continue;
    }
    ScoringJob& job = jobs.back();
    job.slots.push_back(next.slots.front());
    next.windows.resize(length, next.windows.back());
    job.windows.insert(job.windows.end(), next.windows.begin(), next.windows.end());
  }
}

}  // namespace

std::vector<ScoringJob> plan_jobs(std::span<const Batch::Window> windows, std::size_t block) {
  std::vector<std::int64_t> order(windows.size());
  std::iota(order.begin(), order.end(), 0);
  const auto slot_of = [&](std::int64_t i) { return windows[static_cast<std::size_t>(i)].slot; };
  std::ranges::stable_sort(order, {}, slot_of);

  std::vector<ScoringJob> jobs;
  std::vector<ScoringJob> small;
  for (std::size_t begin = 0; begin < order.size();) {
    const std::int64_t slot = slot_of(order[begin]);
    std::size_t end = begin;
    while (end < order.size() && end - begin < block && slot_of(order[end]) == slot) ++end;
    auto& list = end - begin == block ? jobs : small;
    list.push_back({{slot},
                    {order.begin() + static_cast<std::ptrdiff_t>(begin),
                     order.begin() + static_cast<std::ptrdiff_t>(end)}});
    begin = end;
  }
  merge_into(jobs, std::move(small), block);
  return jobs;
}

}  // namespace anomalyd::models
