#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "daemon/core/result.hpp"
#include "tools/fleet.hpp"
#include "tools/latent_model.hpp"
#include "tools/synthesis.hpp"

namespace anomalyd::tools {

/// How well a classifier tells windows from real ones that a synthesis has not seen: 0.5 not at
/// all, 1 always.
struct SynthesisCheck {
  std::size_t windows = 0;   ///< Of each side.
  double windows_apart = 0;  ///< Windows drawn one by one.
  double without_noise = 0;  ///< The same by the decoder alone.
  double rows_apart = 0;     ///< Windows cut from series of rows.
  double reality_apart = 0;  ///< Real windows of other times: what to compare with.

  [[nodiscard]] std::string table() const;
};

/// Draws from the rows of each series that are not held out, and compares with those that are.
/// `progress` is called with the number of series done. Errors: kInvalid when there are too few
/// complete windows.
[[nodiscard]] Result<SynthesisCheck> check_synthesis(
    LatentModel& model, std::span<const ScaledSeries> series, const Synthesis::Options& options,
    const std::function<void(std::size_t)>& progress);

/// Machines of whole days, so that the rows held out are of the same hours as the others.
[[nodiscard]] Fleet::Options synthesis_check_fleet();

}  // namespace anomalyd::tools
