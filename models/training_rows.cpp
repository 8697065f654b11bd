
#include <algorithm>
#include <cmath>
#include <span>

#include "models/tensor_torch.hpp"
#include "models/training_rows_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr double kValidationShare = 0.25;

std::size_t total_rows(const TrainingSet& set) {
  std::size_t cells = 0;
  for (const auto& series : set.series) cells += series.rows.size();
  return cells / set.channels.size();
}

// Copies one series. A missing cell takes the last value of its channel, 0 before the first.
void hold_last(const std::vector<float>& rows, std::size_t channels, float* values) {
  std::vector<float> last(channels, 0.0F);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    float& held = last[i % channels];
    if (std::isfinite(rows[i])) held = rows[i];
    values[i] = held;
  }
}

bool is_complete(const TrainingSet& set) {
  return std::ranges::all_of(set.series, [](const auto& series) {
    return std::ranges::all_of(series.rows, [](float cell) { return std::isfinite(cell); });
  });
}

// [rows, channels]: 1 where a cell was observed.
at::Tensor observed_cells(const TrainingSet& set, const at::Tensor& values) {
  at::Tensor observed = at::empty_like(values);
  float* out = observed.data_ptr<float>();
  for (const auto& series : set.series) {
    for (const float cell : series.rows) *out++ = std::isfinite(cell) ? 1.0F : 0.0F;
  }
  return observed;
}

// [rows]: the class of each row, -1 without one.
at::Tensor labels_of(const TrainingSet& set, std::int64_t num_rows) {
  at::Tensor labels = at::full({num_rows}, -1, at::kLong);
  auto* out = labels.data_ptr<std::int64_t>();
  for (const auto& series : set.series) {
    std::ranges::copy(series.labels, out);
    out += series.rows.size() / set.channels.size();
  }
  return labels;
}

// The parts of a series, rows [begin, end) of all, in which each row follows on the one before.
std::vector<TrainingRows::Segment> segments_of(const TrainingSet::Series& series, std::size_t begin,
                                               std::size_t end) {
  std::vector<TrainingRows::Segment> segments;
  std::size_t from = begin;
  const auto cut = [&](std::size_t to) {
    segments.push_back({static_cast<std::int64_t>(from), static_cast<std::int64_t>(to)});
    from = to;
  };
  for (const std::size_t row : series.breaks) cut(begin + row);
  cut(end);
  return segments;
}

at::Tensor concatenated(const std::vector<at::Tensor>& parts) {
  return parts.empty() ? at::empty({0}, at::kLong) : at::cat(parts);
}

}  // namespace

std::int64_t TrainingRows::longest(std::int64_t slot) const {
  std::int64_t rows = 0;
  for (const Segment& segment : slots.at(static_cast<std::size_t>(slot))) {
    rows = std::max(rows, segment.size());
  }
  return rows;
}

at::Tensor TrainingRows::window_ends(std::int64_t slot, std::int64_t context) const {
  std::vector<at::Tensor> parts;
  for (const Segment& segment : slots.at(static_cast<std::size_t>(slot))) {
    if (segment.size() < context) continue;
    parts.push_back(at::arange(segment.begin + context - 1, segment.end, at::kLong));
  }
  return concatenated(parts);
}

TrainingRows make_training_rows(const TrainingSet& set, const std::vector<std::size_t>& own_slots,
                                std::string_view device) {
  const std::size_t channels = set.channels.size();
  const auto num_rows = static_cast<std::int64_t>(total_rows(set));
  TrainingRows result;
  result.values = at::empty({num_rows, static_cast<std::int64_t>(channels)});
  std::vector<std::vector<TrainingRows::Segment>> segments;  // of each series
  std::size_t cell = 0;
  for (const auto& series : set.series) {
    hold_last(series.rows, channels, result.values.data_ptr<float>() + cell);
    const std::size_t end = cell + series.rows.size();
    segments.push_back(segments_of(series, cell / channels, end / channels));
    cell = end;
    result.times.insert(result.times.end(), series.times.begin(), series.times.end());
    result.times.resize(end / channels, 0);
    result.entities.resize(end / channels, static_cast<std::uint32_t>(segments.size()));
  }
  result.slots.resize(1 + own_slots.size());
  for (const auto& own : segments) {
    result.slots[0].insert(result.slots[0].end(), own.begin(), own.end());
  }
  for (std::size_t i = 0; i < own_slots.size(); ++i) {
    result.slots[i + 1] = segments[own_slots[i]];
  }
  const at::Device target{std::string{device}};
  if (!is_complete(set)) result.observed = observed_cells(set, result.values).to(target);
  if (!set.classes.empty()) result.labels = labels_of(set, num_rows).to(target);
  result.values = result.values.to(target);
  return result;
}

