#include "daemon/pipeline/learning.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::pipeline {
namespace {

constexpr std::uint32_t kCalibrationVersion = 4;
constexpr std::size_t kRowsPerCall = 4096;  // windows scored at once while calibrating

std::size_t rows_to_fit(std::size_t rows, double calibration_share) {
  const auto fit = static_cast<std::size_t>((1.0 - calibration_share) * static_cast<double>(rows));
  return std::min(rows, std::max<std::size_t>(16, fit));
}

/// The scaled rows of a history, with rows inserted where some were missing.
struct ScaledRows {
  std::vector<float> held;           // [n x channels]; the last value, or 0, where missing
  std::vector<bool> missing;         // [n x channels]
  std::vector<std::uint8_t> filler;  // [n]; 1 for an inserted row
  std::vector<std::int64_t> times;   // microseconds; an inserted row has that of the row behind it
  std::vector<std::int16_t> labels;  // class of each row, or -1; empty without labels
  std::vector<bool> faults;          // whether that is a fault; empty without labels
  std::vector<std::size_t> breaks;   // rows behind a gap that no window spans

  /// Whether there is a break within the window that ends at row `i`.
  [[nodiscard]] bool is_torn(std::size_t i, std::size_t context) const {
    const auto behind = std::ranges::upper_bound(breaks, i);
    return behind != breaks.begin() && i - *(behind - 1) < context - 1;
  }
  /// The first values, NaN where missing.
  [[nodiscard]] std::vector<float> observed(std::size_t count) const {
    std::vector<float> values{held.begin(), held.begin() + static_cast<std::ptrdiff_t>(count)};
    for (std::size_t i = 0; i < count; ++i) {
      if (missing[i]) values[i] = NAN;
    }
    return values;
  }
};

ScaledRows scale_rows(const History& history, Scaler& scaler) {
  ScaledRows scaled;
  const std::size_t width = history.width;
  const auto append = [&](float value) {
    const std::size_t i = scaled.held.size();
    const bool missing = std::isnan(value);
    scaled.missing.push_back(missing);
    scaled.held.push_back(!missing ? value : i >= width ? scaled.held[i - width] : 0.0F);
  };
  std::vector<float> row(width);
  for (std::size_t i = 0; i < history.size(); ++i) {
    const std::uint32_t gap = history.gaps[i];
    if (gap == History::kRestart) {
      scaler.restart();
      if (i > 0) scaled.breaks.push_back(scaled.filler.size());
    } else {
      for (std::size_t cell = 0; cell < gap * width; ++cell) append(NAN);
      scaled.filler.insert(scaled.filler.end(), gap, std::uint8_t{1});
      scaled.times.insert(scaled.times.end(), gap, history.times[i]);
    }
    scaler.apply(std::span{history.rows}.subspan(i * width, width), history.times[i], row);
    for (const float value : row) append(value);
    scaled.filler.push_back(0);
    scaled.times.push_back(history.times[i]);
  }
  return scaled;
}

/// What the model remembers of a series before its rows from `first` on are scored.
Result<Memory> memory_before(Scorer& scorer, const ScaledRows& scaled, std::size_t first,
                             std::uint32_t slot) {
  const std::size_t channels = scorer.info().channels.size();
  auto memory =
      scorer.memorize(std::span{scaled.held}.first(first * channels), slot, scaled.filler.size());
  if (!memory) return fail(std::move(memory.error()), "memorizing the rows of a series");
  return memory;
}

/// What a detector is calibrated on: [rows x members x channels] and, where the model has classes,
/// [rows].
struct CalibrationRows {
  std::vector<float> residuals;
  std::vector<std::int16_t> classes;

