#include "models/memory_bank.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace anomalyd::models {
namespace {

constexpr std::uint64_t kNotBefore = 64;     // rows that a window waits before it may join
constexpr double kOrdinaryQuantile = 0.99;   // of the distances of the calibration rows, ...
constexpr float kOrdinaryFactor = 5;         // ... times this, is ordinary
constexpr std::size_t kFewestDistances = 8;  // that calibrate, though their windows overlap

// The quantile between the two neighbouring order statistics.
float quantile(std::vector<float> values, double share) {
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = values.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(values.begin(), below, values.end());
  if (below + 1 == values.end()) return *below;
  const float above = *std::min_element(below + 1, values.end());
  return *below + static_cast<float>(at - std::floor(at)) * (above - *below);
}

// [channels].
std::vector<float> limits_of(const Memory::Bank& bank, std::size_t channels) {
  const std::size_t rows = bank.calibration.size() / channels;
  // The first windows share rows with those in the bank.
  const std::size_t overlap =
      std::min<std::size_t>(bank.window, rows - std::min(rows, kFewestDistances));
  std::vector<float> limits;
  std::vector<float> distances;
  for (std::size_t c = 0; c < channels; ++c) {
    distances.clear();
    for (std::size_t i = overlap; i < rows; ++i) {
      distances.push_back(bank.calibration[i * channels + c]);
    }
    limits.push_back(kOrdinaryFactor * quantile(distances, kOrdinaryQuantile) + 1e-6F);
  }
  return limits;
}

// Everything is while nothing is known of distances: the bank was empty.
bool is_ordinary(std::span<const float> distances, const std::vector<float>& limits) {
  std::size_t ordinary = 0;
  for (std::size_t c = 0; c < limits.size(); ++c) ordinary += distances[c] <= limits[c] ? 1 : 0;
  return 2 * ordinary >= limits.size();
}

// Appends the codes of `joining` and drops the oldest beyond the capacity.
std::shared_ptr<const Memory::Codes> extended(const Memory::Bank& bank, std::size_t channels,
                                              const std::vector<const float*>& joining) {
  const std::size_t old = bank.size(channels);
  const std::size_t total = old + joining.size();
  const std::size_t dropped = total - std::min<std::size_t>(total, bank.capacity);
  std::vector<float> values;
  values.reserve((total - dropped) * channels * bank.width);
  for (std::size_t c = 0; c < channels; ++c) {
    const float* codes = bank.codes->values.data() + c * old * bank.width;
    values.insert(values.end(), codes + std::min(dropped, old) * bank.width,
                  codes + old * bank.width);
    for (std::size_t i = dropped - std::min(dropped, old); i < joining.size(); ++i) {
      const float* code = joining[i] + c * bank.width;
      values.insert(values.end(), code, code + bank.width);
    }
  }
  return make_codes(std::move(values), bank.width);
}

void update(Memory::Bank& bank, std::uint64_t rows, std::size_t channels) {
  // The windows that calibrated are as normal as those fitted on; later ones may be part of what
  // is happening now.
  const bool first = bank.limits.empty();
  const std::uint64_t age = bank.window - 1 + (first ? 0 : kNotBefore);
  if (!bank.calibration.empty()) bank.limits = limits_of(bank, channels);
  bank.calibration.clear();
  bank.calibration.shrink_to_fit();

  const std::size_t record = channels * (1 + bank.width);
  const std::size_t noted = bank.candidates.size() / record;
  const std::uint64_t oldest = bank.next_start - noted * bank.stride;
  std::size_t considered = 0;
  std::vector<const float*> joining;
  while (considered < noted && oldest + considered * bank.stride + age < rows) {
    const float* candidate = bank.candidates.data() + record * considered++;
    if (is_ordinary({candidate, channels}, bank.limits)) joining.push_back(candidate + channels);
  }
  if (!joining.empty()) bank.codes = extended(bank, channels, joining);
  bank.candidates.erase(bank.candidates.begin(),
                        bank.candidates.begin() + static_cast<std::ptrdiff_t>(record * considered));
}

}  // namespace

Memory::Bank make_bank(const BankShape& shape, std::size_t fitted, std::size_t learned) {
  Memory::Bank bank;
  bank.window = static_cast<std::uint32_t>(shape.window);
  bank.width = static_cast<std::uint32_t>(shape.width);
  bank.capacity = static_cast<std::uint32_t>(shape.capacity());
  const std::size_t starts = learned + 1 - std::min(learned, shape.window);
  bank.stride = static_cast<std::uint32_t>(std::max<std::size_t>(1, starts / shape.windows));
  bank.next_start = (fitted + bank.stride - 1) / bank.stride * bank.stride;
  bank.codes = std::make_shared<Memory::Codes>();
  return bank;
}

void begin(Memory& memory, std::size_t fitted, std::size_t learned) {
  memory.rows = fitted;
  memory.next_update = learned;
  memory.rows_per_update =
      static_cast<std::uint32_t>(std::clamp<std::size_t>(learned / 16, 16, 512));
}

std::size_t rows_to_update(const Memory& memory) {
  if (memory.is_fixed()) return std::numeric_limits<std::size_t>::max();
  return memory.next_update > memory.rows ? memory.next_update - memory.rows : 1;
}

bool notes_any(const Memory& memory, const Memory::Bank& bank, std::size_t count) {
  return !memory.is_fixed() && bank.next_start + bank.window <= memory.rows + count;
}

void note(const Memory& memory, Memory::Bank& bank, const ScoredBlock& block) {
  if (memory.is_fixed()) return;
  const bool was_empty = bank.size(block.channels) == 0;  // and distances are NaN
  if (bank.limits.empty() && !was_empty) {
    for (std::size_t i = 0; i < block.count; ++i) {
      for (std::size_t c = 0; c < block.channels; ++c) {
        bank.calibration.push_back(block.distances[c * block.count + i]);
      }
    }
  }
  for (std::size_t i = 0; i < block.count; ++i) {
    if (memory.rows + i + 1 < bank.next_start + bank.window) continue;
    for (std::size_t c = 0; c < block.channels; ++c) {
      bank.candidates.push_back(was_empty ? 0 : block.distances[c * block.count + i]);
    }
    const auto code = block.codes.begin() + static_cast<std::ptrdiff_t>(i * bank.width);
    for (std::size_t c = 0; c < block.channels; ++c) {
      const auto begin = code + static_cast<std::ptrdiff_t>(c * block.count * bank.width);
      bank.candidates.insert(bank.candidates.end(), begin, begin + bank.width);
    }
    bank.next_start += bank.stride;
  }
}

void advance(Memory& memory, std::size_t count, std::size_t channels) {
  if (memory.is_fixed()) return;
  memory.rows += count;
  if (memory.rows < memory.next_update) return;
  for (Memory::Bank& bank : memory.banks) update(bank, memory.rows, channels);
  memory.next_update = memory.rows + memory.rows_per_update;
}

}  // namespace anomalyd::models
