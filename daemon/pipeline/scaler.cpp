#include "daemon/pipeline/scaler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace anomalyd::pipeline {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

/// Linear interpolation between order statistics, as numpy does. `sorted` is not empty.
double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Grows in nearly every row and falls at most at rare resets.
bool looks_like_counter(const std::vector<double>& values) {
  if (values.size() < 64) return false;
  std::size_t up = 0, down = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    up += values[i] > values[i - 1] ? 1 : 0;
    down += values[i] < values[i - 1] ? 1 : 0;
  }
  const std::size_t steps = values.size() - 1;
  return up * 2 >= steps && down * 500 <= steps && values.front() >= 0;
}

std::pair<float, float> centre_and_scale(std::vector<double> values) {
  if (values.empty()) return {0.0F, 1.0F};
  std::sort(values.begin(), values.end());
  const double low = quantile(values, 0.001), high = quantile(values, 0.999);
  double sum = 0, squares = 0;
  for (double v : values) sum += std::clamp(v, low, high);
  const double mean = sum / static_cast<double>(values.size());
  for (double v : values) {
    const double d = std::clamp(v, low, high) - mean;
    squares += d * d;
  }
  const double range = values.back() - values.front();
  const double magnitude = std::max(std::abs(values.front()), std::abs(values.back()));
  double scale = std::max(std::sqrt(squares / static_cast<double>(values.size())), 1e-3 * range);
  if (scale <= 1e-9 * std::max(magnitude, 1e-30)) scale = magnitude > 0 ? 0.1 * magnitude : 1.0;
  return {static_cast<float>(quantile(values, 0.5)), static_cast<float>(scale)};
}

}  // namespace

Scaler Scaler::fit(std::span<const double> rows, std::span<const std::int64_t> times,
                   std::size_t channels, Counters counters) {
  Scaler scaler;
  scaler.channels_.resize(channels);
  std::vector<double> values;
  for (std::size_t c = 0; c < channels; ++c) {
    values.clear();
    for (std::size_t i = c; i < rows.size(); i += channels) {
      if (std::isfinite(rows[i])) values.push_back(rows[i]);
    }
    PerChannel& channel = scaler.channels_[c];
    channel.counter = counters == Counters::kDetect && looks_like_counter(values) ? 1 : 0;
    if (channel.counter != 0) {
      values.clear();
      for (std::size_t t = 1; t < times.size(); ++t) {
        const double now = rows[t * channels + c], before = rows[(t - 1) * channels + c];
        if (!(now >= before) || times[t] <= times[t - 1]) continue;  // a reset, or a cell missing
        values.push_back((now - before) * 1e6 / static_cast<double>(times[t] - times[t - 1]));
      }
    }
    std::tie(channel.centre, channel.scale) = centre_and_scale(values);
  }
  return scaler;
}

void Scaler::apply(std::span<const double> raw, std::int64_t time_us, std::span<float> scaled) {
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    PerChannel& channel = channels_[c];
    double value = raw[c];
    if (channel.counter != 0 && std::isfinite(value)) {
      const double before = channel.last_value;
      const auto elapsed = time_us - channel.last_time;
      const bool known = channel.last_time != 0 && elapsed > 0 && value >= before;
      channel.last_value = value;
      channel.last_time = time_us;
      value = known ? (value - before) * 1e6 / static_cast<double>(elapsed) : std::nan("");
    }
    scaled[c] = rescale(c, value);
  }
}

float Scaler::rescale(std::size_t channel, double value) const noexcept {
  const PerChannel& scale = channels_[channel];
  const double z = (value - static_cast<double>(scale.centre)) / static_cast<double>(scale.scale);
  return std::isfinite(z) ? std::clamp(static_cast<float>(z), -kClip, kClip) : kMissing;
}

bool Scaler::continue_from(const Scaler& other) noexcept {
  bool alike = true;
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    alike = alike && is_counter(c) == other.is_counter(c);
    channels_[c].last_value = other.channels_[c].last_value;
    channels_[c].last_time = other.is_counter(c) ? other.channels_[c].last_time : 0;
  }
  return alike;
}

void Scaler::restart() noexcept {
  for (PerChannel& channel : channels_) channel.last_time = 0;
}

}  // namespace anomalyd::pipeline
