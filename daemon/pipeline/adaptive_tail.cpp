#include "daemon/pipeline/adaptive_tail.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::pipeline {
namespace {

constexpr double kMinPValue = 1e-12;
constexpr std::size_t kMinExcesses = 8;  // fewer cannot carry a fit
constexpr std::size_t kRingsPerFit = 4;  // the ring holds scores near the tail too: it may move
constexpr std::size_t kMaxRing = kRingsPerFit * 4096;
constexpr std::size_t kRingStep = 64;  // it grows by: a fleet has many of them
constexpr double kRingMargin = 1.0;    // how far below the tail a score is still kept
constexpr double kWarmUpSpan = 4.047;  // six median absolute deviations, in standard deviations
constexpr int kTrimRounds = 4;
constexpr double kMinKept = 0.98;  // of the calibration scores; contamination beyond is capped

}  // namespace

AdaptiveTail::AdaptiveTail(std::span<const double> scores, const Options& options)
    : options_{options}, scale_{std::vector{1.0}, 0}, sketch_{{}, options.memory_rows} {
  std::vector<double> usable;
  std::ranges::copy_if(scores, std::back_inserter(usable),
                       [](double s) { return std::isfinite(s); });
  calibration_rows_ = usable.size();
  if (usable.empty()) usable.push_back(1.0);

  scale_ = ScoreScale{usable, options.drift_rows};
  for (double& score : usable) score = scale_.observe(score);
  // Anomalies in the calibration rows must not make the tail long: fit, drop what is too rare for
  // that fit, fit again. More than 2 % of such rows cannot be told from a heavy tail: cap them.
  for (int round = 0; round < kTrimRounds; ++round) {
    start(usable);
    std::vector<double> kept;
    const double limit = quantile_at(options_.trim);
    std::ranges::copy_if(usable, std::back_inserter(kept), [&](double x) { return x <= limit; });
    if (kept.size() == usable.size()) break;
    if (static_cast<double>(kept.size()) < kMinKept * static_cast<double>(usable.size())) {
      const double cap = quantile_of(usable, kMinKept);
      for (double& x : usable) x = std::min(x, cap);
      start(usable);
      break;
    }
    usable = std::move(kept);
  }
}

void AdaptiveTail::start(std::span<const double> scaled) {
  const auto [lowest, highest] = std::ranges::minmax(scaled);
  const std::vector<double> values{scaled.begin(), scaled.end()};
  const double low = lowest - 1;
  const double high = highest + 4 * (highest - quantile_of(values, 0.5)) + 2;
  sketch_ = DecayedSketch{{.low = low,
                           .bin_width = (high - low) / static_cast<double>(options_.bins),
                           .num_bins = options_.bins},
                          options_.memory_rows};
  ring_.clear();
  ring_next_ = 0;
  const double near_tail = quantile_of(values, 0.9);
  for (const double x : scaled) {
    sketch_.add(x);
    if (x > near_tail) keep(static_cast<float>(x));
  }
  tail_start_ = sketch_.quantile(options_.level);
  fit_shape_and_scale();
  update_caps();
}

double AdaptiveTail::observe(double score) {
  if (!std::isfinite(score)) return 1.0;
  const double x = scale_.observe(score);
  const double p = p_value(x);
  const double answer = footing() == Footing::kWarmUp ? warm_up_p_value(x) : p;
  if (scale_.drifts()) ++revision_;
  learn(x, p);
  return answer;
}

void AdaptiveTail::learn(double x, double p) {
  run_ = p < options_.alpha ? run_ + 1 : 0;
  const bool incident = run_ > static_cast<std::uint32_t>(options_.free_rows);
  const double value = std::min(x, incident ? incident_cap_ : ordinary_cap_);
  ++rows_;
  sketch_.add(value, incident ? options_.incident_share : 1.0);
  if ((!incident || rows_ % 4 == 0) && value > tail_start_ - kRingMargin) {
    keep(static_cast<float>(value));
    if (value > tail_start_) ++new_excesses_;
  }
  if (rows_ % static_cast<std::uint64_t>(options_.refit_rows) == 0) refit();
}

void AdaptiveTail::keep(float x) {
  if (const std::size_t most = kRingsPerFit * options_.excesses; ring_.size() < most) {
    if (ring_.size() == ring_.capacity()) ring_.reserve(std::min(ring_.size() + kRingStep, most));
    ring_.push_back(x);
    return;
  }
  ring_[ring_next_] = x;
  ring_next_ = ring_next_ + 1 == ring_.size() ? 0 : ring_next_ + 1;
}

void AdaptiveTail::refit() {
  const double moved = sketch_.quantile(options_.level) - tail_start_;
  tail_start_ += moved;
  const auto enough = static_cast<std::uint32_t>(options_.refit_excesses);
  if (new_excesses_ >= enough || num_excesses_ < 4 * enough) {
    fit_shape_and_scale();
  } else if (moved != 0) {
    // Excesses over another threshold have the same shape and a scale that is linear in it.
    tail_.scale = std::max(tail_.scale + tail_.shape * moved, 0.5 * sketch_.bin_width());
  }
  update_caps();
}

