#include "daemon/core/memory.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd {
namespace {

// Bounds of what a file may say, so that a damaged one makes no memory grow without end. Nothing
// that was saved is beyond them: a memory is saved when its calibration is over.
constexpr std::uint64_t kMostRowsToUpdate = 512;
constexpr std::uint32_t kMostCapacity = 4096;
constexpr float kLargest = 1e12F;  // its square, summed over a code, is still finite

bool are_usable(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float value) { return std::abs(value) <= kLargest; });
}

bool fits(const Memory::Bank& bank, std::size_t channels, std::uint32_t width) {
  const std::size_t code = channels * width;
  return bank.width == width && bank.codes->values.size() % code == 0 &&
         bank.codes->values.size() / code <= bank.capacity &&
         (bank.limits.empty() || bank.limits.size() == channels) &&
         bank.calibration.size() % channels == 0 &&
         bank.candidates.size() % (channels + code) == 0 &&
         bank.candidates.size() / (channels + code) * bank.stride <= bank.next_start;
}

}  // namespace

std::shared_ptr<const Memory::Codes> make_codes(std::vector<float> values, std::size_t width) {
  auto codes = std::make_shared<Memory::Codes>();
  for (auto code = values.begin(); code != values.end();
       code += static_cast<std::ptrdiff_t>(width)) {
    float square = 0;
    for (std::size_t i = 0; i < width; ++i)
      square += code[static_cast<std::ptrdiff_t>(i)] * code[static_cast<std::ptrdiff_t>(i)];
    codes->squares.push_back(square);
  }
  codes->values = std::move(values);
  return codes;
}

Memory Memory::pooled(std::span<const Memory> series, std::size_t channels) {
  Memory pool = series.front();
  pool.rows_per_update = 0;
  for (std::size_t b = 0; b < pool.banks.size(); ++b) {
    Bank& bank = pool.banks[b];
    bank.calibration.clear();
    bank.candidates.clear();
    bank.limits.clear();
    std::vector<std::size_t> taken;  // of each series: its newest codes
    for (std::size_t i = 0; i < series.size(); ++i) {
      const std::size_t part =
          bank.capacity * (i + 1) / series.size() - bank.capacity * i / series.size();
      taken.push_back(std::min(series[i].banks[b].size(channels), part));
    }
    std::vector<float> values;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < series.size(); ++i) {
        const Bank& from = series[i].banks[b];
        const auto end = from.codes->values.begin() +
                         static_cast<std::ptrdiff_t>((c + 1) * from.size(channels) * bank.width);
        values.insert(values.end(), end - static_cast<std::ptrdiff_t>(taken[i] * bank.width), end);
      }
    }
    bank.codes = make_codes(std::move(values), bank.width);
  }
  return pool;
}

bool Memory::fits(std::size_t channels, std::span<const std::uint32_t> widths) const {
  if (banks.size() != widths.size()) return false;
  for (std::size_t b = 0; b < banks.size(); ++b) {
    if (!anomalyd::fits(banks[b], channels, widths[b])) return false;
  }
  return true;
}

void Memory::Bank::save(StateWriter& out) const {
  out.put(window);
  out.put(width);
  out.put(stride);
  out.put(capacity);
  out.put(next_start);
  out.put_all(codes->values);
  out.put_all(limits);
  out.put_all(calibration);
  out.put_all(candidates);
}

bool Memory::Bank::load(StateReader& in) {
  std::vector<float> values;
  if (!in.get(window) || !in.get(width) || !in.get(stride) || !in.get(capacity) ||
      !in.get(next_start) || !in.get_all(values) || !in.get_all(limits) ||
      !in.get_all(calibration) || !in.get_all(candidates)) {
    return false;
  }
  if (window == 0 || width == 0 || stride == 0 || capacity > kMostCapacity ||
      values.size() % width != 0 || !are_usable(values) || !are_usable(limits) ||
      !are_usable(calibration) || !are_usable(candidates)) {
    return false;
  }
  codes = make_codes(std::move(values), width);
  return true;
}

void Memory::save(StateWriter& out) const {
  out.put(static_cast<std::uint32_t>(banks.size()));
  for (const Bank& bank : banks) bank.save(out);
  out.put(rows);
  out.put(next_update);
  out.put(rows_per_update);
}

bool Memory::load(StateReader& in) {
  std::uint32_t size = 0;
  if (!in.get(size)) return false;
  banks.clear();
  for (std::uint32_t b = 0; b < size; ++b) {
    if (!banks.emplace_back().load(in)) return false;
  }
  return in.get(rows) && in.get(next_update) && in.get(rows_per_update) && next_update >= rows &&
         next_update - rows <= kMostRowsToUpdate && rows_per_update <= kMostRowsToUpdate;
}

}  // namespace anomalyd
