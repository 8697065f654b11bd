#include "tools/history_collector.hpp"

namespace anomalyd::tools {

void HistoryCollector::take(const SampleBlock& block) {
  for (std::size_t i = 0; i < block.size(); ++i) {
    const Sample sample = block[i];
    auto found = series_.find(sample.series);
    if (found == series_.end()) {
      found = series_.try_emplace(std::string{sample.series}).first;
      found->second.history.series = found->first;
      found->second.partition = block.partition();
    }
    Series& series = found->second;
    series.schema = block.schema();
    (void)series.windower.add(
        sample, window_, [&](const pipeline::Windower::Row& row) { series.history.append(row); });
    if (series.history.size() >= 2 * max_rows_) trim(series.history);
  }
}

/// Drops the oldest rows beyond `max_rows_`; in bulk, so that a row costs little.
void HistoryCollector::trim(pipeline::History& history) const {
  if (history.size() <= max_rows_) return;
  const auto old = static_cast<std::ptrdiff_t>(history.size() - max_rows_);
  history.times.erase(history.times.begin(), history.times.begin() + old);
  history.offsets.erase(history.offsets.begin(), history.offsets.begin() + old);
  history.gaps.erase(history.gaps.begin(), history.gaps.begin() + old);
  history.rows.erase(history.rows.begin(),
                     history.rows.begin() + old * static_cast<std::ptrdiff_t>(history.width));
  history.gaps.front() = 0;
}

std::size_t HistoryCollector::Group::num_rows() const noexcept {
  std::size_t rows = 0;
  for (const pipeline::History& history : histories) rows += history.size();
  return rows;
}

std::map<std::string, HistoryCollector::Group> HistoryCollector::groups(std::size_t min_rows) {
  std::map<std::string, Group> groups;
  for (auto& [id, series] : series_) {
    series.windower.flush(window_,
                          [&](const pipeline::Windower::Row& row) { series.history.append(row); });
    trim(series.history);
    if (series.history.size() < min_rows) continue;
    const auto columns = series.history.active_columns(series.history.size());
    std::vector<Channel> channels;
    for (const std::size_t column : columns) channels.push_back(series.schema->channels[column]);
    if (channels.empty()) continue;
    Group& group = groups[pipeline::group_key(channels)];
    group.channels = std::move(channels);
    group.partition_of.emplace(id, series.partition);
    group.histories.push_back(series.history.project(columns, series.history.size()));
    group.histories.back().windower = series.windower;
  }
  return groups;
}

}  // namespace anomalyd::tools
