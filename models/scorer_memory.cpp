// What the scorer does for members with a memory: beside the weights they need what is known of
// each series, and that changes from row to row.

#include <algorithm>
#include <optional>
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

}  // namespace

Result<Memory> TorchScorer::memorize(std::span<const float> rows, std::uint32_t slot,
                                     std::size_t learned) {
  Memory memory;
  if (recalling_.empty()) return memory;
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
        const Unfolded windows{batch, device_rows, job, static_cast<std::int64_t>(shape.window)};
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

/// A block of scored windows that their memory has yet to take in.
struct TorchScorer::Recalled {
  struct Of {
    at::Tensor distances;  // [channels, count]
    at::Tensor codes;      // [channels, count, width]; undefined if the bank will note none
  };
  std::optional<Memory> before;  // what became of the memory in earlier blocks, if there were any
  std::size_t count = 0;
  std::vector<Of> members;

  void take_in(Memory& memory, std::size_t channels) const {
    for (std::size_t m = 0; m < members.size(); ++m) {
      const auto& [distances, codes] = members[m];
      note(memory, memory.banks[m],
           {channels, count, values_of(distances),
            codes.defined() ? values_of(codes) : std::span<const float>{}});
    }
    advance(memory, count, channels);
  }
};

Result<std::vector<TorchScorer::OfMemory>> TorchScorer::by_memory(const Batch& batch) const {
  std::vector<OfMemory> series;
  if (recalling_.empty()) return series;
  std::unordered_map<const Memory*, std::size_t> index;
  for (std::size_t i = 0; i < batch.windows.size(); ++i) {
    const Batch::Window& window = batch.windows[i];
    const auto [known, is_new] = index.try_emplace(window.memory, series.size());
    if (is_new) {
      if (window.memory == nullptr) {
        return fail(ErrorKind::kInvalid,
                    "batch: found a window without a memory; expected that of its series");
      }
      if (!std::ranges::equal(window.memory->banks, info_.code_widths, {}, &Memory::Bank::width)) {
        return fail(ErrorKind::kIncompatible,
                    "batch: found the memory of another model; expected one of this model");
      }
      series.push_back({window.memory, {{static_cast<std::int64_t>(window.slot)}, {}}});
    }
    series[known->second].windows.windows.push_back(static_cast<std::int64_t>(i));
  }
  return series;
}

void TorchScorer::recall(const Batch& batch, const at::Tensor& device_rows,
                         const std::vector<OfMemory>& series, Residuals& result) {
  std::vector<Recalled> recalled(series.size());
  pool_->run(series.size(), [&](std::size_t i) {
    const c10::InferenceMode on_this_thread;
    recalled[i] = recall_one(batch, device_rows, series[i], result);
  });
  pool_->run(series.size(), [&](std::size_t i) {
    const c10::InferenceMode on_this_thread;
    Memory& memory = *series[i].memory;
    if (recalled[i].before) memory = *std::move(recalled[i].before);
    recalled[i].take_in(memory, result.channels);
  });
}

TorchScorer::Recalled TorchScorer::recall_one(const Batch& batch, const at::Tensor& device_rows,
                                              const OfMemory& series, Residuals& result) const {
  const std::vector<std::int64_t>& all = series.windows.windows;
  const std::size_t stride = result.members * result.channels;
  const auto at_once = static_cast<std::size_t>(
      windows_at_once(static_cast<std::int64_t>(batch.context * batch.channels)));
  Recalled recalled;
  for (std::size_t begin = 0; begin < all.size();) {
    if (begin > 0) {
      if (!recalled.before) recalled.before = *series.memory;
      recalled.take_in(*recalled.before, result.channels);
    }
    const Memory& memory = recalled.before ? *recalled.before : *series.memory;
    const std::size_t count =
        std::min({all.size() - begin, rows_to_update(memory), kWindowsPerBlock, at_once});
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(begin);
    const ScoringJob windows{series.windows.slots,
                             {first, first + static_cast<std::ptrdiff_t>(count)}};
    const Unfolded block{batch, device_rows, windows, num_recent_};
    recalled.count = count;
    recalled.members.clear();
    for (std::size_t m = 0; m < recalling_.size(); ++m) {
      const at::Tensor codes =
          recalling_[m]->codes(block.inputs(recalling_[m]->lags()), block.choice());
      const at::Tensor distances = nearest(memory.banks[m], codes, recalling_[m]->shared_width());
      block.scatter(distances.t(), result.values.data() + info_.recalling[m] * result.channels,
                    stride);
      recalled.members.push_back(
          {distances.cpu().contiguous(),
           notes_any(memory, memory.banks[m], count) ? codes.cpu().contiguous() : at::Tensor{}});
    }
    begin += count;
  }
  return recalled;
}

}  // namespace anomalyd::models
