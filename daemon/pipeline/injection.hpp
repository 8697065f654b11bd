#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/scaler.hpp"

namespace anomalyd::pipeline {

/// Kinds of faults that are injected into copies of rows to see whether a model finds them.
enum class FaultType : std::uint8_t {
  kSpike,            ///< A row or a few are off by a constant.
  kLevel,            ///< So are many rows: an offset, a step.
  kDrift,            ///< The offset grows from nothing, row by row.
  kStuck,            ///< The channel keeps its last value.
  kNoise,            ///< White noise is added.
  kSwappedChannels,  ///< Two channels take each other's course, each at its own level and scale.
  kBrokenCoupling,   ///< A channel takes its own course of another time: only its relation to the
                     ///< others is wrong.
};
inline constexpr std::array kFaultTypes = {
    FaultType::kSpike, FaultType::kLevel,           FaultType::kDrift,         FaultType::kStuck,
    FaultType::kNoise, FaultType::kSwappedChannels, FaultType::kBrokenCoupling};

/// The type in snake case, as in metrics, reports and `status`: "broken_coupling".
[[nodiscard]] std::string_view to_string(FaultType type);

/// Whether a series needs two channels to have such a fault.
[[nodiscard]] constexpr bool needs_two_channels(FaultType type) noexcept {
  return type == FaultType::kSwappedChannels || type == FaultType::kBrokenCoupling;
}

/// One fault: where it lies in the rows of a series, and how large it is.
struct InjectedFault {
  FaultType type = FaultType::kSpike;
  std::size_t first = 0;    ///< Row that it begins at; at least 1.
  std::size_t count = 1;    ///< Rows that it lasts.
  std::size_t channel = 0;  ///< Column that is at fault.
  std::size_t other = 0;    ///< For kSwappedChannels: the second one.
  /// In units of the channel's scale, with a sign. Of kNoise the standard deviation; kStuck and the
  /// faults of two channels have none.
  double size = 0;
  std::size_t source = 0;  ///< For kBrokenCoupling: row that the other course begins at.
  std::uint64_t seed = 0;  ///< Of the noise.

  [[nodiscard]] std::size_t end() const noexcept { return first + count; }
};

/// Puts a fault into `rows`, in place. The same fault makes the same rows.
///
/// `scaler` says how large the unit of each channel is, and which ones are counters: the fault of a
/// counter lies in its rate, so the rows behind it keep what it has added. Missing cells stay
/// missing. The rows hold [0, fault.end()) at least.
void inject(History& rows, const InjectedFault& fault, const Scaler& scaler);

/// Draws a fault of this type that begins in row `first`, with room behind it before row `end`; its
/// channel moves around there. Sizes are drawn on a log scale around what detectors just about
/// find, so that a better or worse one finds more or fewer of them. nullopt if the rows offer no
/// place: too few rows or channels, or nothing that moves.
[[nodiscard]] std::optional<InjectedFault> draw_fault(FaultType type, const History& rows,
                                                      const Scaler& scaler, std::size_t first,
                                                      std::size_t end, std::uint64_t seed);

}  // namespace anomalyd::pipeline
