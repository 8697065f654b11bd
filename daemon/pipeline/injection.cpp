#include "daemon/pipeline/injection.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace anomalyd::pipeline {
namespace {

// Sizes, in scales of the channel, around what the default model finds half of.
struct Shape {
  std::size_t least_rows;
  std::size_t most_rows;
  double least_size;
  double most_size;
};
constexpr Shape shape_of(FaultType type) {
  switch (type) {
    case FaultType::kSpike: return {1, 3, 0.5, 5};
    case FaultType::kLevel: return {16, 40, 0.25, 3};
    case FaultType::kDrift: return {32, 48, 0.5, 4};
    case FaultType::kStuck: return {24, 40, 0, 0};
    case FaultType::kNoise: return {16, 32, 0.25, 2.5};
    case FaultType::kSwappedChannels:
    case FaultType::kBrokenCoupling: break;
  }
  return {16, 32, 0, 0};
}

/// Random numbers that are the same with every standard library: SplitMix64 (Steele, Lea and Flood,
/// 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  /// In (0, 1).
  double uniform() { return (static_cast<double>(next() >> 11U) + 0.5) * 0x1p-53; }
  /// In [0, count), for count > 0.
  std::size_t below(std::size_t count) { return next() % count; }
  double normal() {
    return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t state_;
};

/// One column of a history, as the values that a model sees: rates for a counter.
class Column {
 public:
  Column(History& rows, const Scaler& scaler, std::size_t channel)
      : rows_{rows}, channel_{channel}, counter_{scaler.is_counter(channel)} {
    centre_ = scaler.restore(channel, 0);
    scale_ = scaler.restore(channel, 1) - centre_;
  }
  [[nodiscard]] double scale() const noexcept { return scale_; }

  /// Rows [first, first + count), NaN where missing. first >= 1.
  [[nodiscard]] std::vector<double> read(std::size_t first, std::size_t count) const {
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = counter_ ? step(first + i) / seconds(first + i) : cell(first + i);
    }
    return values;
  }
  /// Replaces them; NaN leaves a cell as it is. A counter never falls, and all behind it keeps what
  /// has been added.
  void write(std::size_t first, const std::vector<double>& values) {
    if (!counter_) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        double& value = cell(first + i);
        if (!std::isnan(value) && !std::isnan(values[i])) value = values[i];
      }
      return;
    }
    std::vector<double> steps(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      steps[i] = std::isnan(values[i])
                     ? 0
                     : std::max(0.0, values[i]) * seconds(first + i) - step(first + i);
    }
    double added = 0;
    for (std::size_t i = first; i < rows_.size(); ++i) {
      if (i - first < steps.size() && !std::isnan(steps[i - first])) added += steps[i - first];
      cell(i) += added;
    }
  }
  /// In units of its scale.
  [[nodiscard]] double standardised(double value) const { return (value - centre_) / scale_; }
  [[nodiscard]] double restored(double value) const { return centre_ + value * scale_; }

 private:
  [[nodiscard]] double& cell(std::size_t row) const {
    return rows_.rows[row * rows_.width + channel_];
  }
  [[nodiscard]] double step(std::size_t row) const { return cell(row) - cell(row - 1); }
  [[nodiscard]] double seconds(std::size_t row) const {
    return std::max(1e-6, static_cast<double>(rows_.times[row] - rows_.times[row - 1]) * 1e-6);
  }

  History& rows_;
  std::size_t channel_;
  bool counter_;
  double centre_ = 0;
  double scale_ = 1;
};

/// The share of rows in [first, end) in which a column differs from the row before.
double liveliness(const History& rows, std::size_t channel, std::size_t first, std::size_t end) {
  std::size_t moves = 0;
  for (std::size_t i = std::max<std::size_t>(first, 1); i < end; ++i) {
    const double now = rows.rows[i * rows.width + channel];
    const double before = rows.rows[(i - 1) * rows.width + channel];
    moves += !std::isnan(now) && !std::isnan(before) && now != before ? 1 : 0;
  }
  return static_cast<double>(moves) / static_cast<double>(std::max<std::size_t>(1, end - first));
}

/// Rows [first, end) are there without a restart of the window among them.
bool connected(const History& rows, std::size_t first, std::size_t end) {
  const auto gaps = std::span{rows.gaps}.subspan(first, end - first);
  return std::ranges::find(gaps, History::kRestart) == gaps.end();
}

}  // namespace

