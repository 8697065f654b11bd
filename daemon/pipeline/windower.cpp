#include "daemon/pipeline/windower.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::pipeline {
namespace {

constexpr std::size_t kRowsToInferPeriod = 32;
constexpr std::int64_t kLastTime = std::int64_t{1} << 60;  // microseconds; sums stay in range

std::size_t count_cells(std::span<const double> values) {
  return static_cast<std::size_t>(
      std::count_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); }));
}

}  // namespace

Windower::Outcome Windower::add(const Sample& sample, const Options& options,
                                const RowFn& release) {
  if (started_ && sample.time <= last_time_) {
    return sample.time == last_time_ ? Outcome::kDuplicate : Outcome::kLate;
  }
  const bool in_order = waiting_.empty() && options.grace.count() == 0;
  if (in_order && options.shape == RowShape::kWhole) {
    newest_ = sample.time;
    emit(sample.time, sample.offset, sample.values, options, release);
    return Outcome::kKept;
  }

  auto place = std::lower_bound(waiting_.begin(), waiting_.end(), sample.time,
                                [](const Waiting& row, EventTime time) { return row.time < time; });
  if (place == waiting_.end() || place->time != sample.time) {
    waiting_.insert(place, {sample.time, sample.offset,
                            std::vector<double>(sample.values.begin(), sample.values.end()),
                            count_cells(sample.values)});
  } else {
    if (options.shape == RowShape::kWhole) return Outcome::kDuplicate;
    place->values.resize(std::max(place->values.size(), sample.values.size()), NAN);
    bool new_cell = false;
    for (std::size_t c = 0; c < sample.values.size(); ++c) {
      if (std::isnan(sample.values[c]) || !std::isnan(place->values[c])) continue;
      place->values[c] = sample.values[c];
      ++place->filled;
      new_cell = true;
    }
    place->offset = std::max(place->offset, sample.offset);
    if (!new_cell) return Outcome::kDuplicate;
  }
  newest_ = std::max(newest_, sample.time);
  release_due(options, release, false);
  return Outcome::kKept;
}

void Windower::flush(const Options& options, const RowFn& release) {
  release_due(options, release, true);
}

Windower Windower::as_of(EventTime time) const {
  Windower then = *this;
  then.last_time_ = then.newest_ = time;
  then.waiting_.clear();
  return then;
}

Windower Windower::behind(std::span<const std::int64_t> times, const Options& options) {
  Windower windower;
  for (const std::int64_t time : times) {
    windower.emit(EventTime{EventTime::duration{time}}, 0, {}, options, [](const Row&) {});
  }
  if (!times.empty()) windower.newest_ = windower.last_time_;
  return windower;
}

void Windower::skip_to(EventTime time) {
  last_time_ = std::max(last_time_, time);
  newest_ = std::max(newest_, time);
  std::erase_if(waiting_, [&](const Waiting& row) { return row.time <= last_time_; });
}

void Windower::release_due(const Options& options, const RowFn& release, bool all) {
  while (!waiting_.empty()) {
    Waiting& row = waiting_.front();
    const bool whole = options.shape == RowShape::kWhole || row.time < newest_ ||
                       (usual_cells_ > 0 && row.filled >= usual_cells_);
    if (!all && (newest_ - row.time < options.grace || !whole)) return;
    const Waiting due = std::move(row);
    waiting_.erase(waiting_.begin());
    usual_cells_ = due.filled;
    emit(due.time, due.offset, due.values, options, release);
  }
}

void Windower::emit(EventTime time, Offset offset, std::span<const double> values,
                    const Options& options, const RowFn& release) {
  Row row{time, offset, values, 0, false, last_time_};
  if (started_) {
    const auto delta = time - last_time_;
    if (period_.count() == 0) {
      if (options.period.count() > 0)
        period_ = options.period;
      else
        learn_period(delta);
    }
    if (regular_ && period_.count() > 0 && 2 * delta > 3 * period_) {
      const auto steps = (delta + period_ / 2) / period_;  // rounded
      row.restart = steps - 1 > static_cast<std::int64_t>(options.max_gap);
      row.missing_before = row.restart ? 0 : static_cast<std::uint32_t>(steps - 1);
    }
  }
  started_ = true;
  last_time_ = time;
  release(row);
}

void Windower::learn_period(std::chrono::microseconds delta) {
  deltas_.push_back(delta.count());
  if (deltas_.size() < kRowsToInferPeriod) return;
  const auto middle = deltas_.begin() + static_cast<std::ptrdiff_t>(deltas_.size() / 2);
  std::nth_element(deltas_.begin(), middle, deltas_.end());
  period_ = std::chrono::microseconds{std::max<std::int64_t>(*middle, 1)};
  const auto longer = std::count_if(deltas_.begin(), deltas_.end(), [this](std::int64_t step) {
    return 2 * step > 3 * period_.count();
  });
  regular_ = static_cast<std::size_t>(longer) * 10 < deltas_.size();
  deltas_.clear();
  deltas_.shrink_to_fit();
}

void Windower::save(StateWriter& out) const {
  out.put(period_.count());
  out.put(last_time_.time_since_epoch().count());
  out.put(newest_.time_since_epoch().count());
  out.put(started_);
  out.put(regular_);
  out.put(static_cast<std::uint64_t>(usual_cells_));
  out.put_all(deltas_);
  out.put(static_cast<std::uint64_t>(waiting_.size()));
  for (const Waiting& row : waiting_) {
    out.put(row.time.time_since_epoch().count());
    out.put(row.offset);
    out.put_all(row.values);
  }
}

bool Windower::load(StateReader& in) {
  const auto is_time = [](std::int64_t t) { return t > -kLastTime && t < kLastTime; };
  std::int64_t period = 0, last = 0, newest = 0;
  std::uint64_t usual = 0, size = 0;
  if (!in.get(period) || !in.get(last) || !in.get(newest) || !in.get(started_) ||
      !in.get(regular_) || !in.get(usual) || !in.get_all(deltas_) || !in.get(size) || period < 0 ||
      !is_time(period) || !is_time(last) || !is_time(newest) ||
      !std::ranges::all_of(deltas_, is_time) || deltas_.size() >= kRowsToInferPeriod) {
    return false;
  }
  period_ = std::chrono::microseconds{period};
  last_time_ = EventTime{std::chrono::microseconds{last}};
  newest_ = EventTime{std::chrono::microseconds{newest}};
  usual_cells_ = usual;
  waiting_.clear();
  for (std::uint64_t i = 0; i < size; ++i) {
    Waiting row{};
    std::int64_t time = 0;
    if (!in.get(time) || !in.get(row.offset) || !in.get_all(row.values)) return false;
    if (!is_time(time)) return false;
    row.time = EventTime{std::chrono::microseconds{time}};
    row.filled = count_cells(row.values);
    waiting_.push_back(std::move(row));
  }
  return true;
}

}  // namespace anomalyd::pipeline
