// How the series of a PartitionPipeline come to a model: what they collect before, what training
// gets of it, and where each goes on with it.

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::pipeline {

/// A series that the model of a group was trained on goes on behind its last training row.
void PartitionPipeline::start_if_known(Series& series) {
  for (auto& [key, group] : groups_) {
    const auto known = group.learned->series.find(series.id);
    if (known == group.learned->series.end()) continue;
    series.group = &group;
    series.track = known->second.track;
    series.windower = known->second.windower;
    configure(series);
    return;
  }
}

/// True until the first row behind those that the series was learned from: what is older is not
/// late, it is read again, after a loss of the state, say.
bool PartitionPipeline::stands_where_learned(const Series& series) const {
  if (series.group == nullptr) return false;
  const auto known = series.group->learned->series.find(series.id);
  return known != series.group->learned->series.end() &&
         known->second.windower.last_time() == series.windower.last_time();
}

/// A snapshot of a series that collected rows, all of which a model has been learned from since.
void PartitionPipeline::start_if_learned(Series& series) {
  for (auto& [key, group] : groups_) {
    const auto known = group.learned->series.find(series.id);
    if (known == group.learned->series.end()) continue;
    if (series.windower.last_time() <= known->second.windower.last_time()) start(series, group);
    return;
  }
}

/// Moves a series from collecting to being judged, from its first unlearned row on.
void PartitionPipeline::start(Series& series, Group& group) {
  overdue_rows_ -= overdue_rows(series);
  const std::unique_ptr<History> history = std::move(series.history);
  const auto known = group.learned->series.find(series.id);
  series.group = &group;
  std::size_t learned_rows = 0;
  if (known != group.learned->series.end()) {
    series.track = known->second.track;
    // A snapshot may be older than the model: what it lacks of the rows learned from is skipped.
    series.windower.skip_to(known->second.windower.last_time());
    // The rows behind the last one that was learned from are still to be judged.
    const auto last = known->second.windower.last_time().time_since_epoch().count();
    learned_rows = static_cast<std::size_t>(
        std::upper_bound(history->times.begin(), history->times.end(), last) -
        history->times.begin());
  } else {
    learned_rows = std::min(history->size(), options_.training.provisional_rows);
    const History first = history->project(group.columns, learned_rows);
    series.track = SeriesTrack{};
    series.track.scaler = Scaler::fit(
        first.rows, first.times, first.width,
        options_.training.detect_counters ? Scaler::Counters::kDetect : Scaler::Counters::kIgnore);
    series.track.detector = group.learned->pooled;
    series.track.memory = group.learned->pooled_memory;
    series.track.faults = DataFaults{first.rows, first.width, options_.faults};
    series.track.provisional = true;
    learned_rows = 0;  // its first rows fill the window and the rest of them are judged as well
  }
  configure(series);
  std::vector<double> values;
  for (std::size_t i = learned_rows; i < history->size(); ++i) {
    const Windower::Row row = history->row(i, group.columns, values);
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
  std::erase_if(groups, [](const auto& entry) { return entry.second.waiting == 0; });
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
