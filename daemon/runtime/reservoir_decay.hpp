#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace anomalyd::runtime {

// Which rows go when there are too many. Of rows up to an age `beyond` all stay; of those up to
// twice as old every second stretch of a series, up to four times as old every fourth, and so on:
// each octave of age takes as much room as the one before, so that the last hour and the last month
// are both there. A stretch is at least 256 rows long, for windows need rows that follow on each
// other, and one that is taken away is never missed when thinning goes on: what stays of every
// fourth is a part of what stays of every second.

/// How far rows were thinned, and when. Microseconds; `at` is an event time.
struct Thinning {
  std::int64_t beyond = std::numeric_limits<std::int64_t>::max();  ///< All of younger rows stay.
  std::int64_t at = 0;

  /// Of rows of this time every 2^level-th stretch stays.
  [[nodiscard]] unsigned level(std::int64_t time) const noexcept;
};

/// Which stretches of a series stay. A pure function of its arguments, so that all files agree.
class Stretches {
 public:
  /// `step`: the usual time between its rows, microseconds.
  Stretches(const std::string& series, std::int64_t step);
  /// The stretch that a row lies in.
  [[nodiscard]] std::int64_t stretch_of(std::int64_t time) const noexcept;
  [[nodiscard]] bool keeps(std::int64_t time, const Thinning& thinning) const noexcept;

 private:
  std::int64_t length_;  // of a stretch, a power of two, so that about equal steps give equal ones
  std::int64_t shift_;   // by series, so that a fleet is never away as a whole
};

/// A piece of the reservoir that is thinned as one.
struct StoredPiece {
  std::uint64_t bytes = 0;
  std::int64_t first = 0;  ///< Time of its first row, microseconds.
  std::int64_t last = 0;
  Thinning thinned{};
};

/// The share of a piece that would stay, 0..1, if its rows were spread evenly over its time.
[[nodiscard]] double share_that_stays(const StoredPiece& piece, const Thinning& thinning);

/// Pieces from which less than this would be taken are left alone: rewriting must be worth it.
inline constexpr double kWorthwhile = 0.25;

/// How to thin pieces so that they take at most `max_bytes` together: the largest `beyond` that
/// does, at least a second. `at`: the newest time of all.
[[nodiscard]] Thinning find_thinning(std::span<const StoredPiece> pieces, std::uint64_t max_bytes,
                                     std::int64_t at);

/// How much each of several may take of `total` if none may take more than the others leave: the
/// largest s with sum(min(size, s)) <= total.
[[nodiscard]] std::uint64_t fair_share(std::vector<std::uint64_t> sizes, std::uint64_t total);

}  // namespace anomalyd::runtime
