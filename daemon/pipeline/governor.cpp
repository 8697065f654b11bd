#include "daemon/pipeline/governor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace anomalyd::pipeline {

Governor::Governor(double alpha, const Options& options)
    : options_{options},
      full_alpha_{alpha},
      alpha_{alpha},
      quiet_rows_{std::numeric_limits<std::int32_t>::max()} {}

void Governor::on_alert_row() {
  const bool onset = quiet_rows_ > options_.onset_gap;
  quiet_rows_ = 0;
  lower(options_.gain * ((onset ? 1.0 : 0.0) - options_.budget));
}

void Governor::on_quiet_row() {
  if (quiet_rows_ < std::numeric_limits<std::int32_t>::max()) ++quiet_rows_;
  if (lowered_ > 0) lower(-options_.gain * options_.budget);
}

void Governor::lower(double by) {
  if (options_.budget <= 0) return;
  lowered_ = std::clamp(lowered_ + by, 0.0, options_.range);
  alpha_ = lowered_ > 0 ? full_alpha_ * std::exp(-lowered_) : full_alpha_;
}

void Governor::use(double alpha, const Options& options) {
  options_ = options;
  full_alpha_ = alpha;
  alpha_ = alpha;
  lower(0.0);
}

void Governor::save(StateWriter& out) const {
  out.put(lowered_);
  out.put(quiet_rows_);
}

bool Governor::load(StateReader& in) {
  if (!in.get(lowered_) || !in.get(quiet_rows_)) return false;
  if (!(lowered_ >= 0) || quiet_rows_ < 0) return false;
  lower(0.0);
  return true;
}

}  // namespace anomalyd::pipeline
