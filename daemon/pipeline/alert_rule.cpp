#include "daemon/pipeline/alert_rule.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace anomalyd::pipeline {
namespace {

constexpr std::int32_t kLongAgo = std::numeric_limits<std::int32_t>::max();
// How far tracked scales may leave the calibrated ones: one down, six up, in log units.
const double kLowest = std::exp(-1.0);
const double kHighest = std::exp(6.0);
constexpr double kExceeded = 0.05;  // share of rows that exceed a tracked scale: it is a Q95

void count_up(std::int32_t& rows) {
  if (rows < kLongAgo) ++rows;
}

bool tail_decides(ThresholdRule rule) {
  return rule == ThresholdRule::kTail || rule == ThresholdRule::kExponential ||
         rule == ThresholdRule::kWarmUp;
}

bool same_size_or_empty(const std::vector<Smoothed>& values, std::size_t size) {
  return values.empty() || values.size() == size;
}

}  // namespace

AlertRule::AlertRule(std::vector<Smoothed> scales, double alpha, double budget,
                     std::size_t calibration_rows, const Options& options)
    : options_{options},
      calibration_rows_{calibration_rows},
      governor_{alpha, {}},
      start_{std::move(scales)},
      scales_{start_},
      rows_since_condition_{kLongAgo},
      rows_since_suppressed_{kLongAgo} {
  use(alpha, budget, options);
}

void AlertRule::use(double alpha, double budget, const Options& options) {
  options_ = options;
  governor_.use(earned(alpha),
                {.budget = budget, .gain = options.gain, .onset_gap = options.gap_rows});
  up_ = std::exp(options.tracking * (1 - kExceeded));
  down_ = std::exp(-options.tracking * kExceeded);
  fade_ = 1 - 1 / options.fade_rows;
}

double AlertRule::earned(double alpha) const {
  return alpha * std::min(1.0, static_cast<double>(calibration_rows_) / options_.full_alpha_rows);
}

AlertRule::Decision AlertRule::observe(const Reading& reading, double score,
                                       std::span<const Smoothed> costs) {
  Decision decision{.magnitude = combine(costs, scales_)};
  const Rung reached = rung(reading, score, decision.magnitude, governor_.alpha());
  decision.condition = reached == Rung::kCondition;
  decision.lasting = reached != Rung::kNone;
  decision.alert = decision.condition && decision.magnitude > bar_;

  hold(decision);
  count_suppressed(reading, score, decision);
  if (decision.alert) {
    governor_.on_alert_row();
  } else {
    governor_.on_quiet_row();
  }
  track(costs);
  follow_condition(decision, costs);
  watch_first_level(costs);
  return decision;
}

AlertRule::Rung AlertRule::rung(const Reading& reading, double score, double magnitude,
                                double alpha) const {
  if (!tail_decides(reading.rule)) {
    return score > reading.threshold ? Rung::kCondition : Rung::kNone;
  }
  if (magnitude <= options_.magnitude || reading.p_value >= 10 * alpha) return Rung::kNone;
  const bool condition = reading.p_value < alpha || magnitude > options_.high_magnitude;
  return condition ? Rung::kCondition : Rung::kLasting;
}

// An alert speaks for `hold_rows`; then it has to get worse, or wait until the bar has faded.
void AlertRule::hold(const Decision& decision) {
  if (decision.alert) {
    ++alert_rows_;
    rows_since_alert_ = 0;
    peak_ = std::max(peak_, decision.magnitude);
    if (alert_rows_ >= options_.hold_rows) {
      bar_ = options_.rearm * peak_;
      alert_rows_ = 0;
      peak_ = 0;
    }
  } else {
    count_up(rows_since_alert_);
    if (rows_since_alert_ > options_.gap_rows) {
      alert_rows_ = 0;
      peak_ = 0;
    }
  }
  bar_ *= fade_;
}

