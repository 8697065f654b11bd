#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "daemon/core/state_codec.hpp"

namespace anomalyd {

/// What a model with a memory knows of one series: codes of windows that were normal, one bank for
/// each member that compares the newest window with the past.
///
/// The owner of a series owns it, copies it and keeps it in snapshots; the scorer alone fills,
/// reads and changes it, window by window in time order. Copies share the codes, which never change
/// once they are written.
struct Memory {
  /// Codes of windows, oldest first.
  struct Codes {
    std::vector<float> values;   ///< [channels x size x width].
    std::vector<float> squares;  ///< [channels x size]: the squared length of each code.
  };

  struct Bank {
    std::uint32_t window = 0;      ///< Rows that a code is made of.
    std::uint32_t width = 0;       ///< Numbers in the code of one channel.
    std::uint32_t stride = 1;      ///< Every so many windows one is a candidate for the bank.
    std::uint32_t capacity = 0;    ///< Codes it keeps at most; the oldest go first.
    std::uint64_t next_start = 0;  ///< First row of the next window that is a candidate.
    std::shared_ptr<const Codes> codes;
    std::vector<float> limits;       ///< [channels]: ordinary distances; empty until learned.
    std::vector<float> calibration;  ///< [rows x channels]: distances that limits come from.
    std::vector<float> candidates;   ///< [n x channels x (1 + width)]: a distance and its code.

    [[nodiscard]] std::size_t size(std::size_t channels) const noexcept {
      return codes->squares.size() / channels;
    }
    void save(StateWriter& out) const;
    [[nodiscard]] bool load(StateReader& in);
  };

  std::vector<Bank> banks;            ///< In the order of the members that have one.
  std::uint64_t rows = 0;             ///< Learned from and judged so far: those between count not.
  std::uint64_t next_update = 0;      ///< At so many rows, candidates join their banks.
  std::uint32_t rows_per_update = 0;  ///< From then on; 0 if nothing joins and all stays as it is.

  /// What a new series of a group starts with: the newest codes of all of `series`, in equal parts.
  /// It stays as it is, so that any number of series can share one. All have banks of the same
  /// shapes.
  [[nodiscard]] static Memory pooled(std::span<const Memory> series, std::size_t channels);

  /// Whether every bank has the sizes that `channels` channels and these code widths need.
  [[nodiscard]] bool fits(std::size_t channels, std::span<const std::uint32_t> widths) const;

  [[nodiscard]] bool is_fixed() const noexcept { return rows_per_update == 0; }

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);
};

/// The codes with their squared lengths: `values` is [rows x width], any number of rows.
[[nodiscard]] std::shared_ptr<const Memory::Codes> make_codes(std::vector<float> values,
                                                              std::size_t width);

}  // namespace anomalyd
