#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "daemon/pipeline/schedule.hpp"

namespace anomalyd::pipeline {

/// When the scores of normal rows have drifted. See ScoreDrift.
struct DriftOptions {
  bool enabled = true;
  /// 0.01..1. The least distance between the two distributions, in shares of rows, that matters:
  /// with many rows any difference is significant.
  double effect = 0.2;
  double p_value = 1e-4;  ///< 1e-12..0.1. How unlikely the distance must be by chance.
  /// 0..cycle / 2, in event time. How long both must have held.
  std::chrono::milliseconds hold{std::chrono::hours{1}};
  /// 10 min..30 d, in event time. What ordinary rows go through in turn: a day. The first one that
  /// a model judges is what later rows are compared with.
  std::chrono::milliseconds cycle{std::chrono::hours{24}};
};

/// When governors say that the model no longer fits: they hold back alerts at their clamp.
struct GovernorTriggerOptions {
  bool enabled = true;
  double share = 0.1;  ///< 0..1. Of the series of a group, that must be so.
  std::chrono::milliseconds hold{std::chrono::hours{1}};  ///< 1 min..30 d, in event time.
};

/// When series carry channels that the model does not know, or lack some that it does.
struct SchemaTriggerOptions {
  bool enabled = true;
  double share = 0.1;  ///< 0..1. Of the series of a group, that must be so.
};

/// When a champion is so far off that waiting does more harm than a model seen less of.
struct UnfitOptions {
  double share = 0.9;  ///< 0..1. Of its series, whose governors hold back alerts at the clamp.
  std::chrono::milliseconds hold{std::chrono::hours{6}};  ///< 1 min..30 d, in event time.
};

/// When models are retrained, and what becomes of challengers. See RetrainPolicy.
struct RetrainingOptions {
  bool enabled = true;  ///< Whether rows are kept and models retrained at all.
  Schedule schedule = Schedule::every(std::chrono::hours{24});
  /// 0..7 d. Up to so much is added to the schedule, a fixed share for each group.
  std::chrono::milliseconds jitter{std::chrono::minutes{30}};
  std::size_t new_rows = 0;  ///< 0: never. Normal rows since the last training that are a reason.
  DriftOptions drift;
  GovernorTriggerOptions governor;
  SchemaTriggerOptions schema;
  /// 0..30 d. Between the end of a training of a group and the next one that nobody asked for. It
  /// doubles, up to 16 times, while challengers do not become champions; not for the schedule.
  std::chrono::milliseconds cool_down{std::chrono::hours{1}};
  /// 1..1000. One training in so many starts from new weights, the others from the champion's.
  std::size_t cold_every = 10;
  std::chrono::milliseconds training_deadline{std::chrono::hours{2}};  ///< 1 min..7 d. Of one run.

  /// 0..1e9 rows of a group that a challenger judges beside the champion before it takes over. A
  /// thousand show a challenger that fails or floods; they cannot show that it keeps a budget of
  /// one alert a week, for which the gate has its own test.
  std::size_t shadow_rows = 1000;
  /// 0..7 d, in event time: what those rows span at least, so that a fleet whose thousand rows
  /// come in a second is not judged by that second.
  std::chrono::milliseconds shadow_time{std::chrono::minutes{10}};
  /// 1 min..30 d. A challenger that has not judged enough by then is dropped, except as
  /// `promote_unfit` says.
  std::chrono::milliseconds shadow_deadline{std::chrono::hours{24}};
  /// 0..1e7. Normal rows of each series that a challenger learns from; 0 takes twice training.rows.
  std::size_t rows = 0;
  double unseen_share = 0.15;      ///< 0.05..0.5. Of them, the newest: what the gate measures on.
  std::size_t max_series = 512;    ///< 1..100000. Of a group, that a challenger learns from.
  std::size_t keep_versions = 10;  ///< 2..1000. Versions of a model that can be gone back to.

  UnfitOptions unfit;
  /// Whether a champion that is unfit gives way to a challenger that has passed the gate without a
  /// shadow before.
  bool promote_unfit = false;
};

}  // namespace anomalyd::pipeline
