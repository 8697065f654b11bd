#include "daemon/runtime/reservoir_decay.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace anomalyd::runtime {
namespace {

constexpr std::int64_t kStretchRows = 256;
constexpr unsigned kMaxLevel = 40;
constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kLongest = std::int64_t{1} << 56;  // two thousand years

/// later - earlier, without overflow.
std::int64_t distance(std::int64_t earlier, std::int64_t later) {
  return std::clamp(later, -kLongest, kLongest) - std::clamp(earlier, -kLongest, kLongest);
}

}  // namespace

unsigned Thinning::level(std::int64_t time) const noexcept {
  const std::int64_t age = distance(time, at);
  if (beyond <= 0 || age < beyond) return 0;
  return std::min(kMaxLevel,
                  static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(age / beyond))));
}

Stretches::Stretches(const std::string& series, std::int64_t step) {
  const std::int64_t wanted = kStretchRows * std::clamp<std::int64_t>(step, 1, kLongest >> 8);
  length_ = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(wanted)));
  shift_ = static_cast<std::int64_t>(XXH3_64bits(series.data(), series.size()) >> 20);
}

std::int64_t Stretches::stretch_of(std::int64_t time) const noexcept {
  return time / length_ - (time < 0 && time % length_ != 0 ? 1 : 0);
}

bool Stretches::keeps(std::int64_t time, const Thinning& thinning) const noexcept {
  const std::int64_t stretch = stretch_of(time);
  const std::int64_t end = std::min(stretch, kLongest / length_) * length_ + length_;
  const unsigned level = thinning.level(end);  // by its newest row: one level for all of it
  return ((stretch + shift_) & ((std::int64_t{1} << level) - 1)) == 0;
}

double share_that_stays(const StoredPiece& piece, const Thinning& thinning) {
  constexpr int kPoints = 16;
  double before = 0, after = 0;
  const double length = static_cast<double>(distance(piece.first, piece.last));
  for (int i = 0; i < kPoints; ++i) {
    const auto time = std::clamp(piece.first, -kLongest, kLongest) +
                      static_cast<std::int64_t>(length * (i + 0.5) / kPoints);
    const unsigned was = piece.thinned.level(time);
    before += std::ldexp(1.0, -static_cast<int>(was));
    after += std::ldexp(1.0, -static_cast<int>(std::max(was, thinning.level(time))));
  }
  return after / before;
}

Thinning find_thinning(std::span<const StoredPiece> pieces, std::uint64_t max_bytes,
                       std::int64_t at) {
  const auto fits = [&](std::int64_t beyond) {
    double total = 0;
    for (const StoredPiece& piece : pieces) {
      const double share = share_that_stays(piece, {beyond, at});
      total += static_cast<double>(piece.bytes) * (share > 1 - kWorthwhile ? 1.0 : share);
    }
    return total <= static_cast<double>(max_bytes);
  };
  double low = std::log2(kSecond), high = std::log2(kLongest);
  if (fits(kLongest)) return {kLongest, at};
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (fits(static_cast<std::int64_t>(std::exp2(middle))) ? low : high) = middle;
  }
  return {static_cast<std::int64_t>(std::exp2(low)), at};
}

std::uint64_t fair_share(std::vector<std::uint64_t> sizes, std::uint64_t total) {
  std::ranges::sort(sizes);
  std::uint64_t left = total;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::uint64_t equal = left / (sizes.size() - i);
    if (sizes[i] > equal) return equal;
    left -= sizes[i];
  }
  return sizes.empty() ? total : sizes.back();
}

}  // namespace anomalyd::runtime
