#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "daemon/core/memory.hpp"

namespace anomalyd::models {

/// How large the banks of a member are and how often they take a window in.
struct BankShape {
  std::size_t window;   ///< Rows of a window.
  std::size_t width;    ///< Numbers in the code of one channel.
  std::size_t windows;  ///< At least so many of those learned from; a bank keeps up to twice that.

  [[nodiscard]] std::size_t capacity() const noexcept { return 2 * windows; }
};

/// An empty bank of a series of which `learned` rows teach, `fitted` of them before calibration.
[[nodiscard]] Memory::Bank make_bank(const BankShape& shape, std::size_t fitted,
                                     std::size_t learned);

/// Sets the rhythm of a memory that is to be filled from `fitted` of `learned` rows.
void begin(Memory& memory, std::size_t fitted, std::size_t learned);

/// Rows that may be scored before candidates join the banks.
[[nodiscard]] std::size_t rows_to_update(const Memory& memory);

/// A block of scored windows as the banks see them; row i of it is row `memory.rows + i`.
struct ScoredBlock {
  std::size_t channels;
  std::size_t count;
  std::span<const float> distances;  ///< [channels x count].
  std::span<const float> codes;      ///< [channels x count x width].
};

/// Whether the bank will note any of the next `count` windows: if not, `note` needs no codes.
[[nodiscard]] bool notes_any(const Memory& memory, const Memory::Bank& bank, std::size_t count);

/// Notes those windows of the block that are candidates, and the distances while limits are not
/// known yet.
void note(const Memory& memory, Memory::Bank& bank, const ScoredBlock& block);

/// Counts `count` rows as scored, and lets candidates in when it is time: those that are old enough
/// not to be part of what is happening now, and that were ordinary in half of the channels.
void advance(Memory& memory, std::size_t count, std::size_t channels);

}  // namespace anomalyd::models
