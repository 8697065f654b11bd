#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tools/labelled_set.hpp"

namespace anomalyd::tools {

/// What spoils the rows that a series is learned from.
struct Contamination {
  double share = 0;        ///< 0..0.5. Of these rows; at least one if not 0.
  std::uint64_t seed = 1;  ///< Same seed and series, same bursts.
};

/// Spoils so many of the rows before `train_end` with bursts that nobody labels: what a series
/// that was not healthy while it was learned from looks like.
///
/// A burst takes 5 to 29 rows (the last one what is left of the share) and a third of the channels
/// that vary, at least one. Each of them is off by 4 to 10 standard deviations, up or down, or
/// stands still, or is noisy by 3 of them. Bursts do not overlap; missing cells stay missing.
/// Returns the number of rows spoilt, fewer than the share only if there is no room for more.
std::size_t contaminate(SeriesRows& series, std::string_view id, std::size_t train_end,
                        const Contamination& contamination);

/// The same series, each contaminated when it is read.
[[nodiscard]] LabelledSet contaminated(LabelledSet set, const Contamination& contamination);

}  // namespace anomalyd::tools
