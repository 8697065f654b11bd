
#include <algorithm>
#include <cstring>
#include <span>

#include "models/tensor_torch.hpp"
#include "models/training_rows_torch.hpp"
#include "models/unfolded_torch.hpp"

namespace anomalyd::models {
namespace {

// The rows at `end - lag` side by side, copied run by run: [ends, lags x channels].
at::Tensor copy_rows(const Batch& batch, const std::vector<std::int64_t>& ends,
                     const std::vector<std::int64_t>& lags) {
  struct Run {
    std::size_t lag;
    std::size_t num_floats;
  };
  std::vector<Run> runs;
  for (std::size_t i = 0; i < lags.size(); ++i) {
    const bool continues = i > 0 && lags[i] + 1 == lags[i - 1];
    if (!continues) runs.push_back({static_cast<std::size_t>(lags[i]), 0});
    runs.back().num_floats += batch.channels;
  }
  at::Tensor result = at::empty({static_cast<std::int64_t>(ends.size()),
                                 static_cast<std::int64_t>(lags.size() * batch.channels)});
  float* out = result.data_ptr<float>();
  for (const std::int64_t end : ends) {
    for (const Run& run : runs) {
      const float* row = &batch.rows[(static_cast<std::size_t>(end) - run.lag) * batch.channels];
      std::memcpy(out, row, run.num_floats * sizeof(float));
      out += run.num_floats;
    }
  }
  return result;
}

SlotChoice choose(const ScoringJob& job, const at::Tensor& device_rows) {
  if (job.slots.size() == 1) return SlotChoice{job.slots.front()};
  const at::Tensor slots = at::tensor(job.slots, at::kLong);
  return SlotChoice{device_rows.defined() ? slots.to(device_rows.device()) : slots};
}

}  // namespace

bool is_run(const std::vector<std::int64_t>& lags) {
  const auto gap = [](std::int64_t a, std::int64_t b) { return a != b + 1; };
  return std::ranges::adjacent_find(lags, gap) == lags.end();
}

Unfolded::Unfolded(const Batch& batch, const at::Tensor& device_rows, const ScoringJob& job,
                   std::int64_t num_recent)
    : batch_{batch},
      device_rows_{device_rows},
      job_{job},
      choice_{choose(job, device_rows)},
      num_recent_{num_recent} {
  ends_.reserve(job.windows.size());
  for (const std::int64_t window : job.windows) {
    ends_.push_back(batch.windows[static_cast<std::size_t>(window)].end_row);
  }
  recent_ = unfold(window_lags(num_recent));
}

at::Tensor Unfolded::unfold(const std::vector<std::int64_t>& lags) const {
  const at::Tensor flat =
      device_rows_.defined()
          ? gather(device_rows_, at::tensor(ends_, at::kLong).to(device_rows_.device()), lags)
          : copy_rows(batch_, ends_, lags);
  return by_slot(flat);
}

at::Tensor Unfolded::by_slot(const at::Tensor& flat) const {
  const auto groups = static_cast<std::int64_t>(job_.slots.size());
  return groups == 1 ? flat : flat.view({groups, -1, flat.size(1)});
}

at::Tensor Unfolded::values_of(const Conditions& conditions) const {
  std::vector<float> values;
  for (const std::int64_t i : job_.windows) {
    const Batch::Window& window = batch_.windows[static_cast<std::size_t>(i)];
    conditions.append(
        window.time, window.entity,
        std::span{batch_.rows}.subspan(window.end_row * batch_.channels, batch_.channels), values);
  }
  const at::Tensor flat = at::tensor(values).view({-1, conditions.width()});
  return by_slot(device_rows_.defined() ? flat.to(device_rows_.device()) : flat);
}

at::Tensor Unfolded::inputs(const Member& member) const {
  const at::Tensor rows = inputs(member.lags());
  const Conditions* conditions = member.conditions();
  return conditions == nullptr ? rows : at::cat({rows, values_of(*conditions)}, -1);
}

at::Tensor Unfolded::newest() const {
  const auto channels = static_cast<std::int64_t>(batch_.channels);
  return recent_.narrow(-1, (num_recent_ - 1) * channels, channels);
}

at::Tensor Unfolded::inputs(const std::vector<std::int64_t>& lags) const {
  if (!is_run(lags) || lags.front() >= num_recent_) return unfold(lags);
  const auto channels = static_cast<std::int64_t>(batch_.channels);
  return recent_.narrow(-1, (num_recent_ - 1 - lags.front()) * channels,
                        static_cast<std::int64_t>(lags.size()) * channels);
}

}  // namespace anomalyd::models
