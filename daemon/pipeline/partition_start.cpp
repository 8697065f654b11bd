// How the series of a PartitionPipeline come to a model: what they collect before, what training
// gets of it, and where each goes on with it.

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::pipeline {
namespace {

/// The track of a series that its group was not trained on, from its first rows.
SeriesTrack provisional_track(const History& rows, const LearnedGroup& learned,
                              const PipelineOptions& options) {
  SeriesTrack track;
  track.scaler = fit_scaler(rows, options.training);
  track.detector = learned.pooled;
  track.memory = learned.pooled_memory;
  track.faults = DataFaults{rows.rows, rows.width, options.faults};
  track.provisional = true;
  return track;
}

}  // namespace

PartitionPipeline::Group* PartitionPipeline::group_that_learned(const std::string& series) {
  const auto found = std::ranges::find_if(
      groups_, [&](const auto& group) { return group.second.learned->find(series) != nullptr; });
  return found == groups_.end() ? nullptr : &found->second;
}

/// A series that the model of a group was trained on goes on behind its last training row.
void PartitionPipeline::start_if_known(Series& series) {
  Group* const group = group_that_learned(series.id);
  if (group == nullptr) return;
  const LearnedGroup::Known& known = *group->learned->find(series.id);
  series.group = group;
  series.live.track = known.track;
  series.windower = known.windower;
  configure(series);
  shadow(series);
}

/// True until the first row behind those that the series was learned from: what is older is not
/// late, it is read again, after a loss of the state, say.
bool PartitionPipeline::stands_where_learned(const Series& series) const {
  if (series.group == nullptr) return false;
  const auto* known = series.group->learned->find(series.id);
  return known != nullptr && known->windower.last_time() == series.windower.last_time();
}

/// A snapshot of a series that collected rows, all of which a model has been learned from since.
void PartitionPipeline::start_if_learned(Series& series) {
  Group* const group = group_that_learned(series.id);
  if (group == nullptr) return;
  const LearnedGroup::Known& known = *group->learned->find(series.id);
  if (series.windower.last_time() <= known.windower.last_time()) start(series, *group);
}

/// Moves a series from collecting to being judged, from its first unlearned row on.
void PartitionPipeline::start(Series& series, Group& group) {
  overdue_rows_ -= overdue_rows(series);
  const std::unique_ptr<History> history = std::move(series.history);
  series.group = &group;
  std::size_t next = 0;  // the first row to judge
  if (const auto* known = group.learned->find(series.id)) {
    const EventTime last = known->windower.last_time();
    series.live.track = known->track;
    // A snapshot may be older than the model: what it lacks of the rows learned from is skipped.
    series.windower.skip_to(last);
    const auto behind = std::ranges::upper_bound(history->times, last.time_since_epoch().count());
    next = static_cast<std::size_t>(behind - history->times.begin());
    record_learned(series, *history, next);
  } else {
    // The rows that it is made from fill the window, and the rest of them are judged as well.
    const History first = history->project(group.columns, options_.training.provisional_rows);
    series.live.track = provisional_track(first, *group.learned, options_);
  }
  configure(series);
  shadow(series);
  std::vector<double> values;
  for (; next < history->size(); ++next) {
    const Windower::Row row = history->row(next, group.columns, values);
    accept(series, row, values);
  }
}

PartitionPipeline::Group* PartitionPipeline::group_of(const History& history) {
  if (groups_.empty()) return nullptr;
  const auto found = groups_.find(group_key(channels_of(history)));
  return found == groups_.end() ? nullptr : &found->second;
}

std::vector<Channel> PartitionPipeline::channels_of(const History& history) const {
  std::vector<Channel> channels;
  for (const std::size_t c : history.active_columns(options_.training.rows)) {
    channels.push_back(columns_[c]);
  }
  return channels;
}

void PartitionPipeline::install(const std::shared_ptr<const LearnedGroup>& learned) {
  Group& group = groups_[group_key(learned->info.channels)];
  if (group.learned != nullptr && group.learned != learned) replace(group, learned);
  group.learned = learned;
  look_up_columns(group);
  for (std::uint32_t at = 0; at < series_.size(); ++at) {
    Series& series = series_[at];
    if (series.history == nullptr || series.history->size() < options_.training.provisional_rows ||
        group_of(*series.history) != &group) {
      continue;
    }
    start(series, group);
    touched_.push_back(at);
    flush_touched();
  }
}

PartitionPipeline::Candidates& PartitionPipeline::Candidates::operator+=(Candidates other) {
  if (channels.empty()) channels = std::move(other.channels);
  waiting += other.waiting;
  warming += other.warming;
  most_rows = std::max(most_rows, other.most_rows);
  return *this;
}

std::map<std::string, PartitionPipeline::Candidates> PartitionPipeline::candidates() const {
  std::map<std::string, Candidates> groups;
  for (const Series& series : series_) {
    if (series.history == nullptr || series.group_key.empty()) continue;
    Candidates& group = groups[series.group_key];
    const std::size_t rows = series.history->size();
    if (rows < options_.training.rows) {
      ++group.warming;
      continue;
    }
    if (group.channels.empty()) group.channels = channels_of(*series.history);
    ++group.waiting;
    group.most_rows = std::max(group.most_rows, rows);
  }
  return groups;
}

std::vector<History> PartitionPipeline::training_set(const std::string& key) const {
  std::vector<History> set;
  for (const Series& series : series_) {
    if (series.history == nullptr || series.history->size() < options_.training.rows ||
        series.group_key != key) {
      continue;
    }
    const auto columns = series.history->active_columns(options_.training.rows);
    set.push_back(series.history->project(columns, options_.training.rows));
    set.back().windower = series.windower;
  }
  return set;
}

std::size_t PartitionPipeline::overdue_rows(const Series& series) const {
  const std::size_t rows = series.history == nullptr ? 0 : series.history->size();
  return rows - std::min(rows, options_.training.enough_rows());
}

}  // namespace anomalyd::pipeline
