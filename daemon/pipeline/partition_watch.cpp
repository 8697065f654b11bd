// What a PartitionPipeline notices about whether the models of its groups still fit, and what it
// copies for those who look closer.

#include <algorithm>
#include <limits>
#include <utility>

#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::pipeline {
namespace {

// A row with an unknown channel weighs so many rows without one: a channel that less than one in
// twenty rows carries is not new, it is odd.
constexpr std::uint32_t kUnknownRow = 20;

// Behind an incident, the longer mean in a score falls by 1/e in half as many rows as it spans; in
// four times its span what was a hundredfold is a thirtieth.
constexpr std::uint32_t kSettling = 4;

// Of series that are sampled at once: each is a copy of all that is known of one.
constexpr std::size_t kMostSamples = 16;

std::int64_t micros(EventTime time) { return time.time_since_epoch().count(); }

bool is_for(std::int64_t since, EventTime now, std::chrono::microseconds hold) {
  // Unsigned, because a damaged snapshot may hold any time.
  const auto elapsed = static_cast<std::uint64_t>(micros(now)) - static_cast<std::uint64_t>(since);
  return since != 0 && micros(now) >= since && elapsed >= static_cast<std::uint64_t>(hold.count());
}

}  // namespace

/// One row in so many of a series, which makes them nearly independent, if it is a normal one.
void PartitionPipeline::watch_scores(Series& series, EventTime time, const Verdict& verdict,
                                     RowMark mark) {
  Group& group = *series.group;
  Watch& watch = series.watch;
  if (verdict.alert) watch.alert_at = micros(time);
  group.normal_rows += mark == RowMark::kNormal ? 1 : 0;
  if (mark == RowMark::kIncident) {
    watch.settling = static_cast<std::uint16_t>(kSettling * thinning_);
  } else if (watch.settling > 0) {
    --watch.settling;
  }
  if (++watch.since_thinned < thinning_) return;
  watch.since_thinned = 0;
  if (mark != RowMark::kNormal || watch.settling > 0) return;
  group.drift.add(verdict.score, time, options_.retraining.drift);
}

void PartitionPipeline::watch_governor(Series& series) const {
  Watch& watch = series.watch;
  const Detector& detector = series.live.track.detector;
  if (const std::uint64_t held_back = detector.suppressed_alerts(); held_back != watch.held_back) {
    watch.held_back = held_back;
    watch.alert_at = micros(watermark_);
  }
  const std::chrono::microseconds hold = options_.retraining.governor.hold;
  const bool recently = watch.alert_at != 0 && !is_for(watch.alert_at, watermark_, hold);
  if (!recently || !detector.at_clamp()) {
    watch.pressed_since = 0;
  } else if (watch.pressed_since == 0) {
    watch.pressed_since = micros(watermark_);
  }
}

/// Another version of the model judges the series from now on.
void PartitionPipeline::watch_anew(Series& series) const {
  const std::uint16_t since_thinned = series.watch.since_thinned;
  series.watch = {};
  series.watch.held_back = series.live.track.detector.suppressed_alerts();
  series.watch.since_thinned = since_thinned;
}

void PartitionPipeline::note_unknown(Series& series, std::size_t column) const {
  const auto most = static_cast<std::uint32_t>(
      std::min<std::size_t>(2 * kUnknownRow * options_.faults.absent_rows,
                            std::numeric_limits<std::uint32_t>::max() / 2));
  series.watch.unknown = std::min(series.watch.unknown + kUnknownRow, most);
  if (!has_new_channel(series)) return;
  std::vector<std::uint32_t>& columns = series.group->new_columns;
  const auto at = static_cast<std::uint32_t>(column);
  if (columns.size() >= GroupFacts::kMostNames || std::ranges::find(columns, at) != columns.end()) {
    return;
  }
  columns.push_back(at);
}

bool PartitionPipeline::has_new_channel(const Series& series) const {
  return series.watch.unknown >= kUnknownRow * options_.faults.absent_rows;
}

std::map<std::string, GroupFacts> PartitionPipeline::group_facts() const {
  std::map<std::string, GroupFacts> all;
  std::map<const Group*, GroupFacts*> of_group;
  for (const auto& [key, group] : groups_) {
    GroupFacts& facts = all[key];
    of_group[&group] = &facts;
    facts.normal_rows = group.normal_rows;
    facts.watermark = watermark_;
    facts.drift = group.drift;
    for (const std::uint32_t column : group.new_columns) {
      facts.new_channels.insert(columns_[column].name);
    }
  }
  const RetrainingOptions& options = options_.retraining;
  for (const Series& series : series_) {
    if (series.group == nullptr) continue;
    GroupFacts& facts = *of_group.at(series.group);
    const std::int64_t since = series.watch.pressed_since;
    ++facts.series;
    facts.pressed += since != 0 ? 1 : 0;
    facts.pressed_long += is_for(since, watermark_, options.governor.hold) ? 1 : 0;
    facts.pressed_unfit += is_for(since, watermark_, options.unfit.hold) ? 1 : 0;
    facts.with_new_channels += has_new_channel(series) ? 1 : 0;
    facts.lacking_channels += series.live.track.faults.lacks_channel() ? 1 : 0;
  }
  return all;
}

void PartitionPipeline::begin_sample() {
  const auto is_silent = [&](const Series& series) {
    return watermark_ - series.windower.last_time() >
           std::max<std::chrono::microseconds>(options_.faults.silent_after,
                                               10 * series.windower.period());
  };
  std::size_t sampled = 0;
  for (Series& series : series_) {
    if (series.sample != nullptr && is_silent(series)) series.sample = nullptr;
    sampled += series.sample != nullptr ? 1 : 0;
  }
  if (sampled >= kMostSamples) return;
  for (std::size_t i = 0; i < series_.size(); ++i) {
    Series& series = series_[next_sampled_++ % series_.size()];
    const Lane& live = series.live;
    const bool ready = series.group != nullptr && !live.track.provisional && !is_silent(series);
    if (!ready || series.sample != nullptr || live.incidents.is_open() ||
        live.track.faults.is_open()) {
      continue;
    }
    series.sample = std::make_unique<LiveSample>(
        LiveSample{series.group->learned, {live.track, live.incidents}, {}});
    series.sample->rows.series = series.id;
    return;
  }
}

void PartitionPipeline::add_to_sample(Series& series, const Windower::Row& row,
                                      std::span<const double> values) {
  Windower::Row of_model = row;
  of_model.values = values;
  series.sample->rows.append(of_model);
  if (series.sample->rows.size() < LiveSample::kRows) return;
  samples_.push_back(std::move(*series.sample));
  series.sample = nullptr;
}

std::vector<LiveSample> PartitionPipeline::take_samples() { return std::exchange(samples_, {}); }

const ScoreDrift* PartitionPipeline::drift(const std::string& group_key) const {
  const auto found = groups_.find(group_key);
  return found == groups_.end() ? nullptr : &found->second.drift;
}

}  // namespace anomalyd::pipeline
