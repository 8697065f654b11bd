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

  explicit FillCheck(std::vector<Channel> channels)
      : channels_{std::move(channels)}, errors_(channels_.size()) {}

  /// Hides gaps of kGap rows in single channels of `series` in the rows held out, each in a channel
  /// of its turn and a window apart. Errors: kInvalid when the series is too short.
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
  std::vector<Channel> channels_;
  std::vector<Errors> errors_;  // sums of squares
};

/// Half-hourly machines: in a gap of ten rows the load moves, so that lines miss much of it.
[[nodiscard]] Fleet::Options fill_check_fleet();

}  // namespace anomalyd::tools
