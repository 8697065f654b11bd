#include "daemon/pipeline/data_faults.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::pipeline {
namespace {

std::int64_t micros(EventTime time) { return time.time_since_epoch().count(); }
EventTime at(std::int64_t micros) { return EventTime{std::chrono::microseconds{micros}}; }

/// The longest run of one value in column `c`, and the number of runs.
std::pair<std::uint32_t, std::uint32_t> longest_rest(std::span<const double> rows,
                                                     std::size_t channels, std::size_t c) {
  std::uint32_t longest = 0, rest = 0, runs = 0;
  double value = std::nan("");
  for (std::size_t i = c; i < rows.size(); i += channels) {
    if (std::isnan(rows[i])) continue;
    rest = rows[i] == value ? rest + 1 : 0;
    runs += rest == 0 ? 1 : 0;
    value = rows[i];
    longest = std::max(longest, rest);
  }
  return {longest, runs};
}

}  // namespace

DataFaults::DataFaults(std::span<const double> rows, std::size_t channels, const Options& options)
    : channels_(channels) {
  const std::size_t num_rows = channels == 0 ? 0 : rows.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto [longest, runs] = longest_rest(rows, channels, c);
    // A channel that moves less than once in ten rows rests by nature.
    const bool lively = runs * 10 >= num_rows && num_rows > 0;
    channels_[c].limit =
        lively ? std::max(static_cast<std::uint32_t>(options.stuck_rows), 4 * longest) : 0;
  }
}

void DataFaults::on_row(const Windower::Row& row, std::span<const double> values,
                        std::span<const Channel> channels, const Options& options, Events& events) {
  if (!options.enabled) return;
  late_run_ = 0;
  if (skewed_since_ != 0) {
    events.push_back({AlertType::kClockSkew, AlertState::kResolve, at(skewed_since_),
                      "event times move forward again"});
    skewed_since_ = 0;
  }
  if (silent_since_ != 0) {
    events.push_back(
        {AlertType::kSilentSeries, AlertState::kResolve, at(silent_since_), "rows come again"});
    silent_since_ = 0;
  } else if (row.restart) {
    const auto seconds = std::chrono::duration<double>(row.time - row.previous).count();
    std::string detail = "no rows for " + std::to_string(std::llround(seconds)) + " s";
    events.push_back({AlertType::kGap, AlertState::kOpen, row.previous, detail});
    events.push_back({AlertType::kGap, AlertState::kResolve, row.previous, std::move(detail)});
  }
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    const bool missing = std::isnan(values[c]);
    watch_absence(channels_[c], missing, channels[c].name, row.time, options, events);
    if (!missing) watch_rest(channels_[c], values[c], channels[c].name, row.time, events);
  }
}

void DataFaults::watch_rest(PerChannel& channel, double value, const std::string& name,
                            EventTime time, Events& events) {
  if (value != channel.value) {
    if (channel.stuck != 0) {
      events.push_back({AlertType::kStuckSensor, AlertState::kResolve, at(channel.since),
                        name + " moves again"});
    }
    channel.value = value;
    channel.rest = 0;
    channel.stuck = 0;
    if (channel.absent == 0) channel.since = micros(time);
    return;
  }
  ++channel.rest;
  if (channel.limit == 0 || channel.stuck != 0 || channel.rest <= channel.limit) return;
  channel.stuck = 1;
  events.push_back({AlertType::kStuckSensor, AlertState::kOpen, at(channel.since),
                    name + " has not moved for " + std::to_string(channel.rest) + " rows"});
}

void DataFaults::watch_absence(PerChannel& channel, bool missing, const std::string& name,
                               EventTime time, const Options& options, Events& events) {
  if (!missing) {
    if (channel.gone != 0) {
      events.push_back({AlertType::kChangedChannels, AlertState::kResolve, at(channel.since),
                        name + " is back"});
    }
    channel.gone = 0;
    channel.absent = 0;
    return;
  }
  if (channel.absent++ == 0) channel.since = micros(time);
  if (channel.gone != 0 || channel.absent <= options.absent_rows) return;
  channel.gone = 1;
  channel.stuck = 0;
  events.push_back({AlertType::kChangedChannels, AlertState::kOpen, at(channel.since),
                    name + " has been missing for " + std::to_string(channel.absent) + " rows"});
}

void DataFaults::on_late(EventTime time, EventTime newest, const Options& options, Events& events) {
  if (!options.enabled || ++late_run_ != options.skewed_samples || skewed_since_ != 0) return;
  skewed_since_ = micros(newest);
  const auto behind = std::chrono::duration_cast<std::chrono::seconds>(newest - time).count();
  events.push_back({AlertType::kClockSkew, AlertState::kOpen, newest,
                    std::to_string(late_run_) +
                        " samples in a row are older than the newest row, "
                        "the last by " +
                        std::to_string(behind) + " s: was a clock set back?"});
}

void DataFaults::on_watermark(EventTime watermark, const Windower& windower, const Options& options,
                              Events& events) {
  if (!options.enabled || silent_since_ != 0 || windower.period().count() == 0) return;
  const auto limit =
      std::max<std::chrono::microseconds>(options.silent_after, 10 * windower.period());
  if (watermark - windower.last_time() <= limit) return;
  silent_since_ = micros(windower.last_time());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
  events.push_back({AlertType::kSilentSeries, AlertState::kOpen, windower.last_time(),
                    "no rows for more than " + std::to_string(seconds) + " s"});
}

void DataFaults::on_unknown_channel(const std::string& name, EventTime time, const Options& options,
                                    Events& events) {
  if (!options.enabled || ++unknown_run_ != options.absent_rows) return;
  const std::string detail = name + " is new and not part of the model; retrain to include it";
  events.push_back({AlertType::kChangedChannels, AlertState::kOpen, time, detail});
  events.push_back({AlertType::kChangedChannels, AlertState::kResolve, time, detail});
}

bool DataFaults::is_open() const noexcept {
  return skewed_since_ != 0 || std::ranges::any_of(channels_, [](const PerChannel& channel) {
           return channel.stuck != 0 || channel.gone != 0;
         });
}

bool DataFaults::lacks_channel() const noexcept {
  return std::ranges::any_of(channels_, [](const PerChannel& c) { return c.gone != 0; });
}

void DataFaults::save(StateWriter& out) const {
  out.put_all(channels_);
  out.put(late_run_);
  out.put(unknown_run_);
  out.put(skewed_since_);
  out.put(silent_since_);
}

bool DataFaults::load(StateReader& in) {
  return in.get_all(channels_) && in.get(late_run_) && in.get(unknown_run_) &&
         in.get(skewed_since_) && in.get(silent_since_);
}

}  // namespace anomalyd::pipeline