  void append(const CalibrationRows& more) {
    residuals.insert(residuals.end(), more.residuals.begin(), more.residuals.end());
    classes.insert(classes.end(), more.classes.begin(), more.classes.end());
  }
};

/// Which weights a model has for a series, and whether it knows it.
struct Place {
  std::uint32_t slot = 0;
  std::uint32_t entity = 0;
};

/// Residuals of the rows [first, n), which the model was not fitted to, NaN where a cell was
/// missing, the window spans a gap, or a person has found a fault. `memory` moves on with them.
/// Rows before the first one repeat it.
Result<CalibrationRows> residuals_of(Scorer& scorer, const ScaledRows& scaled, std::size_t first,
                                     Place place, Memory& memory, const std::stop_token& stop) {
  const std::size_t channels = scorer.info().channels.size();
  const std::size_t context = scorer.info().context, n = scaled.filler.size();
  CalibrationRows all;
  for (std::size_t begin = first; begin < n; begin += kRowsPerCall) {
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "training was stopped");
    const std::size_t end = std::min(n, begin + kRowsPerCall);
    Batch batch{channels, context, {}, {}};
    for (std::size_t i = 0; i < context - 1 + end - begin; ++i) {
      const std::size_t source = begin + i >= context - 1 ? begin + i + 1 - context : 0;
      const float* row = scaled.held.data() + source * channels;
      batch.rows.insert(batch.rows.end(), row, row + channels);
    }
    for (std::size_t i = begin; i < end; ++i) {
      batch.windows.push_back({.end_row = static_cast<std::uint32_t>(context - 1 + i - begin),
                               .slot = place.slot,
                               .memory = &memory,
                               .time = scaled.times[i],
                               .entity = place.entity});
    }
    auto residuals = scorer.score(batch);
    if (!residuals) return fail(std::move(residuals.error()), "scoring the calibration rows");
    const std::size_t stride = residuals->members * channels;
    for (std::size_t i = begin; i < end; ++i) {
      const bool is_fault = !scaled.faults.empty() && scaled.faults[i];
      const bool is_torn = scaled.is_torn(i, context);
      for (std::size_t j = 0; j < stride; ++j) {
        if (is_fault || is_torn || scaled.missing[i * channels + j % channels]) {
          residuals->values[(i - begin) * stride + j] = NAN;
        }
      }
    }
    all.append({std::move(residuals->values), std::move(residuals->classes)});
  }
  return all;
}

/// A track that goes on behind the last row of its history.
SeriesTrack track_behind(const History& history, const Scaler& scaler, std::size_t context,
                         const PipelineOptions& options) {
  SeriesTrack track;
  track.scaler = scaler;
  track.faults = DataFaults{history.rows, history.width, options.faults};
  Batch past{history.width, context, {}, {}};
  std::vector<std::size_t> columns(history.width);
  for (std::size_t c = 0; c < columns.size(); ++c) columns[c] = c;
  std::vector<double> values;
  const std::size_t first =
      history.size() - std::min(history.size(), context + options.window.length);
  for (std::size_t i = first; i < history.size(); ++i) {
    const Windower::Row row = history.row(i, columns, values);
    (void)track.append(row, values, options.window, context);
  }
  track.flush_into(past, {}, context);
  return track;
}

/// A history as a model takes it in.
struct Prepared {
  Scaler scaler;
  ScaledRows rows;
  std::size_t fitted = 0;  // the first so many rows fit the weights, those behind them calibrate
};

/// On the scalers of `before` where it knows a series.
std::vector<Prepared> prepare(std::span<const History> histories, const PipelineOptions& options,
                              const LearnedGroup* before) {
  const std::vector<std::string> classes = classes_of(options.training.labels);
  std::vector<Prepared> all;
  for (const History& history : histories) {
    const auto* known = before == nullptr ? nullptr : before->find(history.series);
    Scaler scaler = known == nullptr ? fit_scaler(history, options.training) : known->track.scaler;
    scaler.restart();
    ScaledRows rows = scale_rows(history, scaler);
    if (!classes.empty()) {
      rows.labels = label_rows(options.training.labels, classes, history.series, rows.times);
      for (const std::int16_t label : rows.labels) {
        rows.faults.push_back(label >= 0 &&
                              classes[static_cast<std::size_t>(label)].starts_with(kFaultClass));
      }
    }
    const std::size_t fitted = rows_to_fit(rows.filler.size(), options.training.calibration_share);
    all.push_back({std::move(scaler), std::move(rows), fitted});
  }
  return all;
}

