#include "daemon/pipeline/threshold.hpp"

namespace anomalyd::pipeline {

std::string_view to_string(ThresholdRule rule) {
  switch (rule) {
    case ThresholdRule::kTail: return "tail";
    case ThresholdRule::kExponential: return "exponential";
    case ThresholdRule::kWarmUp: return "warm_up";
    case ThresholdRule::kFixed: return "fixed";
    case ThresholdRule::kQuantile: return "quantile";
    case ThresholdRule::kMad: return "mad";
  }
  return "unknown";
}

Threshold::Threshold(std::span<const double> scores, const Options& options)
    : options_{options}, tail_{scores, options.tail} {}

Reading Threshold::observe(double score, double alpha) {
  if (alpha != kept_alpha_ || tail_.revision() != kept_revision_) {
    kept_threshold_ = threshold(alpha);
    kept_alpha_ = alpha;
    kept_revision_ = tail_.revision();
  }
  Reading reading{.threshold = kept_threshold_, .rule = rule()};
  reading.p_value = tail_.observe(score);
  return reading;
}

double Threshold::threshold(double alpha) const {
  switch (options_.kind) {
    case Kind::kTail: return tail_.threshold(alpha);
    case Kind::kFixed: return options_.fixed;
    case Kind::kQuantile: return tail_.quantile(options_.quantile);
    case Kind::kMad: return tail_.robust_threshold(options_.deviations);
  }
  return options_.fixed;
}

ThresholdRule Threshold::rule() const {
  switch (options_.kind) {
    case Kind::kTail: break;
    case Kind::kFixed: return ThresholdRule::kFixed;
    case Kind::kQuantile: return ThresholdRule::kQuantile;
    case Kind::kMad: return ThresholdRule::kMad;
  }
  switch (tail_.footing()) {
    case AdaptiveTail::Footing::kWarmUp: return ThresholdRule::kWarmUp;
    case AdaptiveTail::Footing::kExponential: return ThresholdRule::kExponential;
    case AdaptiveTail::Footing::kFitted: break;
  }
  return ThresholdRule::kTail;
}

void Threshold::use(const Options& options) {
  options_ = options;
  tail_.use(options.tail);
  kept_alpha_ = -1;
}

bool Threshold::load(StateReader& in) {
  kept_alpha_ = -1;
  return tail_.load(in);
}

}  // namespace anomalyd::pipeline
