#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/calibration.hpp"
#include "daemon/pipeline/governor.hpp"
#include "daemon/pipeline/threshold.hpp"

namespace anomalyd::pipeline {

/// Decides which rows alert: those that are rare and large.
///
/// Rare is a p-value below the governed alpha. Large is a magnitude above 1: the score again, on
/// scales that follow the stream, so a benign shift stops being large after some hundred rows.
/// Either alone alarms too much; a row that is very large may be somewhat less rare.
///
/// - An alert that has lasted some rows has to be re-earned: from then on only a row that exceeds
///   its peak speaks again, until that bar has faded.
/// - A condition that has lasted long is accepted as a second normal level. The first one is kept,
///   and restored when the rows fit it again: then it was an incident after all.
///
/// Where a threshold other than the tail decides (fixed, quantile, mad), exceeding it is the
/// whole condition; re-earning and governing hold as before.
class AlertRule {
 public:
  struct Options {
    double magnitude = 1.0;       ///< > 0. Large enough for a row rarer than alpha.
    double high_magnitude = 1.5;  ///< >= magnitude. Large enough for one rarer than 10 alpha.
    double tracking = 0.01;       ///< 0..0.1. Rate at which the scales follow the stream.
    int hold_rows = 10;           ///< >= 1. An alert of this length has to be re-earned.
    double rearm = 1.05;          ///< >= 1. By exceeding its peak so many times.
    double fade_rows = 200;       ///< >= 1. The bar fades to 1/e in this many rows.
    int accept_rows = 60;         ///< >= 1. A condition of this length is a second normal level.
    int return_rows = 100;        ///< >= 1. Ordinary rows on the first level that restore it.
    int full_alpha_rows = 2000;   ///< >= 1. Calibration rows that earn the whole alpha.
    int gap_rows = 5;             ///< >= 0. Quiet rows that do not end an alert or a condition.
    double gain = 0.5;            ///< > 0. Of the governor.
  };

  struct Decision {
    double magnitude = 0;
    bool condition = false;  ///< Rare and large.
    bool lasting = false;    ///< Nearly so: keeps an open incident open.
    bool alert = false;      ///< The condition speaks now.
  };

  /// `scales` is the calibrated level of each member's running means; `alpha` and `budget` are
  /// per row. Fewer calibration rows than `full_alpha_rows` earn a proportionally lower alpha.
  AlertRule(std::vector<Smoothed> scales, double alpha, double budget, std::size_t calibration_rows,
            const Options& options);

  /// Judges a row by what came before it, then learns it.
  [[nodiscard]] Decision observe(const Reading& reading, double score,
                                 std::span<const Smoothed> costs);

  /// The p-value below which a row is rare now.
  [[nodiscard]] double alpha() const noexcept { return governor_.alpha(); }
  /// Alerts that the governor has held back so far. Neighbouring rows count as one.
  [[nodiscard]] std::uint64_t suppressed() const noexcept { return suppressed_; }

  /// Whether the governor is where it can lower alpha no further.
  [[nodiscard]] bool at_clamp() const noexcept { return governor_.at_clamp(); }

  /// Whether a condition that lasted is taken for a second normal level, and the first one has not
  /// come back.
  [[nodiscard]] bool at_second_level() const noexcept { return !first_level_.empty(); }

  [[nodiscard]] std::size_t members() const noexcept { return start_.size(); }
  [[nodiscard]] std::size_t calibration_rows() const noexcept { return calibration_rows_; }

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

  /// Replaces alpha, budget and options; what is learned stays.
  void use(double alpha, double budget, const Options& options);

 private:
  enum class Rung : std::uint8_t { kNone, kLasting, kCondition };

  [[nodiscard]] double earned(double alpha) const;
  [[nodiscard]] Rung rung(const Reading& reading, double score, double magnitude,
                          double alpha) const;
  void hold(const Decision& decision);
  void count_suppressed(const Reading& reading, double score, const Decision& decision);
  void track(std::span<const Smoothed> costs);
  void follow_condition(const Decision& decision, std::span<const Smoothed> costs);
  void watch_first_level(std::span<const Smoothed> costs);

  Options options_;
  std::uint64_t calibration_rows_;
  Governor governor_;
  double up_ = 1;                      // factor of a scale that was exceeded; derived
  double down_ = 1;                    // factor of one that was not; derived
  double fade_ = 1;                    // factor of the bar per row; derived
  std::vector<Smoothed> start_;        // [members] as calibrated
  std::vector<Smoothed> scales_;       // [members] as tracked
  std::vector<Smoothed> first_level_;  // [members]; empty unless a second level is accepted
  std::vector<Smoothed> mean_;         // [members] over the present condition; empty before one
  double bar_ = 0;                     // what re-earning takes
  double peak_ = 0;                    // of the present alert
  std::int32_t alert_rows_ = 0;
  std::int32_t rows_since_alert_ = 0;
  std::int32_t condition_rows_ = 0;
  std::int32_t rows_since_condition_;
  std::int32_t rows_since_suppressed_;
  std::int32_t return_rows_ = 0;  // consecutive rows that fit the first level
  std::uint64_t suppressed_ = 0;
};

}  // namespace anomalyd::pipeline
