#pragma once

#include <cstdint>

#include "daemon/core/state_codec.hpp"

namespace anomalyd::pipeline {

/// Holds the rate of alerts to a budget by moving the p-value that an alert needs.
///
/// Integral control on log alpha: each row earns `gain * budget`, each onset costs `gain`. As long
/// as the lower end of the range is not reached, T rows see at most `budget * T + range / gain`
/// onsets, whatever the data do.
class Governor {
 public:
  struct Options {
    double budget = 1e-3;  ///< Onsets per row, >= 0. Zero switches the governor off.
    double gain = 0.5;     ///< > 0. How far one onset lowers log alpha.
    double range = 9;      ///< > 0. How far log alpha may fall below where it started.
    int onset_gap = 5;     ///< Rows, >= 0. An alert after more quiet rows than this is an onset.
  };

  /// `alpha` is where it starts and what it never exceeds.
  Governor(double alpha, const Options& options);

  /// The p-value below which a row is rare now.
  [[nodiscard]] double alpha() const noexcept { return alpha_; }
  /// The p-value below which it would be rare with the whole budget left.
  [[nodiscard]] double full_alpha() const noexcept { return full_alpha_; }

  void on_alert_row();
  void on_quiet_row();

  /// Whether alpha has fallen as far as it may, or less than one onset short of it: the budget is
  /// spent many times over.
  [[nodiscard]] bool at_clamp() const noexcept {
    return options_.budget > 0 && lowered_ >= options_.range - options_.gain;
  }

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

  /// Replaces alpha and options; what the last onsets have cost stays.
  void use(double alpha, const Options& options);

 private:
  void lower(double by);

  Options options_;
  double full_alpha_;
  double lowered_ = 0;       // how far log alpha is below the full one: 0..range
  double alpha_;             // derived from the two
  std::int32_t quiet_rows_;  // since the last alert
};

}  // namespace anomalyd::pipeline
