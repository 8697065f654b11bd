#include "daemon/pipeline/detector.hpp"

#include <algorithm>
#include <utility>

namespace anomalyd::pipeline {
namespace {

constexpr double kMaxAlpha = 1e-3;  // a larger budget is met by this already
constexpr std::size_t kLeastRegimeRows = 200;
constexpr std::uint32_t kMostRegimes = 64;

// In a large fleet a series' state is in no cache when its turn comes. Asking for all of it at
// once, instead of line by line as it is used, halves the time that a row takes.
void prefetch(const void* object, std::size_t size) {
  constexpr std::size_t kLine = 64;
  const auto* bytes = static_cast<const std::byte*>(object);
  for (std::size_t i = 0; i < size; i += kLine) __builtin_prefetch(bytes + i);
}

}  // namespace

Detector::Detector(const Options& options) : Detector{Calibration::Learned{}, options} {}

Detector::Detector(Calibration::Learned learned, const Options& options)
    : calibration_{std::move(learned.calibration)},
      threshold_{learned.scores, options.threshold},
      rule_{std::move(learned.rule_scales), kMaxAlpha, options.budget, learned.scores.size(),
            options.rule} {
  theta_ = threshold_.tail().extremal_index(learned.scores);
  use(options);
}

Detector Detector::calibrate(std::span<const float> residuals, std::size_t members,
                             std::size_t channels, const Options& options) {
  return {Calibration::learn(residuals, members, channels, options.calibration), options};
}

Detector Detector::calibrate(std::span<const float> residuals, std::size_t members,
                             std::size_t channels, const Options& options,
                             std::span<const std::int16_t> regimes, std::size_t num_regimes) {
  Detector detector = calibrate(residuals, members, channels, options);
  const std::size_t stride = members * channels;
  if (!options.per_regime) return detector;
  for (std::size_t regime = 0; regime < num_regimes; ++regime) {
    std::vector<float> own;
    for (std::size_t i = 0; i < regimes.size(); ++i) {
      if (static_cast<std::size_t>(regimes[i]) != regime) continue;
      const auto row = residuals.subspan(i * stride, stride);
      own.insert(own.end(), row.begin(), row.end());
    }
    const bool enough = own.size() >= kLeastRegimeRows * stride;
    detector.regimes_.push_back(enough ? calibrate(own, members, channels, options) : Detector{});
  }
  return detector;
}

void Detector::use(const Options& options) {
  per_regime_ = options.per_regime;
  for (Detector& regime : regimes_) regime.use(options);
  alpha_ = options.alpha.value_or(std::min(kMaxAlpha, options.budget / theta_));
  Threshold::Options threshold = options.threshold;
  threshold.tail.alpha = alpha_;
  threshold_.use(threshold);
  calibration_.use(options.calibration);
  rule_.use(alpha_, options.budget, options.rule);
}

Verdict Detector::judge(std::span<const float> residuals, std::int16_t regime) {
  const auto index = static_cast<std::size_t>(regime);
  const bool own =
      per_regime_ && regime >= 0 && index < regimes_.size() && regimes_[index].channels() > 0;
  active_ = own ? regime : -1;
  return own ? regimes_[index].judge_here(residuals) : judge_here(residuals);
}

std::uint64_t Detector::suppressed_alerts() const noexcept {
  std::uint64_t count = rule_.suppressed();
  for (const Detector& regime : regimes_) count += regime.rule_.suppressed();
  return count;
}

bool Detector::at_clamp() const noexcept {
  return rule_.at_clamp() || std::ranges::any_of(regimes_, [](const Detector& regime) {
           return regime.channels() > 0 && regime.rule_.at_clamp();
         });
}

Verdict Detector::judge_here(std::span<const float> residuals) {
  prefetch(this, sizeof *this);
  if (calibration_.observe(residuals) == Calibration::Seen::kNothing) {
    return {.score = calibration_.score(), .judged = false};
  }
  const double score = calibration_.score();
  const Reading reading = threshold_.observe(score, rule_.alpha());
  const AlertRule::Decision decision = rule_.observe(reading, score, calibration_.smoothed());
  return {.score = score,
          .p_value = reading.p_value,
          .threshold = reading.threshold,
          .magnitude = decision.magnitude,
          .condition = decision.condition,
          .lasting = decision.lasting,
          .alert = decision.alert,
          .rule = reading.rule};
}

void Detector::save_one(StateWriter& out) const {
  out.put(theta_);
  calibration_.save(out);
  threshold_.save(out);
  rule_.save(out);
}

bool Detector::load_one(StateReader& in) {
  if (!in.get(theta_) || !calibration_.load(in) || !threshold_.load(in) || !rule_.load(in)) {
    return false;
  }
  return theta_ > 0 && theta_ <= 1 && rule_.members() == calibration_.members();
}

void Detector::save(StateWriter& out) const {
  save_one(out);
  out.put(static_cast<std::uint32_t>(regimes_.size()));
  for (const Detector& regime : regimes_) {
    out.put(regime.channels() > 0);
    if (regime.channels() > 0) regime.save_one(out);
  }
}

bool Detector::load(StateReader& in) {
  std::uint32_t count = 0;
  if (!load_one(in) || !in.get(count) || count > kMostRegimes) return false;
  regimes_.assign(count, Detector{});
  active_ = -1;
  for (Detector& regime : regimes_) {
    bool used = false;
    if (!in.get(used)) return false;
    if (!used) continue;
    if (!regime.load_one(in) || regime.members() != members() || regime.channels() != channels()) {
      return false;
    }
  }
  return true;
}

}  // namespace anomalyd::pipeline