void AlertRule::count_suppressed(const Reading& reading, double score, const Decision& decision) {
  count_up(rows_since_suppressed_);
  if (decision.condition || decision.magnitude <= bar_) return;
  if (rung(reading, score, decision.magnitude, governor_.full_alpha()) != Rung::kCondition) return;
  if (rows_since_suppressed_ > options_.gap_rows) ++suppressed_;
  rows_since_suppressed_ = 0;
}

void AlertRule::track(std::span<const Smoothed> costs) {
  const auto follow = [this](double cost, double start, double& scale) {
    scale *= cost > scale ? up_ : down_;
    scale = std::clamp(scale, start * kLowest, start * kHighest);
  };
  for (std::size_t j = 0; j < costs.size(); ++j) {
    follow(costs[j].fast, start_[j].fast, scales_[j].fast);
    follow(costs[j].slow, start_[j].slow, scales_[j].slow);
  }
}

// Keeps the mean over the present run of the condition; one that lasts is a second normal level.
void AlertRule::follow_condition(const Decision& decision, std::span<const Smoothed> costs) {
  if (decision.condition && rows_since_condition_ > options_.gap_rows) {
    condition_rows_ = 0;
    mean_.assign(costs.size(), {});
  }
  if (decision.condition) {
    rows_since_condition_ = 0;
  } else {
    count_up(rows_since_condition_);
  }
  if (rows_since_condition_ > options_.gap_rows) return;

  ++condition_rows_;
  const double rate = 1.0 / std::min(condition_rows_, options_.accept_rows);
  for (std::size_t j = 0; j < costs.size(); ++j) {
    mean_[j].fast += rate * (costs[j].fast - mean_[j].fast);
    mean_[j].slow += rate * (costs[j].slow - mean_[j].slow);
  }
  if (condition_rows_ < options_.accept_rows) return;
  if (first_level_.empty()) first_level_ = scales_;
  for (std::size_t j = 0; j < costs.size(); ++j) {
    scales_[j].fast = std::max(scales_[j].fast, mean_[j].fast);
    scales_[j].slow = std::max(scales_[j].slow, mean_[j].slow);
  }
  return_rows_ = 0;
  rows_since_condition_ = kLongAgo;
}

void AlertRule::watch_first_level(std::span<const Smoothed> costs) {
  if (first_level_.empty()) return;
  return_rows_ = combine(costs, first_level_) < options_.magnitude ? return_rows_ + 1 : 0;
  if (return_rows_ < options_.return_rows) return;
  scales_ = std::move(first_level_);
  first_level_.clear();
}

void AlertRule::save(StateWriter& out) const {
  out.put(calibration_rows_);
  governor_.save(out);
  for (const auto* values : {&start_, &scales_, &first_level_, &mean_}) out.put_all(*values);
  out.put(bar_);
  out.put(peak_);
  for (const std::int32_t count : {alert_rows_, rows_since_alert_, condition_rows_,
                                   rows_since_condition_, rows_since_suppressed_, return_rows_}) {
    out.put(count);
  }
  out.put(suppressed_);
}

bool AlertRule::load(StateReader& in) {
  if (!in.get(calibration_rows_) || !governor_.load(in)) return false;
  for (auto* values : {&start_, &scales_, &first_level_, &mean_}) {
    if (!in.get_all(*values)) return false;
  }
  if (!in.get(bar_) || !in.get(peak_)) return false;
  for (auto* count : {&alert_rows_, &rows_since_alert_, &condition_rows_, &rows_since_condition_,
                      &rows_since_suppressed_, &return_rows_}) {
    if (!in.get(*count) || *count < 0) return false;
  }
  const std::size_t members = start_.size();
  return in.get(suppressed_) && members > 0 && scales_.size() == members &&
         same_size_or_empty(first_level_, members) && same_size_or_empty(mean_, members) &&
         (rows_since_condition_ > options_.gap_rows || mean_.size() == members);
}

}  // namespace anomalyd::pipeline
