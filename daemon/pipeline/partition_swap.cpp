// How a PartitionPipeline comes from one version of a model to the next: a challenger that judges
// beside the champion, the swap, and the record of rows that the next one is learned from.

#include <algorithm>
#include <utility>

#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::pipeline {
namespace {

// What waits to be recorded: of all series together, unless they are so many that the fewest rows
// of each take more.
constexpr std::size_t kRecordBytes = 4 << 20;
constexpr std::size_t kFewestRecordRows = 8, kMostRecordRows = 256;

/// How many rows of each series are handed out at a time.
std::size_t record_rows(std::size_t num_series, std::size_t channels) {
  const std::size_t row = History::bytes_of_row(channels) + sizeof(RowMark);
  return std::clamp(kRecordBytes / (row * std::max<std::size_t>(num_series, 1)), kFewestRecordRows,
                    kMostRecordRows);
}

}  // namespace

/// What `learned` knows of a series, on the rows that are in its window now.
SeriesTrack PartitionPipeline::track_on(const LearnedGroup& learned, const Series& series) const {
  SeriesTrack track;
  if (const auto* known = learned.find(series.id)) {
    track = known->track;
  } else {
    track.scaler = series.live.track.scaler;
    track.detector = learned.pooled;
    track.memory = learned.pooled_memory;
    track.provisional = true;
  }
  track.continue_from(series.live.track, learned.info.context);
  const std::size_t fleet = std::max(index_.size(), learned.series.size());
  track.detector.use(options_.detector_for(series.windower.period(), fleet));
  return track;
}

void PartitionPipeline::replace(Group& group, const std::shared_ptr<const LearnedGroup>& learned) {
  const bool was_challenger = group.challenger == learned;
  for (Series& series : series_) {
    if (series.group != &group) continue;
    series.live.track = was_challenger && series.shadow != nullptr ? std::move(series.shadow->track)
                                                                   : track_on(*learned, series);
    series.shadow = nullptr;
    series.sample = nullptr;  // of the model before
    watch_anew(series);
  }
  group.challenger = nullptr;
  group.learned = learned;
  group.drift = {};
  group.normal_rows = 0;
  group.new_columns.clear();
}

void PartitionPipeline::challenge(const std::shared_ptr<const LearnedGroup>& challenger) {
  const std::string key = group_key(challenger->info.channels);
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;  // none of its series is here yet
  dismiss(key);
  found->second.challenger = challenger;
  found->second.report = {};
  for (Series& series : series_) {
    if (series.group == &found->second) shadow(series);
  }
}

void PartitionPipeline::shadow(Series& series) {
  if (series.group == nullptr || series.group->challenger == nullptr) return;
  series.shadow = std::make_unique<Lane>();
  series.shadow->track = track_on(*series.group->challenger, series);
  series.shadow->incidents = series.live.incidents;  // what is open is no alert of the challenger
}

void PartitionPipeline::dismiss(const std::string& key) {
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  found->second.challenger = nullptr;
  for (Series& series : series_) {
    if (series.group == &found->second) series.shadow = nullptr;
  }
}

PartitionPipeline::ShadowReport PartitionPipeline::shadow_report(const std::string& key) const {
  const auto found = groups_.find(key);
  return found == groups_.end() ? ShadowReport{} : found->second.report;
}

PartitionPipeline::ShadowReport& PartitionPipeline::ShadowReport::operator+=(
    const ShadowReport& other) {
  rows += other.rows;
  first = std::min(first, other.first);
  newest = std::max(newest, other.newest);
  champion_alerts += other.champion_alerts;
  challenger_alerts += other.challenger_alerts;
  const std::size_t room = kMostIncidents - std::min(kMostIncidents, incidents.size());
  const auto taken = static_cast<std::ptrdiff_t>(std::min(room, other.incidents.size()));
  incidents.insert(incidents.end(), other.incidents.begin(), other.incidents.begin() + taken);
  return *this;
}

void PartitionPipeline::ShadowReport::note(const std::string& series, EventTime start,
                                           bool of_challenger) {
  ++(of_challenger ? challenger_alerts : champion_alerts);
  if (incidents.size() < kMostIncidents) incidents.push_back({series, start, of_challenger});
}

void PartitionPipeline::note_incident(Group& group, const std::optional<Alert>& message,
                                      bool of_challenger) {
  if (!message || message->state != AlertState::kOpen) return;
  group.report.note(message->series, message->start, of_challenger);
}

