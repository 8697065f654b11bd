#include "daemon/pipeline/series_track.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace anomalyd::pipeline {
namespace {

// Room for so many behind the history: a fleet is many windows.
constexpr std::size_t kFreshRows = 8;

}  // namespace

NotJudged SeriesTrack::append(const Windower::Row& row, std::span<const double> raw,
                              const Windower::Options& options, std::size_t context) {
  const std::size_t channels = raw.size();
  if (row.restart) {
    filled_ = 0;
    holes_.clear();
    hole_at_ = 0;
    holes_in_window_ = 0;
    scaler.restart();
  }
  static thread_local std::vector<float> scaled;  // scratch: no allocation per row
  scaled.assign(channels, NAN);
  for (std::uint32_t i = 0; i < row.missing_before; ++i) {
    push(scaled, row.time, options.length);
  }
  scaler.apply(raw, row.time.time_since_epoch().count(), scaled);
  push(scaled, row.time, options.length);
  ++num_rows_;
  filled_ = std::min<std::uint32_t>(filled_ + row.missing_before + 1,
                                    static_cast<std::uint32_t>(context));

  if (filled_ < context) return NotJudged::kFilling;
  const auto missing = static_cast<double>(
      std::count_if(scaled.begin(), scaled.end(), [](float v) { return std::isnan(v); }));
  const double cells = static_cast<double>(channels);
  if (missing > options.max_missing * cells || missing == cells ||
      holes_in_window_ > options.max_missing * cells * static_cast<double>(holes_.size())) {
    return NotJudged::kMissing;
  }
  if (++since_judged_ < options.stride) return NotJudged::kStride;
  since_judged_ = 0;
  return NotJudged::kJudged;
}

void SeriesTrack::push(std::span<const float> scaled, EventTime time, std::size_t length) {
  const std::size_t channels = scaled.size();
  const std::size_t held = window_.size();
  window_.resize(held + channels);
  std::uint16_t missing = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const bool absent = std::isnan(scaled[c]);
    missing = static_cast<std::uint16_t>(missing + (absent ? 1 : 0));
    const float last = held >= channels ? window_[held + c - channels] : 0.0F;
    window_[held + c] = absent ? last : scaled[c];
  }
  ++num_fresh_;
  fresh_times_.push_back(time.time_since_epoch().count());
  if (holes_.size() < length) {
    holes_.push_back(missing);
  } else {
    holes_in_window_ -= holes_[hole_at_];
    holes_[hole_at_] = missing;
    hole_at_ = (hole_at_ + 1) % static_cast<std::uint32_t>(length);
  }
  holes_in_window_ += missing;
}

void SeriesTrack::flush_into(Batch& batch, std::span<const std::uint32_t> judged_rows,
                             std::size_t context) {
  const std::size_t channels = batch.channels;
  const std::size_t rows = window_.size() / channels;
  const std::size_t history = rows - num_fresh_;
  if (!judged_rows.empty()) {
    // A window that is judged is full, so its context - 1 rows of history are there.
    const std::size_t first = history + judged_rows.front() + 1 - context;
    const auto base = static_cast<std::uint32_t>(batch.num_rows());
    batch.rows.insert(batch.rows.end(),
                      window_.begin() + static_cast<std::ptrdiff_t>(first * channels),
                      window_.end());
    for (const std::uint32_t fresh : judged_rows) {
      batch.windows.push_back(
          {.end_row = static_cast<std::uint32_t>(base + history + fresh - first),
           .slot = slot,
           .memory = &memory,
           .time = fresh_times_[fresh],
           .entity = entity});
    }
  }
  const std::size_t keep = std::min(rows, context - 1);
  const auto kept = window_.end() - static_cast<std::ptrdiff_t>(keep * channels);
  if (const std::size_t room = (context + kFreshRows) * channels; window_.capacity() > room) {
    std::vector<float> smaller;
    smaller.reserve(room);
    smaller.assign(kept, window_.end());
    window_ = std::move(smaller);
  } else {
    window_.erase(window_.begin(), kept);
  }
  num_fresh_ = 0;
  fresh_times_.clear();
  if (fresh_times_.capacity() > kFreshRows) fresh_times_.shrink_to_fit();
}

