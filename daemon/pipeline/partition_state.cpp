// What a PartitionPipeline writes into a snapshot and reads back.

#include <algorithm>
#include <utility>

#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::pipeline {
namespace {

constexpr std::uint32_t kStateVersion = 3;

bool is_record(const JudgedRows& record) {
  const auto is_mark = [](RowMark mark) { return mark <= RowMark::kIncident; };
  return !record.marks.empty() && record.marks.size() == record.history.size() &&
         std::ranges::all_of(record.marks, is_mark);
}

}  // namespace

void PartitionPipeline::save(StateWriter& out) const {
  out.put(kStateVersion);
  out.put(watermark_.time_since_epoch().count());
  out.put(next_sweep_.time_since_epoch().count());
  out.put(last_offset_);
  out.put(static_cast<std::uint64_t>(columns_.size()));
  for (const Channel& channel : columns_) {
    out.put_text(channel.name);
    out.put_text(channel.unit);
  }
  save_groups(out);
  out.put(static_cast<std::uint64_t>(index_.size()));
  for (const auto& [id, at] : index_) {
    const Series& series = series_[at];
    out.put_text(id);
    series.windower.save(out);
    series.live.incidents.save(out);
    out.put(series.group != nullptr);
    if (series.group == nullptr) {
      series.history->save(out);
    } else {
      out.put_text(group_key(series.group->learned->info.channels));
      out.put_text(series.group->learned->info.version);
      series.live.track.save(out);
      out.put(series.watch);
      out.put(!series.record.marks.empty());
      if (series.record.marks.empty()) continue;
      series.record.history.save(out);
      out.put_all(series.record.marks);
    }
  }
}

Status PartitionPipeline::load(StateReader& in) {
  std::uint32_t version = 0;
  if (!in.get(version) || version != kStateVersion) {
    return fail(ErrorKind::kIncompatible, "snapshot: found format version " +
                                              std::to_string(version) + "; expected " +
                                              std::to_string(kStateVersion));
  }
  const auto damaged = [&] {
    return fail(ErrorKind::kIncompatible, "snapshot: the bytes are damaged after " +
                                              std::to_string(index_.size()) + " series");
  };
  std::int64_t watermark = 0, next_sweep = 0;
  std::uint64_t num_columns = 0, num_series = 0;
  if (!in.get(watermark) || !in.get(next_sweep) || !in.get(last_offset_) || !in.get(num_columns)) {
    return damaged();
  }
  watermark_ = EventTime{std::chrono::microseconds{watermark}};
  next_sweep_ = EventTime{std::chrono::microseconds{next_sweep}};
  for (std::uint64_t i = 0; i < num_columns; ++i) {
    Channel channel;
    if (!in.get_text(channel.name) || !in.get_text(channel.unit)) return damaged();
    columns_.push_back(std::move(channel));
  }
  for (auto& [key, group] : groups_) look_up_columns(group);
  if (!load_groups(in) || !in.get(num_series)) return damaged();
  for (std::uint64_t i = 0; i < num_series; ++i) {
    if (!load_series(in)) return damaged();
  }
  if (!in.at_end()) return damaged();
  return {};
}

bool PartitionPipeline::load_series(StateReader& in) {
  std::string id;
  Windower windower;
  IncidentPolicy incidents;
  bool judged = false;
  if (!in.get_text(id) || !windower.load(in) || !incidents.load(in) || !in.get(judged)) {
    return false;
  }
  if (index_.contains(id)) return false;  // no series is written twice
  Series& series = series_[find_or_add(id)];
  if (!judged) {
    auto history = std::make_unique<History>();
    if (!history->load(in) || history->width > columns_.size()) return false;
    series.history = std::move(history);
    overdue_rows_ += overdue_rows(series);
    if (!series.history->times.empty()) series.group_key = group_key(channels_of(*series.history));
    series.group = nullptr;
    series.windower = std::move(windower);
    start_if_learned(series);
    return true;
  }
  std::string key, version;
  if (!in.get_text(key) || !in.get_text(version)) return false;
  const auto group = groups_.find(key);
  const LearnedGroup* const learned =
      group == groups_.end() ? nullptr : group->second.learned.get();
  const bool same_version = learned != nullptr && learned->info.version == version;
  SeriesTrack track;
  if (!track.load(in, same_version ? learned->pooled_memory : Memory{})) return false;
  Watch watch;
  if (!in.get(watch)) return false;
  bool has_record = false;
  JudgedRows record;
  if (!in.get(has_record)) return false;
  if (has_record && (!record.history.load(in) || !in.get_all(record.marks) || !is_record(record))) {
    return false;
  }
  if (learned == nullptr) return true;
  const std::size_t channels = learned->info.channels.size();
  if (same_version
          ? !track.fits(learned->info)
          : track.scaler.num_channels() != channels || track.faults.num_channels() != channels) {
    return false;
  }
  if (has_record && record.history.width != channels) return false;
  series.history = nullptr;
  series.group = &group->second;
  series.windower = std::move(windower);
  series.live.incidents = std::move(incidents);
  series.live.track = std::move(track);
  series.record = std::move(record);
  if (!same_version) series.live.track = track_on(*learned, series);
  configure(series);
  if (same_version) {
    series.watch = watch;
  } else {
    watch_anew(series);
  }
  return true;
}

/// What the groups have seen of their models.
void PartitionPipeline::save_groups(StateWriter& out) const {
  out.put(static_cast<std::uint64_t>(groups_.size()));
  for (const auto& [key, group] : groups_) {
    out.put_text(key);
    out.put_text(group.learned->info.version);
    group.drift.save(out);
    out.put(group.normal_rows);
    out.put_all(group.new_columns);
  }
}

bool PartitionPipeline::load_groups(StateReader& in) {
  std::uint64_t num_groups = 0;
  if (!in.get(num_groups)) return false;
  for (std::uint64_t i = 0; i < num_groups; ++i) {
    std::string key, version;
    ScoreDrift drift;
    std::uint64_t normal_rows = 0;
    std::vector<std::uint32_t> new_columns;
    if (!in.get_text(key) || !in.get_text(version) || !drift.load(in) || !in.get(normal_rows) ||
        !in.get_all(new_columns)) {
      return false;
    }
    const auto is_column = [&](std::uint32_t column) { return column < columns_.size(); };
    if (!std::ranges::all_of(new_columns, is_column)) return false;
    const auto group = groups_.find(key);
    if (group == groups_.end() || group->second.learned->info.version != version) continue;
    group->second.drift = std::move(drift);
    group->second.normal_rows = normal_rows;
    group->second.new_columns = std::move(new_columns);
  }
  return true;
}

}  // namespace anomalyd::pipeline
