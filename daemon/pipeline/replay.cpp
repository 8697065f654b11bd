#include "daemon/pipeline/replay.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace anomalyd::pipeline {
namespace {

/// Rows that wait for their residuals.
struct Pending {
  struct Row {
    std::size_t passage;
    std::size_t row;
    bool judged;
  };
  Batch batch;
  std::vector<Row> rows;
};

/// On kExhausted in halves, as the error asks for. A half keeps all rows of the batch.
Result<Residuals> score(Scorer& scorer, const Batch& batch) {
  auto all = scorer.score(batch);
  if (all || all.error().kind != ErrorKind::kExhausted || batch.windows.size() < 2) return all;
  const auto middle = batch.windows.begin() + static_cast<std::ptrdiff_t>(batch.windows.size() / 2);
  Batch half{batch.channels, batch.context, batch.rows, {batch.windows.begin(), middle}};
  auto first = score(scorer, half);
  if (!first) return first;
  half.windows.assign(middle, batch.windows.end());
  auto second = score(scorer, half);
  if (!second) return second;
  first->values.insert(first->values.end(), second->values.begin(), second->values.end());
  first->classes.insert(first->classes.end(), second->classes.begin(), second->classes.end());
  return first;
}

Status check_shape(const Residuals& residuals, const ModelInfo& model, std::size_t windows) {
  const std::size_t expected = windows * model.members.size() * model.channels.size();
  const bool classes_fit = residuals.classes.empty() || residuals.classes.size() == windows;
  if (residuals.values.size() == expected && residuals.members == model.members.size() &&
      residuals.channels == model.channels.size() && classes_fit) {
    return {};
  }
  return fail(ErrorKind::kIncompatible,
              "residuals: found " + std::to_string(residuals.values.size()) + " of " +
                  std::to_string(residuals.members) + " members and " +
                  std::to_string(residuals.channels) + " channels; expected " +
                  std::to_string(expected) + " of " + std::to_string(model.members.size()) +
                  " and " + std::to_string(model.channels.size()));
}

/// Lets the incident policy see a verdict. True if that opened a new incident.
bool opens(ReplayTrack& state, const History& rows, std::size_t row, const Verdict& verdict,
           const IncidentPolicy::Options& options) {
  if (!state.incidents.concerns(verdict)) return false;
  const EventTime time{std::chrono::microseconds{rows.times[row]}};
  const auto alert = state.incidents.observe(
      rows.series, {time, rows.offsets[row], verdict}, [] { return std::vector<Alert::Feature>{}; },
      options);
  if (!alert || alert->state != AlertState::kOpen || alert->id == state.last_incident) return false;
  state.last_incident = alert->id;
  return true;
}

}  // namespace

std::optional<ReplayTrack> replay_track(const LearnedGroup& group, const std::string& series,
                                        const PipelineOptions& options) {
  const auto* known = group.find(series);
  if (known == nullptr) return std::nullopt;
  ReplayTrack state{known->track, {}};
  state.track.detector.use(options.detector_for(known->windower.period(),
                                                std::max<std::size_t>(1, group.series.size())));
  return state;
}

Status replay(Scorer& scorer, std::span<const Passage> passages, const PipelineOptions& options,
              const ReplayOptions& how, const std::function<void(const ReplayedRow&)>& on_row) {
  const ModelInfo& model = scorer.info();
  const std::size_t channels = model.channels.size();
  std::vector<std::size_t> columns(channels);
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  std::vector<double> values;
  Pending pending{{channels, model.context, {}, {}}, {}};

  const auto settle = [&]() -> Status {
    if (how.may_go_on) {
      if (Status status = how.may_go_on(); !status) return status;
    }
    Residuals residuals{model.members.size(), channels, {}};
    if (!pending.batch.windows.empty()) {
      auto scored = score(scorer, pending.batch);
      if (!scored) return Failure{std::move(scored.error())};
      residuals = *std::move(scored);
    }
    if (Status ok = check_shape(residuals, model, pending.batch.windows.size()); !ok) return ok;
    const std::size_t stride = model.members.size() * channels;
    std::vector<float> masked(stride);
    std::size_t window = 0;
    for (const auto& [passage, row, judged] : pending.rows) {
      const History& rows = *passages[passage].rows;
      ReplayTrack& state = *passages[passage].state;
      if (!judged) {
        const EventTime time{std::chrono::microseconds{rows.times[row]}};
        (void)state.incidents.skip(rows.series, time, rows.offsets[row], options.incidents);
        on_row({passage, row});
        continue;
      }
      const auto given = std::span{residuals.values}.subspan(window * stride, stride);
      std::ranges::copy(given, masked.begin());
      const auto raw = std::span{rows.rows}.subspan(row * channels, channels);
      const std::int16_t window_class =
          residuals.classes.empty() ? std::int16_t{-1} : residuals.classes[window];
      const Verdict verdict = state.track.judge(model, raw, masked, window_class);
      const bool opened = opens(state, rows, row, verdict, options.incidents);
      on_row({passage, row, &verdict, given, opened});
      ++window;
    }
    pending.batch.rows.clear();
    pending.batch.windows.clear();
    pending.rows.clear();
    return {};
  };

  std::vector<std::uint32_t> judged;
  for (std::size_t p = 0; p < passages.size(); ++p) {
    const Passage& passage = passages[p];
    SeriesTrack& track = passage.state->track;
    for (std::size_t i = passage.begin; i < passage.end;) {
      const std::size_t last = std::min(passage.end, i + how.windows_per_call);
      judged.clear();
      for (; i < last; ++i) {
        const Windower::Row row = passage.rows->row(i, columns, values);
        const bool full =
            track.append(row, values, options.window, model.context) == NotJudged::kJudged;
        if (full) judged.push_back(track.num_fresh() - 1);
        pending.rows.push_back({p, i, full});
      }
      track.flush_into(pending.batch, judged, model.context);
      if (pending.rows.size() < how.windows_per_call) continue;
      if (Status status = settle(); !status) return status;
    }
  }
  return pending.rows.empty() ? Status{} : settle();
}

History rows_of(const History& history, std::size_t begin, std::size_t end, bool restart) {
  const auto cut = [](const auto& values, std::size_t first, std::size_t last) {
    using Values = std::decay_t<decltype(values)>;
    return Values(values.begin() + static_cast<std::ptrdiff_t>(first),
                  values.begin() + static_cast<std::ptrdiff_t>(last));
  };
  History part{history.series, history.width, {}, {}, {}, {}, history.windower};
  part.times = cut(history.times, begin, end);
  part.offsets = cut(history.offsets, begin, end);
  part.gaps = cut(history.gaps, begin, end);
  part.rows = cut(history.rows, begin * history.width, end * history.width);
  if (restart && !part.gaps.empty()) part.gaps.front() = History::kRestart;
  return part;
}

}  // namespace anomalyd::pipeline
