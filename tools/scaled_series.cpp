#include "tools/scaled_series.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace anomalyd::tools {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

void add_missing_row(ScaledSeries& series, EventTime time) {
  series.times.push_back(time);
  series.raw.insert(series.raw.end(), series.channels, kMissing);
  series.rows.insert(series.rows.end(), series.channels, NAN);
  series.inserted.push_back(1);
}

}  // namespace

std::vector<float> ScaledSeries::held() const {
  std::vector<float> result = rows;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (std::isnan(result[i])) result[i] = i >= channels ? result[i - channels] : 0.0F;
  }
  return result;
}

std::vector<std::size_t> ScaledSeries::window_ends(std::size_t window, std::size_t first,
                                                   std::size_t last, std::size_t stride) const {
  std::vector<std::size_t> ends;
  std::size_t next_end = std::max(first, window - 1);
  auto restart = restarts.begin();
  std::size_t begin = 0;  // of the stretch without a restart
  for (std::size_t end = 0; end < std::min(last, size()); ++end) {
    if (restart != restarts.end() && *restart == end) begin = *restart++;
    if (end < next_end || end + 1 < begin + window) continue;
    ends.push_back(end);
    next_end = end + stride;
  }
  return ends;
}

std::vector<std::size_t> ScaledSeries::complete(std::span<const std::size_t> ends,
                                                std::size_t window) const {
  std::vector<std::size_t> holes{0};  // missing cells before each row
  for (std::size_t i = 0; i < size(); ++i) {
    const auto row = std::span{rows}.subspan(i * channels, channels);
    holes.push_back(holes.back() + static_cast<std::size_t>(std::ranges::count_if(
                                       row, [](float cell) { return std::isnan(cell); })));
  }
  std::vector<std::size_t> result;
  for (const std::size_t end : ends) {
    if (holes[end + 1] == holes[end + 1 - window]) result.push_back(end);
  }
  return result;
}

ScaledSeries scale(const pipeline::History& history, pipeline::Scaler scaler) {
  ScaledSeries series;
  series.id = history.series;
  series.channels = history.width;
  series.period = history.windower.period();
  scaler.restart();
  std::vector<float> row(history.width);
  for (std::size_t i = 0; i < history.size(); ++i) {
    const EventTime time{std::chrono::microseconds{history.times[i]}};
    if (history.gaps[i] == pipeline::History::kRestart) {
      scaler.restart();
      series.restarts.push_back(series.size());
    } else if (i > 0) {
      const EventTime before = series.times.back();
      for (std::uint32_t k = 1; k <= history.gaps[i]; ++k) {
        add_missing_row(series, before + (time - before) * k / (history.gaps[i] + 1));
      }
    }
    const auto values = std::span{history.rows}.subspan(i * history.width, history.width);
    scaler.apply(values, history.times[i], row);
    series.times.push_back(time);
    series.raw.insert(series.raw.end(), values.begin(), values.end());
    series.rows.insert(series.rows.end(), row.begin(), row.end());
    series.inserted.push_back(0);
  }
  series.scaler = std::move(scaler);
  return series;
}

std::int64_t HeldOut::stretch(EventTime time) const {
  constexpr std::int64_t kStretches = 10;
  return kStretches * (time - first_).count() / ((last_ - first_).count() + 1);
}

bool HeldOut::contains(EventTime time) const { return stretch(time) % 3 == 2; }

std::vector<std::size_t> HeldOut::inside(const ScaledSeries& series,
                                         std::span<const std::size_t> ends,
                                         std::size_t window) const {
  std::vector<std::size_t> result;
  for (const std::size_t end : ends) {
    const EventTime first = series.times[end + 1 - window], last = series.times[end];
    if (contains(last) && stretch(first) == stretch(last)) result.push_back(end);
  }
  return result;
}

std::vector<std::size_t> HeldOut::outside(const ScaledSeries& series,
                                          std::span<const std::size_t> ends,
                                          std::size_t window) const {
  std::vector<std::size_t> result;
  for (const std::size_t end : ends) {
    // Stretches are longer than windows wherever a check has enough rows.
    if (!contains(series.times[end]) && !contains(series.times[end + 1 - window])) {
      result.push_back(end);
    }
  }
  return result;
}

pipeline::History without_held_out(const pipeline::History& history) {
  const auto time_of = [&](std::size_t i) {
    return EventTime{std::chrono::microseconds{history.times[i]}};
  };
  const HeldOut held_out{time_of(0), time_of(history.size() - 1)};
  pipeline::History rest{history.series, history.width, {}, {}, {}, {}, history.windower};
  bool seam = false;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (held_out.contains(time_of(i))) {
      seam = true;
      continue;
    }
    rest.times.push_back(history.times[i]);
    rest.offsets.push_back(history.offsets[i]);
    rest.gaps.push_back(seam ? pipeline::History::kRestart : history.gaps[i]);
    const auto row = history.rows.begin() + static_cast<std::ptrdiff_t>(i * history.width);
    rest.rows.insert(rest.rows.end(), row, row + static_cast<std::ptrdiff_t>(history.width));
    seam = false;
  }
  return rest;
}

ScaledSeries refined(const ScaledSeries& series, std::size_t factor) {
  ScaledSeries fine = series;
  fine.period = series.period / static_cast<std::int64_t>(factor);
  fine.times.clear(), fine.raw.clear(), fine.rows.clear(), fine.restarts.clear();
  fine.inserted.clear();
  for (std::size_t i = 0; i < series.size(); ++i) {
    const bool restart = std::ranges::binary_search(series.restarts, i);
    if (restart) fine.restarts.push_back(fine.size());
    if (i > 0 && !restart) {
      const EventTime before = series.times[i - 1];
      for (std::size_t k = 1; k < factor; ++k) {
        add_missing_row(fine, before + (series.times[i] - before) * k / factor);
      }
    }
    const auto at = static_cast<std::ptrdiff_t>(i * series.channels);
    const auto width = static_cast<std::ptrdiff_t>(series.channels);
    fine.times.push_back(series.times[i]);
    fine.raw.insert(fine.raw.end(), series.raw.begin() + at, series.raw.begin() + at + width);
    fine.rows.insert(fine.rows.end(), series.rows.begin() + at, series.rows.begin() + at + width);
    fine.inserted.push_back(series.inserted[i]);
  }
  return fine;
}

}  // namespace anomalyd::tools
