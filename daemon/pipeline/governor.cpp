#include "daemon/pipeline/governor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace anomalyd::pipeline {

Governor::Governor(double alpha, const Options& options)
    : options_{options},
      full_alpha_{alpha},
      log_full_alpha_{std::log(alpha)},
      log_alpha_{log_full_alpha_},
      alpha_{alpha},
      quiet_rows_{std::numeric_limits<std::int32_t>::max()} {}

void Governor::on_alert_row() {
  const bool onset = quiet_rows_ > options_.onset_gap;
  quiet_rows_ = 0;
  move(onset ? 1.0 : 0.0);
}

void Governor::on_quiet_row() {
  if (quiet_rows_ < std::numeric_limits<std::int32_t>::max()) ++quiet_rows_;
  if (log_alpha_ < log_full_alpha_) move(0.0);
}

void Governor::move(double onsets) {
  if (options_.budget <= 0) return;
  const double moved = log_alpha_ + options_.gain * (options_.budget - onsets);
  log_alpha_ = std::clamp(moved, log_full_alpha_ - options_.range, log_full_alpha_);
  alpha_ = log_alpha_ == log_full_alpha_ ? full_alpha_ : std::exp(log_alpha_);
}

void Governor::save(StateWriter& out) const {
  out.put(log_alpha_);
  out.put(quiet_rows_);
}

bool Governor::load(StateReader& in) {
  if (!in.get(log_alpha_) || !in.get(quiet_rows_)) return false;
  if (std::isnan(log_alpha_) || quiet_rows_ < 0) return false;
  log_alpha_ = std::clamp(log_alpha_, log_full_alpha_ - options_.range, log_full_alpha_);
  alpha_ = log_alpha_ == log_full_alpha_ ? full_alpha_ : std::exp(log_alpha_);
  return true;
}

}  // namespace anomalyd::pipeline
