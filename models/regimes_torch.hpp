#pragma once
// Private to models/: includes torch.

#include <cstdint>

#include "models/tensor_torch.hpp"
#include "models/training_rows_torch.hpp"

namespace anomalyd::models {

/// The operating regimes of training rows.
struct Regimes {
  at::Tensor of_rows;      ///< [rows] int64: the regime of the window that ends there, or -1.
  std::int64_t count = 1;  ///< Regimes are numbered by how many windows they have, most first.
};

/// Groups windows by the level and the spread of each channel: k-means (Lloyd 1982) from spread-out
/// starts (Arthur and Vassilvitskii, k-means++, 2007), with the number of groups, up to `most`, of
/// the largest mean silhouette (Rousseeuw 1987), or nearly so with fewer. One regime if no
/// silhouette is above a half, which is what well separated groups have.
[[nodiscard]] Regimes find_regimes(const TrainingRows& rows, std::int64_t window, std::int64_t most,
                                   std::uint64_t seed);

}  // namespace anomalyd::models