void PartitionPipeline::judge_shadow(const ScoreRequest& request, Series& series, std::size_t i,
                                     std::span<float> residuals, std::int16_t window_class) {
  const ScoreRequest::Row& row = request.rows[i];
  const ModelInfo& model = request.group->info;
  Lane& lane = *series.shadow;
  Group& group = *series.group;
  const std::string_view class_name = model.class_name(window_class);
  const auto raw = std::span{request.raw}.subspan(i * model.channels.size(), model.channels.size());
  const std::uint64_t held_back = lane.track.detector.suppressed_alerts();
  const Verdict verdict = lane.track.judge(model, raw, residuals, window_class);
  ++group.report.rows;
  group.report.first = std::min(group.report.first, row.time);
  group.report.newest = std::max(group.report.newest, row.time);
  group.report.challenger_alerts += lane.track.detector.suppressed_alerts() - held_back;
  if (!lane.incidents.concerns(verdict)) return;
  note_incident(group,
                lane.incidents.observe(
                    series.id, {row.time, row.offset, verdict, class_name},
                    [] { return std::vector<Alert::Feature>{}; }, options_.incidents),
                true);
}

void PartitionPipeline::give_up(const ScoreRequest& /*request*/) { --requests_out_; }

std::vector<std::string> PartitionPipeline::series_of(const std::string& key) const {
  std::vector<std::string> ids;
  const auto found = groups_.find(key);
  if (found == groups_.end()) return ids;
  for (const Series& series : series_) {
    if (series.group == &found->second) ids.push_back(series.id);
  }
  return ids;
}

std::unordered_map<std::string, LearnedGroup::Known> PartitionPipeline::known_series(
    const std::string& key) const {
  std::unordered_map<std::string, LearnedGroup::Known> known;
  const auto found = groups_.find(key);
  if (found == groups_.end()) return known;
  for (const Series& series : series_) {
    if (series.group == &found->second) {
      known.emplace(series.id, LearnedGroup::Known{series.live.track, series.windower});
    }
  }
  return known;
}

RowMark PartitionPipeline::mark_of(NotJudged why) {
  switch (why) {
    case NotJudged::kFilling: return RowMark::kUnready;
    case NotJudged::kMissing: return RowMark::kDataFault;
    case NotJudged::kJudged:
    case NotJudged::kStride: break;
  }
  return RowMark::kNormal;
}

RowMark PartitionPipeline::mark_of(const Lane& lane, const Verdict& verdict) {
  if (verdict.condition || verdict.lasting || verdict.alert) return RowMark::kSuspicious;
  if (!verdict.judged || lane.track.faults.is_open()) return RowMark::kDataFault;
  return lane.track.provisional ? RowMark::kUnready : RowMark::kNormal;
}

void PartitionPipeline::record(Series& series, const ScoreRequest& request, std::size_t i,
                               RowMark mark) {
  if (!options_.training.record) return;
  const ScoreRequest::Row& row = request.rows[i];
  const std::size_t channels = request.batch.channels;
  JudgedRows& record = series.record;
  if (series.live.incidents.is_open()) mark = RowMark::kIncident;
  if (mark == RowMark::kNormal && series.live.track.detector.at_second_level()) {
    mark = RowMark::kSuspicious;  // a fault that lasts gives no more alerts, and is one still
  }
  const std::size_t enough = record_rows(index_.size(), channels);
  if (record.marks.empty()) {
    record.history.series = series.id;
    record.history.reserve(enough, channels);
    record.marks.reserve(enough);
  }
  record.history.append({.time = row.time,
                         .offset = row.offset,
                         .values = std::span{request.raw}.subspan(i * channels, channels),
                         .missing_before = row.gap == History::kRestart ? 0 : row.gap,
                         .restart = row.gap == History::kRestart});
  record.marks.push_back(mark);
  if (record.marks.size() >= enough) hand_out_record(series);
}

void PartitionPipeline::hand_out_record(Series& series) {
  if (series.record.marks.empty()) return;
  series.record.channels = series.group->learned->info.channels;
  series.record.history.windower = series.windower;
  record_.push_back(std::exchange(series.record, {}));
}

/// The rows that a series was learned from are normal by definition of that model.
void PartitionPipeline::record_learned(const Series& series, const History& history,
                                       std::size_t rows) {
  if (!options_.training.record || rows == 0) return;
  JudgedRows learned;
  learned.channels = series.group->learned->info.channels;
  learned.history = history.project(series.group->columns, rows);
  learned.history.series = series.id;
  learned.history.windower = series.windower;
  learned.marks.assign(learned.history.size(), RowMark::kNormal);
  record_.push_back(std::move(learned));
}

std::vector<JudgedRows> PartitionPipeline::take_record() { return std::exchange(record_, {}); }

}  // namespace anomalyd::pipeline