EndSplit split_in_time(const TrainingRows& rows, std::int64_t slot, std::int64_t window) {
  std::vector<at::Tensor> fit;
  std::vector<at::Tensor> validation;
  for (const auto& segment : rows.slots.at(static_cast<std::size_t>(slot))) {
    const auto kept_out =
        static_cast<std::int64_t>(kValidationShare * static_cast<double>(segment.size()));
    const std::int64_t split = segment.end - kept_out;
    if (split - segment.begin < window) continue;
    fit.push_back(at::arange(segment.begin + window - 1, split, at::kLong));
    const std::int64_t apart = std::min(window - 1, kept_out / 2);  // overlap only if we must
    validation.push_back(at::arange(split + apart, segment.end, at::kLong));
  }
  EndSplit result{concatenated(fit), concatenated(validation)};
  if (result.fit.size(0) == 0) result.fit = rows.window_ends(slot, window);
  if (result.validation.size(0) == 0) result.validation = result.fit;
  return result;
}

at::Tensor thin_out(const at::Tensor& ends, std::int64_t max_count) {
  const std::int64_t count = ends.size(0);
  if (count <= max_count) return ends;
  const at::Tensor picks = at::arange(max_count, at::kLong) * count;
  return ends.index_select(0, picks.floor_divide(max_count));
}

at::Tensor conditions_at(const TrainingRows& rows, const Conditions& conditions,
                         const at::Tensor& ends) {
  if (conditions.width() == 0) return {};
  const at::Tensor flat = ends.flatten();
  const at::Tensor newest = rows.values.index_select(0, flat).cpu();
  const at::Tensor indices = flat.cpu();
  const auto channels = static_cast<std::size_t>(rows.channels());
  const std::span cells{newest.data_ptr<float>(), static_cast<std::size_t>(newest.numel())};
  std::vector<float> values;
  for (std::size_t i = 0; i < cells.size() / channels; ++i) {
    const auto row = static_cast<std::size_t>(indices.data_ptr<std::int64_t>()[i]);
    conditions.append(rows.times[row], rows.entities[row], cells.subspan(i * channels, channels),
                      values);
  }
  std::vector<std::int64_t> sizes = ends.sizes().vec();
  sizes.push_back(conditions.width());
  return at::tensor(values).view(sizes).to(rows.values.device());
}

std::int64_t windows_at_once(std::int64_t cells) {
  constexpr std::int64_t kMostCells = std::int64_t{1} << 24;  // 64 MB
  return std::max<std::int64_t>(1, kMostCells / cells);
}

at::Tensor gather(const at::Tensor& rows, const at::Tensor& ends,
                  const std::vector<std::int64_t>& lags) {
  const at::Tensor offsets = at::tensor(lags, at::kLong).to(ends.device());
  const at::Tensor index = (ends.unsqueeze(-1) - offsets).flatten();
  std::vector<std::int64_t> shape = ends.sizes().vec();
  shape.push_back(static_cast<std::int64_t>(lags.size()) * rows.size(1));
  return rows.index_select(0, index).view(shape);
}

std::vector<std::int64_t> window_lags(std::int64_t window) {
  std::vector<std::int64_t> lags;
  for (std::int64_t lag = window - 1; lag >= 0; --lag) lags.push_back(lag);
  return lags;
}

std::int64_t fit_window(std::int64_t window, std::int64_t rows) {
  while (window > 8 && rows < 4 * window) window /= 2;
  return window;
}

}  // namespace anomalyd::models
