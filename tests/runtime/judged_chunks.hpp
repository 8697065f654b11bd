#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "daemon/pipeline/judged_rows.hpp"

namespace anomalyd::testing {

inline const std::vector<Channel>& two_channels() {
  static const std::vector<Channel> channels{{"load", "%"}, {"heat", "C"}};
  return channels;
}

constexpr std::int64_t kMinute = 60'000'000;

/// `rows` rows from `first` on, one a minute, the one channel of decimals, the other of any values.
/// Of each series its own: what repeats in others would be packed away.
inline pipeline::JudgedRows judged_chunk(const std::string& series, std::int64_t first,
                                         std::size_t rows,
                                         pipeline::RowMark mark = pipeline::RowMark::kNormal) {
  pipeline::JudgedRows chunk{two_channels(), {}, std::vector(rows, mark)};
  chunk.history.series = series;
  chunk.history.width = 2;
  std::mt19937_64 random{static_cast<std::uint64_t>(first) ^ std::hash<std::string>{}(series)};
  for (std::size_t i = 0; i < rows; ++i) {
    const std::int64_t time = first + static_cast<std::int64_t>(i) * kMinute;
    chunk.history.times.push_back(time);
    chunk.history.offsets.push_back(time / kMinute);
    chunk.history.gaps.push_back(0);
    chunk.history.rows.push_back(static_cast<double>(random() % 10'000) / 100);
    chunk.history.rows.push_back(std::ldexp(static_cast<double>(random()), -40));
  }
  return chunk;
}

/// Values that are hard to give back.
inline pipeline::JudgedRows odd_chunk() {
  using Limits = std::numeric_limits<double>;
  pipeline::JudgedRows chunk = judged_chunk("odd", -5, 12, pipeline::RowMark::kIncident);
  const double values[] = {NAN,
                           -NAN,
                           std::bit_cast<double>(0x7ff8dead0000beefULL),
                           -0.0,
                           0.0,
                           Limits::infinity(),
                           -Limits::infinity(),
                           Limits::denorm_min(),
                           Limits::max(),
                           0.1 + 0.2,
                           1e300,
                           123456.789012};
  for (std::size_t i = 0; i < 12; ++i) chunk.history.rows[2 * i + 1] = values[i];
  for (std::size_t i = 0; i < 12; i += 3) chunk.history.rows[2 * i] = NAN;  // among decimals
  chunk.history.gaps = {pipeline::History::kRestart, 0, 1, 4096, 0, 2, 0, 0, 0, 0, 0, 0};
  chunk.history.times[3] = std::numeric_limits<std::int64_t>::max();
  chunk.history.times[4] = std::numeric_limits<std::int64_t>::min();
  chunk.history.offsets[7] = -1;
  chunk.marks[4] = pipeline::RowMark::kUnready;
  return chunk;
}

inline std::vector<std::uint64_t> bits_of(const std::vector<double>& values) {
  std::vector<std::uint64_t> bits;
  for (const double value : values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  return bits;
}

/// Whether two histories agree bit for bit, windowers aside.
inline bool same_rows(const pipeline::History& a, const pipeline::History& b) {
  return a.series == b.series && a.width == b.width && a.times == b.times &&
         a.offsets == b.offsets && a.gaps == b.gaps && bits_of(a.rows) == bits_of(b.rows);
}

}  // namespace anomalyd::testing