Verdict SeriesTrack::judge(const ModelInfo& model, std::span<const double> raw,
                           std::span<float> residuals, std::int16_t window_class) {
  for (std::size_t c = 0; c < raw.size(); ++c) {
    if (!std::isnan(raw[c])) continue;
    for (std::size_t i = c; i < residuals.size(); i += raw.size()) residuals[i] = NAN;
  }
  Verdict verdict = detector.judge(residuals, window_class);
  verdict.window_class = window_class;
  if (model.class_name(window_class).starts_with(kBenignClass)) {  // no fault, people have said
    verdict.benign = verdict.alert;
    verdict.alert = verdict.condition = verdict.lasting = false;
  }
  return verdict;
}

void SeriesTrack::continue_from(const SeriesTrack& other, std::size_t context) {
  const std::size_t channels = scaler.num_channels();
  const bool comparable = scaler.continue_from(other.scaler);
  const std::size_t rows = comparable ? std::min(other.window_.size() / channels, context - 1) : 0;
  window_.assign(other.window_.end() - static_cast<std::ptrdiff_t>(rows * channels),
                 other.window_.end());
  for (std::size_t i = 0; i < window_.size(); ++i) {
    const std::size_t c = i % channels;
    window_[i] = scaler.rescale(c, other.scaler.restore(c, static_cast<double>(window_[i])));
  }
  filled_ = std::min(other.filled_, static_cast<std::uint32_t>(rows));
  holes_ = other.holes_;
  hole_at_ = other.hole_at_;
  holes_in_window_ = other.holes_in_window_;
  since_judged_ = other.since_judged_;
  num_rows_ = other.num_rows_;
  faults = other.faults;
  num_fresh_ = 0;
  fresh_times_.clear();
}

bool SeriesTrack::fits(const ModelInfo& model) const {
  const std::size_t channels = model.channels.size();
  const std::size_t rows = window_.size() / channels;
  return scaler.num_channels() == channels && detector.channels() == channels &&
         detector.members() == model.members.size() && faults.num_channels() == channels &&
         (detector.num_regimes() == 0 || detector.num_regimes() == model.num_regimes()) &&
         memory.fits(channels, model.code_widths) && slot <= model.slots.size() &&
         entity <= model.entities.size() && rows < model.context &&
         rows >= std::min<std::size_t>(filled_, model.context - 1);
}

void SeriesTrack::save(StateWriter& out) const {
  scaler.save(out);
  detector.save(out);
  faults.save(out);
  out.put(memory.is_fixed());
  if (!memory.is_fixed()) memory.save(out);
  out.put(slot);
  out.put(entity);
  out.put(provisional);
  out.put_all(window_);
  out.put_all(holes_);
  out.put(hole_at_);
  out.put(holes_in_window_);
  out.put(filled_);
  out.put(since_judged_);
  out.put(num_rows_);
}

bool SeriesTrack::load(StateReader& in, const Memory& group_memory) {
  num_fresh_ = 0;
  fresh_times_.clear();
  bool shared = false;
  if (!scaler.load(in) || !detector.load(in) || !faults.load(in) || !in.get(shared)) return false;
  if (shared) memory = group_memory;
  return (shared || memory.load(in)) && in.get(slot) && in.get(entity) && in.get(provisional) &&
         in.get_all(window_) && in.get_all(holes_) && in.get(hole_at_) &&
         in.get(holes_in_window_) && in.get(filled_) && in.get(since_judged_) &&
         in.get(num_rows_) && (holes_.empty() || hole_at_ < holes_.size()) &&
         scaler.num_channels() > 0 && window_.size() % scaler.num_channels() == 0;
}

}  // namespace anomalyd::pipeline
