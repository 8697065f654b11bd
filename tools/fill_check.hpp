#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "tools/fleet.hpp"
#include "tools/gap_filling.hpp"
#include "tools/latent_model.hpp"

namespace anomalyd::tools {

/// Hides cells that are known, fills them, and says how far off that is from what was there, beside
/// what interpolation does.
class FillCheck {
 public:
  static constexpr std::size_t kGap = 10;  ///< Rows.

  explicit FillCheck(std::vector<Channel> channels, std::size_t coarse = 1)
      : channels_{std::move(channels)}, coarse_{coarse}, errors_(channels_.size()) {}

  /// Hides cells of `series` in the rows held out: gaps of kGap rows in single channels, each in a
  /// channel of its turn and a window apart; or, for `coarse` > 1, all rows but every so manieth.
  /// Errors: kInvalid when the series is too short.
  [[nodiscard]] Status add(LatentModel& model, const ScaledSeries& series,
                           const FillOptions& options);

  /// Root mean square errors in scaled units.
  struct Errors {
    std::size_t cells = 0;
    double model = 0;
    double linear = 0;
    double spline = 0;
  };
  [[nodiscard]] Errors of_channel(std::size_t channel) const;
  [[nodiscard]] Errors total() const;
  /// A line for each channel and one for all.
  [[nodiscard]] std::string table() const;

 private:
  /// Makes cells missing; returns which.
  [[nodiscard]] std::vector<std::size_t> hide(const ScaledSeries& series, std::size_t window,
                                              GappyRows& rows) const;

  std::vector<Channel> channels_;
  std::size_t coarse_;
  std::vector<Errors> errors_;  // sums of squares
};

/// Half-hourly machines: in a gap of ten rows the load moves, so that lines miss much of it.
[[nodiscard]] Fleet::Options fill_check_fleet();

}  // namespace anomalyd::tools