/// What a new series starts with. Each of the first ones is taken for new in turn: scored with the
/// pooled weights and compared with windows of the others, as a new one will be.
Status pool(std::span<const History> histories, std::span<const Prepared> prepared, Scorer& scorer,
            const PipelineOptions& options, LearnedGroup& group, const std::stop_token& stop) {
  const std::size_t count = std::min(histories.size(), options.training.pooled_series);
  const std::size_t channels = scorer.info().channels.size();
  std::vector<Memory> memories;
  for (std::size_t i = 0; i < count; ++i) {
    auto memory = memory_before(scorer, prepared[i].rows, prepared[i].rows.filler.size(), 0);
    if (!memory) return Failure{std::move(memory.error())};
    memories.push_back(*std::move(memory));
  }
  CalibrationRows rows;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<Memory> others = memories;
    if (count > 1) others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    Memory memory = Memory::pooled(others, channels);
    auto one = residuals_of(scorer, prepared[i].rows, prepared[i].fitted, {}, memory, stop);
    if (!one) return Failure{std::move(one.error())};
    rows.append(*one);
  }
  group.pooled_memory = Memory::pooled(memories, channels);
  group.pooled = Detector::calibrate(
      rows.residuals, scorer.info().members.size(), channels,
      options.detector_for(histories[count - 1].windower.period(), histories.size()), rows.classes,
      scorer.info().num_regimes());
  return {};
}

/// Calibrates every series, and what new ones start with, on rows the model was not fitted to.
Result<std::shared_ptr<const LearnedGroup>> calibrate(Scorer& scorer,
                                                      std::span<const History> histories,
                                                      std::span<const Prepared> prepared,
                                                      const PipelineOptions& options,
                                                      const std::stop_token& stop) {
  auto group = std::make_shared<LearnedGroup>();
  group->info = scorer.info();
  const std::size_t members = group->info.members.size();
  const std::size_t channels = group->info.channels.size();
  for (std::size_t i = 0; i < histories.size(); ++i) {
    const auto& [scaler, scaled, fitted] = prepared[i];
    const auto place_in = [&](const std::vector<std::string>& names) {
      const auto own = std::ranges::find(names, histories[i].series);
      return own == names.end() ? 0U : static_cast<std::uint32_t>(own - names.begin() + 1);
    };
    const Place place{place_in(group->info.slots), place_in(group->info.entities)};
    auto memory = memory_before(scorer, scaled, fitted, place.slot);
    if (!memory) return Failure{std::move(memory.error())};
    auto rows = residuals_of(scorer, scaled, fitted, place, *memory, stop);
    if (!rows) return Failure{std::move(rows.error())};

    LearnedGroup::Known known{track_behind(histories[i], scaler, group->info.context, options),
                              histories[i].windower.as_of(
                                  EventTime{std::chrono::microseconds{histories[i].times.back()}})};
    known.track.slot = place.slot;
    known.track.entity = place.entity;
    known.track.memory = *std::move(memory);
    known.track.detector =
        Detector::calibrate(rows->residuals, members, channels,
                            options.detector_for(known.windower.period(), histories.size()),
                            rows->classes, group->info.num_regimes());
    if (histories.size() == 1) {
      group->pooled = known.track.detector;
      group->pooled_memory = Memory::pooled(std::span{&known.track.memory, 1}, channels);
    }
    group->series.emplace(histories[i].series, std::move(known));
  }
  if (histories.size() > 1) {
    auto pooled = pool(histories, prepared, scorer, options, *group, stop);
    if (!pooled) return Failure{std::move(pooled.error())};
  }
  return group;
}

}  // namespace

void History::reserve(std::size_t num_rows, std::size_t columns) {
  times.reserve(num_rows);
  offsets.reserve(num_rows);
  gaps.reserve(num_rows);
  rows.reserve(num_rows * columns);
}

