// What the scorer does for members with a memory: beside the weights they need what is known of
// each series, and that changes from row to row.

#include <algorithm>
#include <unordered_map>

#include "models/device.hpp"
#include "models/memory_bank.hpp"
#include "models/memory_torch.hpp"
#include "models/scorer_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr std::size_t kWindowsPerBlock = 512;

std::span<const float> values_of(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

// The windows of each memory, in the order of the batch.
std::vector<std::pair<Memory*, ScoringJob>> by_memory(const Batch& batch) {
  std::vector<std::pair<Memory*, ScoringJob>> series;
  std::unordered_map<const Memory*, std::size_t> index;
  for (std::size_t i = 0; i < batch.windows.size(); ++i) {
    const Batch::Window& window = batch.windows[i];
    const auto [known, is_new] = index.try_emplace(window.memory, series.size());
    if (is_new) series.push_back({window.memory, {{static_cast<std::int64_t>(window.slot)}, {}}});
    series[known->second].second.windows.push_back(static_cast<std::int64_t>(i));
  }
  return series;
}

}  // namespace

Result<Memory> TorchScorer::memorize(std::span<const float> rows, std::uint32_t slot,
                                     std::size_t learned) {
  Memory memory;
  const std::size_t channels = info_.channels.size(), fitted = rows.size() / channels;
  const Status made = without_exceptions([&]() -> Status {
    const c10::InferenceMode inference;
    begin(memory, fitted, learned);
    Batch batch{channels, 1, {rows.begin(), rows.end()}, {}};
    const at::Tensor device_rows = on_device(batch);
    for (const MemoryMember* member : recalling_) {
      const BankShape shape = member->bank(static_cast<std::int64_t>(channels));
      Memory::Bank bank = make_bank(shape, fitted, learned);
      ScoringJob job{{static_cast<std::int64_t>(slot)}, {}};
      batch.windows.clear();
      for (std::size_t end = shape.window; end <= fitted; end += bank.stride) {
        job.windows.push_back(static_cast<std::int64_t>(batch.windows.size()));
        batch.windows.push_back({static_cast<std::uint32_t>(end - 1), slot});
      }
      if (!batch.windows.empty()) {
        const Unfolded windows{batch, device_rows, job,
                               static_cast<std::int64_t>(shape.window)};
        const at::Tensor codes =
            member->codes(windows.inputs(member->lags()), windows.choice()).cpu().contiguous();
        const auto values = values_of(codes);
        bank.codes = make_codes({values.begin(), values.end()}, bank.width);
      }
      memory.banks.push_back(std::move(bank));
    }
    return {};
  });
  if (!made) return Failure{made.error()};
  return memory;
}

Status TorchScorer::recall(const Batch& batch, Residuals& result) {
  if (recalling_.empty()) return {};
  const auto series = by_memory(batch);
  std::vector<Memory> after(series.size());
  Status recalled = without_exceptions([&]() -> Status {
    const at::Tensor device_rows = on_device(batch);
    pool_->run(series.size(), [&](std::size_t i) {
      const c10::InferenceMode on_this_thread;
      after[i] = *series[i].first;
      recall(batch, device_rows, series[i].second, after[i], result);
    });
    return {};
  });
  if (!recalled) return recalled;
  for (std::size_t i = 0; i < series.size(); ++i) *series[i].first = std::move(after[i]);
  return {};
}

void TorchScorer::recall(const Batch& batch, const at::Tensor& device_rows, ScoringJob windows,
                         Memory& memory, Residuals& result) const {
  const std::vector<std::int64_t> all = std::move(windows.windows);
  const std::size_t stride = result.members * result.channels;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t count =
        std::min({all.size() - begin, rows_to_update(memory), kWindowsPerBlock});
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(begin);
    windows.windows.assign(first, first + static_cast<std::ptrdiff_t>(count));
    const Unfolded block{batch, device_rows, windows, num_recent_};
    for (std::size_t m = 0; m < recalling_.size(); ++m) {
      Memory::Bank& bank = memory.banks[m];
      const at::Tensor codes =
          recalling_[m]->codes(block.inputs(recalling_[m]->lags()), block.choice());
      const at::Tensor distances = nearest(bank, codes, recalling_[m]->shared_width());
      block.scatter(distances.t(), result.values.data() + info_.recalling[m] * result.channels,
                    stride);
      const bool needs_codes = notes_any(memory, bank, count);
      const at::Tensor noted = needs_codes ? codes.cpu().contiguous() : at::Tensor{};
      const at::Tensor far = distances.cpu().contiguous();
      note(memory, bank,
           {result.channels, count, values_of(far),
            needs_codes ? values_of(noted) : std::span<const float>{}});
    }
    advance(memory, count, result.channels);
    begin += count;
  }
}

}  // namespace anomalyd::models
