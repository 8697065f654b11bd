#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daemon/core/batch.hpp"

namespace anomalyd::models {

/// Windows that are scored by the same products.
struct ScoringJob {
  std::vector<std::int64_t> slots;    ///< One for plain products, several for batched ones.
  std::vector<std::int64_t> windows;  ///< [slots x n] indices into the batch.
};

/// Cuts a batch into jobs of about `block` windows.
///
/// Windows that share a slot stay together. What a slot has beyond whole blocks is put side by
/// side with that of other slots, the shorter ones padded by repeating their last window; at most
/// half of a job is padding.
[[nodiscard]] std::vector<ScoringJob> plan_jobs(std::span<const Batch::Window> windows,
                                                std::size_t block);

}  // namespace anomalyd::models
