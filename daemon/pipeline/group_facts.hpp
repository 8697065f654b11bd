#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "daemon/core/time.hpp"
#include "daemon/pipeline/score_drift.hpp"

namespace anomalyd::pipeline {

/// What the series of one model group say about whether its model still fits: of one partition, or
/// of several added up. All since this version of the model began to judge.
struct GroupFacts {
  static constexpr std::size_t kMostNames = 8;  ///< Of new channels.

  std::size_t series = 0;  ///< That the model judges.
  /// Far above their budget: the governor is at its clamp, and within the hold there were alerts,
  /// held back or, where a fixed threshold decides, not.
  std::size_t pressed = 0;
  std::size_t pressed_long = 0;        ///< For at least retraining.governor.hold.
  std::size_t pressed_unfit = 0;       ///< For at least retraining.unfit.hold.
  std::size_t with_new_channels = 0;   ///< Carry channels that the model does not know.
  std::size_t lacking_channels = 0;    ///< Lack channels that it knows.
  std::set<std::string> new_channels;  ///< Names of the first of the former.
  std::uint64_t normal_rows = 0;       ///< Judged and found to be normal.
  EventTime watermark{};               ///< Newest event time of the partitions.
  ScoreDrift drift;

  GroupFacts& operator+=(const GroupFacts& other) {
    series += other.series;
    pressed += other.pressed;
    pressed_long += other.pressed_long;
    pressed_unfit += other.pressed_unfit;
    with_new_channels += other.with_new_channels;
    lacking_channels += other.lacking_channels;
    new_channels.insert(other.new_channels.begin(), other.new_channels.end());
    normal_rows += other.normal_rows;
    watermark = std::max(watermark, other.watermark);
    drift += other.drift;
    return *this;
  }
};

}  // namespace anomalyd::pipeline