void History::append(const Windower::Row& row) {
  if (row.values.size() > width) {  // the schema has grown: older rows get missing cells
    std::vector<double> wider;
    wider.reserve(size() * row.values.size());
    for (std::size_t i = 0; i < size(); ++i) {
      wider.insert(wider.end(), rows.begin() + static_cast<std::ptrdiff_t>(i * width),
                   rows.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
      wider.insert(wider.end(), row.values.size() - width, NAN);
    }
    rows = std::move(wider);
    width = row.values.size();
  }
  times.push_back(row.time.time_since_epoch().count());
  offsets.push_back(row.offset);
  gaps.push_back(row.restart ? kRestart : row.missing_before);
  rows.insert(rows.end(), row.values.begin(), row.values.end());
  rows.insert(rows.end(), width - row.values.size(), NAN);
}

void History::append(const History& more) {
  times.insert(times.end(), more.times.begin(), more.times.end());
  offsets.insert(offsets.end(), more.offsets.begin(), more.offsets.end());
  gaps.insert(gaps.end(), more.gaps.begin(), more.gaps.end());
  rows.insert(rows.end(), more.rows.begin(), more.rows.end());
}

Windower::Row History::row(std::size_t i, std::span<const std::size_t> columns,
                           std::vector<double>& values) const {
  values.clear();
  for (const std::size_t c : columns) values.push_back(c < width ? rows[i * width + c] : NAN);
  const bool restart = gaps[i] == kRestart;
  return {EventTime{std::chrono::microseconds{times[i]}},
          offsets[i],
          values,
          restart ? 0 : gaps[i],
          restart,
          EventTime{std::chrono::microseconds{i == 0 ? 0 : times[i - 1]}}};
}

History History::project(std::span<const std::size_t> columns, std::size_t num_rows) const {
  const std::size_t n = std::min(num_rows, size());
  History part{series, columns.size(), {}, {}, {}, {}, windower};
  const auto end = static_cast<std::ptrdiff_t>(n);
  part.times.assign(times.begin(), times.begin() + end);
  part.offsets.assign(offsets.begin(), offsets.begin() + end);
  part.gaps.assign(gaps.begin(), gaps.begin() + end);
  part.rows.reserve(n * columns.size());
  for (std::size_t i = 0; i < n; ++i) {
    for (const std::size_t c : columns) part.rows.push_back(rows[i * width + c]);
  }
  return part;
}

std::vector<std::size_t> History::active_columns(std::size_t num_rows) const {
  const std::size_t n = std::min(num_rows, size());
  std::vector<std::size_t> active;
  for (std::size_t c = 0; c < width; ++c) {
    std::size_t present = 0;
    for (std::size_t i = 0; i < n; ++i) present += std::isnan(rows[i * width + c]) ? 0U : 1U;
    if (present * 100 >= n && present > 0) active.push_back(c);
  }
  return active;
}

void History::save(StateWriter& out) const {
  out.put_text(series);
  out.put(static_cast<std::uint64_t>(width));
  out.put_all(times);
  out.put_all(offsets);
  out.put_all(gaps);
  out.put_all(rows);
  windower.save(out);
}

bool History::load(StateReader& in) {
  std::uint64_t columns = 0;
  if (!in.get_text(series) || !in.get(columns) || !in.get_all(times) || !in.get_all(offsets) ||
      !in.get_all(gaps) || !in.get_all(rows) || !windower.load(in)) {
    return false;
  }
  width = columns;
  const auto is_gap = [](std::uint32_t gap) {
    return gap == kRestart || gap <= Windower::kLongestGap;
  };
  return std::ranges::all_of(gaps, is_gap) && offsets.size() == times.size() &&
         gaps.size() == times.size() &&
         (times.empty()
              ? rows.empty()
              : width > 0 && rows.size() / width == times.size() && rows.size() % width == 0);
}

Scaler fit_scaler(const History& history, const TrainingOptions& options) {
  const auto counters =
      options.detect_counters ? Scaler::Counters::kDetect : Scaler::Counters::kIgnore;
  return Scaler::fit(history.rows, history.times, history.width, counters);
}

std::string group_key(std::span<const Channel> channels) {
  std::string key;
  for (const Channel& channel : channels) {
    if (!key.empty()) key += ',';
    key += channel.name;
  }
  return key;
}

std::vector<std::byte> LearnedGroup::calibration() const {
  StateWriter out;
  out.put(kCalibrationVersion);
  pooled.save(out);
  pooled_memory.save(out);
  out.put(static_cast<std::uint64_t>(series.size()));
  for (const auto& [id, known] : series) {
    out.put_text(id);
    known.windower.save(out);
    known.track.save(out);
  }
  return std::move(out).take();
}

Result<std::shared_ptr<const LearnedGroup>> LearnedGroup::from_calibration(
    ModelInfo info, std::span<const std::byte> bytes) {
  StateReader in{bytes};
  std::uint32_t version = 0;
  if (!in.get(version) || version != kCalibrationVersion) {
    return fail(ErrorKind::kIncompatible, "calibration of the model: found format version " +
                                              std::to_string(version) + "; expected " +
                                              std::to_string(kCalibrationVersion));
  }
  auto group = std::make_shared<LearnedGroup>();
  std::uint64_t size = 0;
  bool ok = group->pooled.load(in) && group->pooled_memory.load(in) && in.get(size) &&
            group->pooled_memory.fits(info.channels.size(), info.code_widths) &&
            group->pooled.channels() == info.channels.size() &&
            group->pooled.members() == info.members.size() &&
            (group->pooled.num_regimes() == 0 || group->pooled.num_regimes() == info.num_regimes());
  for (std::uint64_t i = 0; ok && i < size; ++i) {
    std::string id;
    Known known;
    ok = in.get_text(id) && known.windower.load(in) && known.track.load(in, group->pooled_memory) &&
         known.track.fits(info);
    if (ok) group->series.emplace(std::move(id), std::move(known));
  }
  if (!ok || !in.at_end()) {
    return fail(ErrorKind::kIncompatible,
                "calibration of the model: the bytes are damaged; "
                "expected " +
                    std::to_string(size) + " series of " + std::to_string(info.channels.size()) +
                    " channels");
  }
  group->info = std::move(info);
  return group;
}

Result<std::shared_ptr<const LearnedGroup>> calibrate(Scorer& scorer,
                                                      std::span<const History> histories,
                                                      const PipelineOptions& options,
                                                      const LearnedGroup* before,
                                                      std::stop_token stop) {
  return calibrate(scorer, histories, prepare(histories, options, before), options, stop);
}

Result<Learned> learn(std::span<const History> histories, const std::vector<Channel>& channels,
                      ModelFactory& factory, const PipelineOptions& options,
                      const ProgressFn& progress, std::stop_token stop, const Scorer* start) {
  TrainingSet set{channels, {}, classes_of(options.training.labels), start};
  const std::vector<Prepared> prepared = prepare(histories, options, nullptr);
  for (std::size_t i = 0; i < histories.size(); ++i) {
    const auto& [scaler, rows, fitted] = prepared[i];
    const auto first = [count = fitted](const auto& values) {
      using Values = std::decay_t<decltype(values)>;
      return Values(values.begin(),
                    values.begin() + static_cast<std::ptrdiff_t>(std::min(count, values.size())));
    };
    std::vector<std::size_t> breaks = rows.breaks;
    std::erase_if(breaks, [count = fitted](std::size_t row) { return row >= count; });
    set.series.push_back({histories[i].series, rows.observed(fitted * channels.size()),
                          first(rows.times), first(rows.labels), std::move(breaks)});
  }

  Learned learned;
  auto scorer = factory.train(set, progress, stop, learned.report);
  if (!scorer) return Failure{std::move(scorer.error())};
  set = {};
  learned.scorer = std::move(*scorer);
  auto group = calibrate(*learned.scorer, histories, prepared, options, stop);
  if (!group) return Failure{std::move(group.error())};
  learned.group = *std::move(group);
  return learned;
}

}  // namespace anomalyd::pipeline