std::string_view to_string(FaultType type) {
  switch (type) {
    case FaultType::kSpike: return "spike";
    case FaultType::kLevel: return "level";
    case FaultType::kDrift: return "drift";
    case FaultType::kStuck: return "stuck";
    case FaultType::kNoise: return "noise";
    case FaultType::kSwappedChannels: return "swapped_channels";
    case FaultType::kBrokenCoupling: return "broken_coupling";
  }
  return "";
}

void inject(History& rows, const InjectedFault& fault, const Scaler& scaler) {
  Column column{rows, scaler, fault.channel};
  std::vector<double> values = column.read(fault.first, fault.count);
  const double offset = fault.size * column.scale();
  Random random{fault.seed};
  switch (fault.type) {
    case FaultType::kSpike:
    case FaultType::kLevel:
      for (double& value : values) value += offset;
      break;
    case FaultType::kDrift:
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] += offset * static_cast<double>(i + 1) / static_cast<double>(values.size());
      }
      break;
    case FaultType::kStuck: {
      // A stuck counter does not grow; any other channel keeps the value it had.
      const double last = scaler.is_counter(fault.channel) ? 0 : column.read(fault.first - 1, 1)[0];
      const double value = std::isnan(last) ? values[0] : last;
      std::ranges::fill(values, value);
      break;
    }
    case FaultType::kNoise:
      for (double& value : values) value += offset * random.normal();
      break;
    case FaultType::kSwappedChannels: {
      Column other{rows, scaler, fault.other};
      std::vector<double> others = other.read(fault.first, fault.count);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double taken = column.restored(other.standardised(others[i]));
        others[i] = other.restored(column.standardised(values[i]));
        values[i] = taken;
      }
      other.write(fault.first, others);
      break;
    }
    case FaultType::kBrokenCoupling: values = column.read(fault.source, fault.count); break;
  }
  column.write(fault.first, values);
}

std::optional<InjectedFault> draw_fault(FaultType type, const History& rows, const Scaler& scaler,
                                        std::size_t first, std::size_t end, std::uint64_t seed) {
  Random random{seed};
  end = std::min(end, rows.size());
  if (first < 2 || first >= end) return std::nullopt;
  const Shape shape = shape_of(type);
  const std::size_t room = end - first;
  if (room < shape.least_rows || !connected(rows, first - 1, end)) return std::nullopt;
  const std::size_t most = std::min(shape.most_rows, room);

  InjectedFault fault{.type = type, .first = first, .seed = random.next()};
  fault.count = shape.least_rows + random.below(most - shape.least_rows + 1);
  const double log_size = std::log(std::max(shape.least_size, 1e-9));
  const double sign = random.uniform() < 0.5 ? -1 : 1;
  if (shape.most_size > 0) {
    fault.size =
        sign * std::exp(log_size + random.uniform() * (std::log(shape.most_size) - log_size));
  }

  // A channel that rests cannot get stuck, and has no course that another could take.
  const bool must_move = type == FaultType::kStuck || needs_two_channels(type);
  std::vector<std::size_t> channels;
  for (std::size_t c = 0; c < scaler.num_channels(); ++c) {
    const bool lively = liveliness(rows, c, first - 1, fault.end()) >= 0.5;
    if (lively || (!must_move && liveliness(rows, c, 1, rows.size()) > 0)) channels.push_back(c);
  }
  if (channels.empty() || (needs_two_channels(type) && scaler.num_channels() < 2)) {
    return std::nullopt;
  }
  const std::size_t place = random.below(channels.size());
  fault.channel = channels[place];
  if (type == FaultType::kSwappedChannels) {
    if (channels.size() < 2) return std::nullopt;
    fault.other = channels[(place + 1 + random.below(channels.size() - 1)) % channels.size()];
  }
  if (type == FaultType::kBrokenCoupling) {
    // From before or behind the fault, wherever there is room for it.
    const std::size_t before = first > fault.count ? first - fault.count : 0;  // sources 1..before
    const std::size_t behind = rows.size() > fault.end() + fault.count
                                   ? rows.size() - fault.end() - fault.count
                                   : 0;  // sources from end() on
    if (before + behind == 0) return std::nullopt;
    const std::size_t at = random.below(before + behind);
    fault.source = at < before ? at + 1 : fault.end() + at - before;
    if (!connected(rows, fault.source, fault.source + fault.count)) return std::nullopt;
  }
  return fault;
}

}  // namespace anomalyd::pipeline
