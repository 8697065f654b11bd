#include "daemon/pipeline/decayed_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace anomalyd::pipeline {
namespace {

constexpr double kMaxWeight = 1e20;  // of 1e38 that a float can hold
constexpr std::size_t kMaxBins = 1U << 16U;

}  // namespace

DecayedSketch::DecayedSketch(const Range& range, double memory_rows)
    : range_{range}, bins_(range.num_bins), blocks_((range.num_bins + kBlock - 1) / kBlock) {
  set_memory(memory_rows);
  bins_per_unit_ = 1.0 / range.bin_width;
}

void DecayedSketch::set_memory(double memory_rows) { growth_ = 1.0 / (1.0 - 1.0 / memory_rows); }

std::size_t DecayedSketch::bin_of(double value) const noexcept {
  const double bin = (value - range_.low) * bins_per_unit_;
  return static_cast<std::size_t>(std::clamp(bin, 0.0, static_cast<double>(bins_.size() - 1)));
}

void DecayedSketch::add(double value, double share) {
  weight_ *= growth_;
  const std::size_t bin = bin_of(value);
  const double added = weight_ * share;
  bins_[bin] += static_cast<float>(added);
  blocks_[bin / kBlock] += added;
  total_ += added;
  if (weight_ > kMaxWeight) rescale();
}

double DecayedSketch::quantile(double level) const {
  const double wanted = level * total_;
  double sum = 0.0;
  std::size_t block = 0;
  while (block + 1 < blocks_.size() && sum + blocks_[block] < wanted) sum += blocks_[block++];
  std::size_t bin = block * kBlock;
  const std::size_t last = std::min(bin + kBlock, bins_.size()) - 1;
  sum += static_cast<double>(bins_[bin]);
  while (bin < last && sum < wanted) sum += static_cast<double>(bins_[++bin]);
  return range_.low + static_cast<double>(bin + 1) * range_.bin_width;
}

double DecayedSketch::share_above(double value) const {
  if (total_ <= 0) return 1.0;
  const std::size_t bin = bin_of(value);
  const std::size_t block = bin / kBlock;
  // Counted from below, where most values are: fewer blocks to add up.
  double below = 0.0;
  for (std::size_t i = 0; i < block; ++i) below += blocks_[i];
  below += blocks_[block] * (static_cast<double>(bin % kBlock) + 0.5) / kBlock;
  return std::clamp(1.0 - below / total_, 0.0, 1.0);
}

double DecayedSketch::half_width(double centre, double level) const {
  const double wanted = level * total_;
  std::size_t low = bin_of(centre);
  std::size_t high = low;
  double sum = static_cast<double>(bins_[low]);
  while (sum < wanted && (low > 0 || high + 1 < bins_.size())) {
    if (low > 0) sum += static_cast<double>(bins_[--low]);
    if (high + 1 < bins_.size()) sum += static_cast<double>(bins_[++high]);
  }
  return 0.5 * static_cast<double>(high - low + 1) * range_.bin_width;
}

void DecayedSketch::rescale() {
  const auto factor = static_cast<float>(1.0 / weight_);
  for (float& bin : bins_) bin *= factor;
  weight_ = 1.0;
  sum_blocks();
}

void DecayedSketch::sum_blocks() {
  std::ranges::fill(blocks_, 0.0);
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    blocks_[i / kBlock] += static_cast<double>(bins_[i]);
  }
  total_ = std::accumulate(blocks_.begin(), blocks_.end(), 0.0);
}

void DecayedSketch::save(StateWriter& out) const {
  out.put(range_.low);
  out.put(range_.bin_width);
  out.put(weight_);
  out.put(total_);
  out.put_all(bins_);
  out.put_all(blocks_);
}

bool DecayedSketch::load(StateReader& in) {
  if (!in.get(range_.low) || !in.get(range_.bin_width) || !in.get(weight_) || !in.get(total_) ||
      !in.get_all(bins_) || !in.get_all(blocks_)) {
    return false;
  }
  range_.num_bins = bins_.size();
  bins_per_unit_ = 1.0 / range_.bin_width;
  return !bins_.empty() && bins_.size() <= kMaxBins &&
         blocks_.size() == (bins_.size() + kBlock - 1) / kBlock && std::isfinite(range_.low) &&
         range_.bin_width > 0 && weight_ > 0 && weight_ <= 2 * kMaxWeight && total_ >= 0;
}

}  // namespace anomalyd::pipeline
