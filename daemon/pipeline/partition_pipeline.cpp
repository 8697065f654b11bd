#include "daemon/pipeline/partition_pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/pipeline/alert_message.hpp"

namespace anomalyd::pipeline {
namespace {

/// Rows of catch-up that go into one request, so that a long wait does not make a huge batch.
constexpr std::size_t kRowsPerRequest = 8192;

/// A live series brings a row or a few in each block; room for more is for catching up.
constexpr std::size_t kFreshRowsToKeep = 16;

/// Scores of a series this far apart have hardly a row in common: a window reaches back so far, and
/// so does the longer of the means that are in a score.
std::uint32_t thinning(const PipelineOptions& options) {
  const auto mean_rows = static_cast<std::size_t>(options.detector.calibration.slow_rows);
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(std::max(options.window.length, mean_rows), 1, 10'000));
}

/// Of event time: how finely it is known since when governors have been at their clamps.
constexpr std::chrono::minutes kLongestSweep{5};

/// Which channels a series has is known after so many rows, and settled after `training.rows`.
constexpr std::size_t kRowsToKnowChannels = 32;

}  // namespace

std::size_t ScoreRequest::byte_size() const noexcept {
  return std::as_bytes(std::span{batch.rows}).size() +
         std::as_bytes(std::span{batch.windows}).size() + std::as_bytes(std::span{rows}).size() +
         std::as_bytes(std::span{raw}).size();
}

PipelineCounters& PipelineCounters::operator+=(const PipelineCounters& other) noexcept {
  samples += other.samples;
  late += other.late;
  duplicates += other.duplicates;
  learned += other.learned;
  rows += other.rows;
  windows_judged += other.windows_judged;
  rows_filling += other.rows_filling;
  rows_missing += other.rows_missing;
  anomalous_rows += other.anomalous_rows;
  benign_rows += other.benign_rows;
  incidents_opened += other.incidents_opened;
  data_faults += other.data_faults;
  series_evicted += other.series_evicted;
  judged_seconds += other.judged_seconds;
  return *this;
}

PartitionPipeline::PartitionPipeline(PartitionId partition, const PipelineOptions& options)
    : partition_{std::move(partition)}, options_{options}, thinning_{thinning(options)} {}

void PartitionPipeline::ingest(const SampleBlock& block) {
  if (schema_ != block.schema()) adopt_schema(block.schema());
  for (std::size_t i = 0; i < block.size(); ++i) {
    Sample sample = block[i];
    if (!in_place_) {
      replaced_.assign(columns_.size(), NAN);
      for (std::size_t c = 0; c < place_.size(); ++c) replaced_[place_[c]] = sample.values[c];
      sample.values = replaced_;
    }
    ++counters_.samples;
    watermark_ = std::max(watermark_, sample.time);
    last_offset_ = sample.offset;
    const std::uint32_t at = find_or_add(sample.series);
    Series& series = series_[at];
    const auto outcome = series.windower.add(
        sample, options_.window, [&](const Windower::Row& row) { on_row(series, row); });
    if (outcome != Windower::Outcome::kKept && stands_where_learned(series)) {
      ++counters_.learned;
      continue;
    }
    if (outcome == Windower::Outcome::kDuplicate) ++counters_.duplicates;
    if (outcome == Windower::Outcome::kLate) {
      ++counters_.late;
      DataFaults::Events events;
      series.live.track.faults.on_late(sample.time, series.windower.last_time(), options_.faults,
                                       events);
      publish_faults(series, events, sample.time, sample.offset);
    }
    if (!series.touched && !series.live.fresh.empty()) {
      series.touched = true;
      touched_.push_back(at);
    }
  }
  flush_touched();
  if (watermark_ >= next_sweep_) sweep();
}

void PartitionPipeline::flush() {
  for (std::uint32_t at = 0; at < series_.size(); ++at) {
    Series& series = series_[at];
    series.windower.flush(options_.window, [&](const Windower::Row& row) { on_row(series, row); });
    if (!series.live.fresh.empty()) touched_.push_back(at);
  }
  flush_touched();
}

std::uint32_t PartitionPipeline::find_or_add(std::string_view id) {
  static thread_local std::string key;  // scratch: no allocation per sample
  key.assign(id);
  if (const auto found = index_.find(key); found != index_.end()) return found->second;
  std::uint32_t at = static_cast<std::uint32_t>(series_.size());
  if (free_slots_.empty()) {
    series_.emplace_back();
  } else {
    at = free_slots_.back();
    free_slots_.pop_back();
    series_[at] = Series{};
  }
  Series& series = series_[at];
  series.id = key;
  // So that the series of a fleet are not all looked at in the same row.
  series.watch.since_thinned =
      static_cast<std::uint16_t>(jitter_of(key, std::chrono::microseconds{thinning_}).count());
  index_.emplace(key, at);
  start_if_known(series);
  if (series.group == nullptr) {
    series.history = std::make_unique<History>();
    series.history->series = key;
  }
  return at;
}

/// Options are not part of what was learned: alpha follows the budget and the period as they are.
void PartitionPipeline::configure(Series& series) {
  const std::size_t fleet = std::max(index_.size(), series.group->learned->series.size());
  series.live.track.detector.use(options_.detector_for(series.windower.period(), fleet));
}

void PartitionPipeline::on_row(Series& series, const Windower::Row& row) {
  ++counters_.rows;
  if (series.group != nullptr) {
    values_.clear();
    for (const std::size_t c : series.group->columns) {
      values_.push_back(c < row.values.size() ? row.values[c] : NAN);
    }
    accept(series, row, values_);
    watch_unknown_channels(series, row);
    return;
  }
  series.history->append(row);
  const std::size_t rows = series.history->size();
  if (rows > options_.training.enough_rows()) ++overdue_rows_;
  if (rows == kRowsToKnowChannels || rows == options_.training.rows) {
    series.group_key = group_key(channels_of(*series.history));
  }
  if (rows < options_.training.provisional_rows || rows % 32 != 0) return;
  if (Group* group = group_of(*series.history)) start(series, *group);  // accepts this row too
}

/// Tells of cells in columns that the model of the series was not trained with.
void PartitionPipeline::watch_unknown_channels(Series& series, const Windower::Row& row) {
  const std::vector<std::size_t>& known = series.group->columns;
  if (row.values.size() <= known.size()) return;
  for (std::size_t c = 0; c < row.values.size(); ++c) {
    if (std::isnan(row.values[c]) || std::ranges::find(known, c) != known.end()) continue;
    note_unknown(series, c);
    DataFaults::Events events;
    series.live.track.faults.on_unknown_channel(columns_[c].name, row.time, options_.faults,
                                                events);
    publish_faults(series, events, row.time, row.offset);
    return;
  }
  if (series.watch.unknown > 0) --series.watch.unknown;
}

/// Takes a row of a series that has a model: watches its data, appends it, queues it for a verdict.
void PartitionPipeline::accept(Series& series, const Windower::Row& row,
                               std::span<const double> values) {
  const Group& group = *series.group;
  DataFaults::Events events;
  series.live.track.faults.on_row(row, values, group.learned->info.channels, options_.faults,
                                  events);
  if (!events.empty()) publish_faults(series, events, row.time, row.offset);

  const NotJudged why = accept(series.live, row, values, group.learned->info.context);
  if (why == NotJudged::kFilling) ++counters_.rows_filling;
  if (why == NotJudged::kMissing) ++counters_.rows_missing;
  if (series.shadow != nullptr) {
    (void)accept(*series.shadow, row, values, group.challenger->info.context);
  }
  if (series.sample != nullptr) add_to_sample(series, row, values);
}

NotJudged PartitionPipeline::accept(Lane& lane, const Windower::Row& row,
                                    std::span<const double> values, std::size_t context) const {
  const NotJudged why = lane.track.append(row, values, options_.window, context);
  if (lane.track.provisional && lane.track.num_rows() >= options_.training.rows) {
    lane.track.provisional = false;
  }
  // Its place among the fresh rows of the track, which rows that fill a gap count towards.
  if (why == NotJudged::kJudged) lane.judged.push_back(lane.track.num_fresh() - 1);
  lane.fresh.push_back(
      {0, why, row.time, row.offset, row.restart ? History::kRestart : row.missing_before});
  lane.fresh_raw.insert(lane.fresh_raw.end(), values.begin(), values.end());
  return why;
}

/// Turns the fresh rows of every touched series into one request per model.
void PartitionPipeline::flush_touched() {
  std::map<const LearnedGroup*, ScoreRequest> open;
  for (const std::uint32_t at : touched_) {
    Series& series = series_[at];
    series.touched = false;
    flush_lane(open, at, series.live, series.group->learned, false);
    if (series.shadow != nullptr) {
      flush_lane(open, at, *series.shadow, series.group->challenger, true);
    }
  }
  touched_.clear();
  for (auto& [group, request] : open) requests_.push_back(std::move(request));
}

void PartitionPipeline::flush_lane(std::map<const LearnedGroup*, ScoreRequest>& open,
                                   std::uint32_t at, Lane& lane,
                                   const std::shared_ptr<const LearnedGroup>& learned,
                                   bool shadow) {
  ScoreRequest& request = open[learned.get()];
  if (request.group == nullptr) {
    request.group = learned;
    request.shadow = shadow;
    request.batch.channels = learned->info.channels.size();
    request.batch.context = learned->info.context;
  }
  for (ScoreRequest::Row& row : lane.fresh) row.series = at;
  lane.track.flush_into(request.batch, lane.judged, learned->info.context);
  request.rows.insert(request.rows.end(), lane.fresh.begin(), lane.fresh.end());
  request.raw.insert(request.raw.end(), lane.fresh_raw.begin(), lane.fresh_raw.end());
  lane.forget_fresh();
  if (request.rows.size() < kRowsPerRequest) return;
  requests_.push_back(std::move(request));
  open.erase(learned.get());
}

void PartitionPipeline::Lane::forget_fresh() {
  judged.clear();
  fresh.clear();
  fresh_raw.clear();
  // A series that has caught up needs little room again; a fleet has many of them.
  if (fresh.capacity() > kFreshRowsToKeep) {
    judged.shrink_to_fit();
    fresh.shrink_to_fit();
    fresh_raw.shrink_to_fit();
  }
}

std::vector<ScoreRequest> PartitionPipeline::take_requests() {
  requests_out_ += requests_.size();
  return std::exchange(requests_, {});
}

void PartitionPipeline::judge(const ScoreRequest& request, Residuals residuals) {
  const std::size_t channels = request.batch.channels;
  const std::size_t stride = residuals.members * channels;
  std::size_t window = 0;
  for (std::size_t i = 0; i < request.rows.size(); ++i) {
    const ScoreRequest::Row& row = request.rows[i];
    Series& series = series_[row.series];
    if (row.why != NotJudged::kJudged) {
      if (request.shadow) continue;
      publish(series, request.group->info,
              series.live.incidents.skip(series.id, row.time, row.offset, options_.incidents));
      record(series, request, i, mark_of(row.why));
      continue;
    }
    const auto values = std::span{residuals.values}.subspan(window * stride, stride);
    const std::int16_t window_class =
        residuals.classes.empty() ? std::int16_t{-1} : residuals.classes[window];
    if (request.shadow) {
      judge_shadow(request, series, i, values, window_class);
    } else {
      judge_row(series, request, i, window, values, window_class);
    }
    ++window;
  }
  --requests_out_;
}

void PartitionPipeline::judge_row(Series& series, const ScoreRequest& request, std::size_t i,
                                  std::size_t window, std::span<float> residuals,
                                  std::int16_t window_class) {
  const ScoreRequest::Row& row = request.rows[i];
  const ModelInfo& model = request.group->info;
  const std::size_t channels = request.batch.channels;
  const auto raw = std::span{request.raw}.subspan(i * channels, channels);
  const std::uint64_t held_back = series.live.track.detector.suppressed_alerts();
  const Verdict verdict = series.live.track.judge(model, raw, residuals, window_class);
  const std::string_view class_name = model.class_name(window_class);
  counters_.benign_rows += verdict.benign ? 1 : 0;
  if (series.shadow != nullptr) {
    series.group->report.champion_alerts +=
        series.live.track.detector.suppressed_alerts() - held_back;
  }
  ++counters_.windows_judged;
  counters_.judged_seconds += std::chrono::duration<double>(series.windower.period()).count() *
                              static_cast<double>(options_.window.stride);
  counters_.anomalous_rows += verdict.alert ? 1 : 0;
  if (observer_) observer_(series.id, row.time, verdict);
  if (series.live.incidents.concerns(verdict)) {
    auto message = series.live.incidents.observe(
        series.id, {row.time, row.offset, verdict, class_name},
        [&] { return evidence(series, request, i, window, residuals); }, options_.incidents);
    if (series.shadow != nullptr) note_incident(*series.group, message, false);
    publish(series, model, std::move(message));
  }
  const RowMark mark =
      series.live.incidents.is_open() ? RowMark::kIncident : mark_of(series.live, verdict);
  watch_scores(series, row.time, verdict, mark);
  record(series, request, i, mark);
}

/// How each channel of a row took part in its score, in the units of the input.
std::vector<Alert::Feature> PartitionPipeline::evidence(const Series& series,
                                                        const ScoreRequest& request,
                                                        std::size_t row, std::size_t window,
                                                        std::span<const float> residuals) const {
  const Batch& batch = request.batch;
  const Scaler& scaler = series.live.track.scaler;
  const std::vector<double> shares = series.live.track.detector.attribute(residuals);
  const auto leader =
      series.live.track.detector.leading_member(residuals, request.group->info.recalling);
  const std::size_t newest = batch.windows[window].end_row * batch.channels;
  std::vector<Alert::Feature> features;
  for (std::size_t c = 0; c < batch.channels; ++c) {
    const double raw = request.raw[row * batch.channels + c];
    if (std::isnan(raw)) continue;
    const Channel& channel = request.group->info.channels[c];
    const auto scaled = static_cast<double>(batch.rows[newest + c]);
    const auto residual =
        leader ? static_cast<double>(residuals[*leader * batch.channels + c]) : NAN;
    // A counter is shown as the rate that was judged.
    const double observed = scaler.is_counter(c) ? scaler.restore(c, scaled) : raw;
    features.push_back({channel.name, scaler.is_counter(c) ? channel.unit + "/s" : channel.unit,
                        observed, scaler.restore(c, scaled - residual), shares[c]});
  }
  return features;
}

void PartitionPipeline::publish(const Series& series, const ModelInfo& model,
                                std::optional<Alert> alert) {
  if (!alert) return;
  alert->model_kind = model.kind;
  alert->model_version = model.version;
  alert->provisional = alert->provisional || series.live.track.provisional;
  alert->input = partition_;
  counters_.incidents_opened += alert->state == AlertState::kOpen ? 1 : 0;
  alerts_.push_back(std::move(*alert));
}

void PartitionPipeline::publish_faults(const Series& series, const DataFaults::Events& events,
                                       EventTime time, Offset offset) {
  for (const DataFaults::Event& event : events) {
    Alert alert = data_fault_alert(series.id, event, time, offset);
    alert.input = partition_;
    counters_.data_faults += event.state == AlertState::kOpen ? 1 : 0;
    alerts_.push_back(std::move(alert));
  }
}

std::vector<Alert> PartitionPipeline::take_alerts() { return std::exchange(alerts_, {}); }

void PartitionPipeline::adopt_schema(const std::shared_ptr<const Schema>& schema) {
  schema_ = schema;
  place_.clear();
  for (const Channel& channel : schema->channels) {
    const auto known = std::find_if(columns_.begin(), columns_.end(),
                                    [&](const Channel& c) { return c.name == channel.name; });
    place_.push_back(static_cast<std::size_t>(known - columns_.begin()));
    if (known == columns_.end()) columns_.push_back(channel);
  }
  in_place_ = true;
  for (std::size_t c = 0; c < place_.size(); ++c) in_place_ = in_place_ && place_[c] == c;
  for (auto& [key, group] : groups_) look_up_columns(group);
}

void PartitionPipeline::look_up_columns(Group& group) {
  group.columns.clear();
  for (const Channel& channel : group.learned->info.channels) {
    const auto known = std::find_if(columns_.begin(), columns_.end(),
                                    [&](const Channel& c) { return c.name == channel.name; });
    group.columns.push_back(static_cast<std::size_t>(known - columns_.begin()));
  }
}

Readiness PartitionPipeline::readiness() const {
  Readiness all;
  for (const auto& [id, at] : index_) {
    const Series& series = series_[at];
    if (series.group != nullptr) {
      ++(series.live.track.provisional ? all.provisional : all.ready);
      all.suppressed += series.live.track.detector.suppressed_alerts();
    } else if (series.history->size() >= options_.training.rows) {
      ++all.waiting;
    } else {
      ++all.warming;
      all.warming_share +=
          static_cast<double>(series.history->size()) / static_cast<double>(options_.training.rows);
    }
  }
  if (all.warming > 0) all.warming_share /= static_cast<double>(all.warming);
  return all;
}

void PartitionPipeline::evict(Series& series) {
  if (auto alert =
          series.live.incidents.close(series.id, series.windower.last_time(), last_offset_)) {
    const ModelInfo& model = series.group->learned->info;
    publish(series, model, std::move(alert));
  }
  overdue_rows_ -= overdue_rows(series);
  hand_out_record(series);
  series = Series{};
  ++counters_.series_evicted;
}

/// Looks over all series now and then, in event time: silence, and what has been gone for long.
void PartitionPipeline::sweep() {
  next_sweep_ = watermark_ + std::min<std::chrono::milliseconds>(options_.faults.silent_after / 4,
                                                                 kLongestSweep);
  for (auto entry = index_.begin(); entry != index_.end();) {
    Series& series = series_[entry->second];
    if (quiescent() && watermark_ - series.windower.last_time() > options_.window.evict_after) {
      evict(series);
      free_slots_.push_back(entry->second);
      entry = index_.erase(entry);
      continue;
    }
    if (series.group != nullptr) {
      DataFaults::Events events;
      series.live.track.faults.on_watermark(watermark_, series.windower, options_.faults, events);
      publish_faults(series, events, watermark_, last_offset_);
      watch_governor(series);
    }
    ++entry;
  }
}

}  // namespace anomalyd::pipeline
