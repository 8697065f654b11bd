#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/pipeline/incident_policy.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/pipeline/series_track.hpp"

namespace anomalyd::pipeline {

/// A copy of a series' state, which rows can be replayed through without any effect on the series.
struct ReplayTrack {
  SeriesTrack track;
  IncidentPolicy incidents;
  std::string last_incident{};  ///< Id of the newest one.
};

/// What a series that `group` knows stands at, behind the rows it was learned from; nullopt if the
/// group does not know it.
[[nodiscard]] std::optional<ReplayTrack> replay_track(const LearnedGroup& group,
                                                      const std::string& series,
                                                      const PipelineOptions& options);

/// Rows [begin, end) of a history on their way through a track, which moves on with them. The
/// columns are the channels of the model.
struct Passage {
  ReplayTrack* state = nullptr;
  const History* rows = nullptr;
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A row, and what a model made of it.
struct ReplayedRow {
  std::size_t passage = 0;             ///< Index of it.
  std::size_t row = 0;                 ///< Index in its history.
  const Verdict* verdict = nullptr;    ///< nullptr: the row was not judged.
  std::span<const float> residuals{};  ///< [members x channels] as the model gave them, scaled.
  bool opened = false;                 ///< An incident opened that was not there before.
};

/// How replay goes about it.
struct ReplayOptions {
  std::size_t windows_per_call = 2048;  ///< >= 1. So that a stop or a time limit is soon seen.
  /// Asked before each scoring call; its error ends the replay.
  std::function<Status()> may_go_on{};
};

/// Runs rows through the tracks as a PartitionPipeline runs live ones: window, model, verdict,
/// incident. `on_row` sees each row, those of a passage in order. No two passages share a track.
///
/// Errors: those of Scorer::score; kIncompatible when the residuals are of another shape than the
/// model says; that of `may_go_on`. The tracks are of no use then.
[[nodiscard]] Status replay(Scorer& scorer, std::span<const Passage> passages,
                            const PipelineOptions& options, const ReplayOptions& how,
                            const std::function<void(const ReplayedRow&)>& on_row);

/// The rows [begin, end) of a history. The first one follows a long gap if `restart`.
[[nodiscard]] History rows_of(const History& history, std::size_t begin, std::size_t end,
                              bool restart);

}  // namespace anomalyd::pipeline