void AdaptiveTail::fit_shape_and_scale() {
  std::vector<double> excesses = newest_excesses();
  new_excesses_ = 0;
  num_excesses_ = static_cast<std::uint32_t>(excesses.size());
  if (excesses.empty()) {
    tail_ = {options_.prior_shape, sketch_.bin_width()};
    return;
  }
  double mean = 0.0;
  for (const double excess : excesses) mean += excess;
  mean /= static_cast<double>(excesses.size());
  if (excesses.size() < kMinExcesses) {
    tail_ = {options_.prior_shape, mean};
    return;
  }
  // Half a bin at least: ties carry no shape.
  for (double& excess : excesses) excess = std::max(excess, 0.5 * sketch_.bin_width());
  const double n = static_cast<double>(excesses.size());
  const double shape = (n * fit_shape(excesses) + options_.prior_weight * options_.prior_shape) /
                       (n + options_.prior_weight);
  tail_.shape = std::clamp(shape, -0.5, 0.9);
  tail_.scale = std::max(mean * (1 - tail_.shape), 1e-9);  // keeps the mean where it is
}

std::vector<double> AdaptiveTail::newest_excesses() const {
  std::vector<double> excesses;
  excesses.reserve(options_.excesses);
  std::size_t place = ring_next_;  // one past the newest
  for (std::size_t i = 0; i < ring_.size() && excesses.size() < options_.excesses; ++i) {
    place = place == 0 ? ring_.size() - 1 : place - 1;
    const double x = static_cast<double>(ring_[place]);
    if (x > tail_start_) excesses.push_back(x - tail_start_);
  }
  return excesses;
}

void AdaptiveTail::update_caps() {
  incident_cap_ = quantile_at(options_.alpha);
  ordinary_cap_ = quantile_at(options_.alpha / 30);
  ++revision_;
}

double AdaptiveTail::p_value(double x) const {
  const double tail_share = 1 - options_.level;
  if (x <= tail_start_) return std::max(tail_share, sketch_.share_above(x));
  return std::max(kMinPValue, tail_share * tail_.probability_above(x - tail_start_));
}

double AdaptiveTail::quantile_at(double p) const {
  const double tail_share = 1 - options_.level;
  if (p > tail_share) return sketch_.quantile(1 - p);
  return tail_start_ + tail_.excess_at(p / tail_share);
}

double AdaptiveTail::warm_up_p_value(double x) const {
  return std::clamp(std::pow(options_.alpha, x / kWarmUpSpan), kMinPValue, 1.0);
}

double AdaptiveTail::threshold(double alpha) const {
  if (footing() == Footing::kWarmUp) {
    return scale_.score_at(kWarmUpSpan * std::log(alpha) / std::log(options_.alpha));
  }
  return scale_.score_at(quantile_at(alpha));
}

double AdaptiveTail::quantile(double level) const {
  return scale_.score_at(sketch_.quantile(level));
}

double AdaptiveTail::robust_threshold(double deviations) const {
  const double median = sketch_.quantile(0.5);
  return scale_.score_at(median + deviations * sketch_.half_width(median, 0.5));
}

AdaptiveTail::Footing AdaptiveTail::footing() const noexcept {
  if (calibration_rows_ + rows_ < static_cast<std::uint64_t>(options_.warm_up_rows)) {
    return Footing::kWarmUp;
  }
  return num_excesses_ < kMinExcesses ? Footing::kExponential : Footing::kFitted;
}

double AdaptiveTail::extremal_index(std::span<const double> scores, int gap) const {
  std::size_t exceedances = 0;
  std::size_t clusters = 0;
  int quiet_rows = gap + 1;
  for (const double score : scores) {
    if (!std::isfinite(score) || scale_.at(score) <= tail_start_) {
      ++quiet_rows;
      continue;
    }
    ++exceedances;
    if (quiet_rows > gap) ++clusters;
    quiet_rows = 0;
  }
  if (exceedances == 0) return 1.0;
  return static_cast<double>(clusters) / static_cast<double>(exceedances);
}

void AdaptiveTail::use(const Options& options) {
  options_ = options;
  scale_.set_drift(options.drift_rows);
  sketch_.set_memory(options.memory_rows);
  resize_ring();
  update_caps();
}

void AdaptiveTail::resize_ring() {
  const std::size_t room = kRingsPerFit * options_.excesses;
  if (ring_.size() == room) return;
  std::ranges::rotate(ring_, ring_.begin() + static_cast<std::ptrdiff_t>(ring_next_));
  ring_next_ = 0;
  if (ring_.size() > room)
    ring_.erase(ring_.begin(), ring_.end() - static_cast<std::ptrdiff_t>(room));
}

void AdaptiveTail::save(StateWriter& out) const {
  scale_.save(out);
  sketch_.save(out);
  out.put(tail_start_);
  out.put(tail_.shape);
  out.put(tail_.scale);
  out.put_all(ring_);
  out.put(ring_next_);
  out.put(new_excesses_);
  out.put(num_excesses_);
  out.put(run_);
  out.put(rows_);
  out.put(calibration_rows_);
}

bool AdaptiveTail::load(StateReader& in) {
  if (!scale_.load(in) || !sketch_.load(in) || !in.get(tail_start_) || !in.get(tail_.shape) ||
      !in.get(tail_.scale) || !in.get_all(ring_) || !in.get(ring_next_) || !in.get(new_excesses_) ||
      !in.get(num_excesses_) || !in.get(run_) || !in.get(rows_) || !in.get(calibration_rows_)) {
    return false;
  }
  if (!std::isfinite(tail_start_) || !std::isfinite(tail_.shape) || !(tail_.scale > 0) ||
      ring_.size() > kMaxRing || (ring_next_ != 0 && ring_next_ >= ring_.size())) {
    return false;
  }
  resize_ring();
  update_caps();
  return true;
}

}  // namespace anomalyd::pipeline
