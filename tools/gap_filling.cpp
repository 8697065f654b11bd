#include "tools/gap_filling.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::tools {
namespace {

constexpr std::size_t kWindowsAtOnce = 4096;

/// The values of a channel: where and what.
struct Knots {
  std::vector<std::size_t> at;
  std::vector<double> value;
};

Knots knots_of(const GappyRows& rows, std::size_t channel) {
  Knots knots;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float cell = rows.cells[i * rows.channels + channel];
    if (std::isnan(cell)) continue;
    knots.at.push_back(i);
    knots.value.push_back(static_cast<double>(cell));
  }
  return knots;
}

/// Second derivatives of the natural cubic spline through the knots: a tridiagonal system.
std::vector<double> curvatures(const Knots& knots) {
  const std::size_t n = knots.at.size();
  std::vector<double> result(n, 0.0), above(n, 0.0);
  const auto width = [&](std::size_t i) {
    return static_cast<double>(knots.at[i + 1] - knots.at[i]);
  };
  for (std::size_t i = 1; i + 1 < n; ++i) {
    const double right = (knots.value[i + 1] - knots.value[i]) / width(i);
    const double left = (knots.value[i] - knots.value[i - 1]) / width(i - 1);
    const double pivot = 2 * (width(i - 1) + width(i)) - width(i - 1) * above[i - 1];
    above[i] = width(i) / pivot;
    result[i] = (6 * (right - left) - width(i - 1) * result[i - 1]) / pivot;
  }
  for (std::size_t i = n - 1; i-- > 1;) result[i] -= above[i] * result[i + 1];
  return result;
}

/// `bend` are curvatures at the knots, or none for lines.
void interpolate(const Knots& knots, const std::vector<double>& bend, std::size_t channel,
                 std::size_t channels, std::vector<float>& cells) {
  std::size_t next = 0;  // the first knot at or behind the row
  for (std::size_t i = 0; i < cells.size() / channels; ++i) {
    while (next < knots.at.size() && knots.at[next] < i) ++next;
    float& cell = cells[i * channels + channel];
    if (!std::isnan(cell)) continue;
    if (knots.at.empty()) {
      cell = 0;
    } else if (next == 0 || next == knots.at.size()) {
      cell = static_cast<float>(knots.value[next == 0 ? 0 : next - 1]);
    } else {
      const auto width = static_cast<double>(knots.at[next] - knots.at[next - 1]);
      const double b = static_cast<double>(i - knots.at[next - 1]) / width, a = 1 - b;
      double value = a * knots.value[next - 1] + b * knots.value[next];
      if (!bend.empty()) {
        value +=
            ((a * a * a - a) * bend[next - 1] + (b * b * b - b) * bend[next]) * width * width / 6;
      }
      cell = static_cast<float>(value);
    }
  }
}

std::vector<float> held(const GappyRows& rows) {
  std::vector<float> cells = rows.cells;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (std::isnan(cells[i])) cells[i] = i >= rows.channels ? cells[i - rows.channels] : 0.0F;
  }
  return cells;
}

/// Those of `ends` whose windows have a missing cell.
std::vector<std::size_t> with_gaps(const GappyRows& rows, std::span<const std::size_t> ends,
                                   std::size_t window) {
  std::vector<std::size_t> holes{0};  // rows with a missing cell before each
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = std::span{rows.cells}.subspan(i * rows.channels, rows.channels);
    const bool gap = std::ranges::any_of(row, [](float cell) { return std::isnan(cell); });
    holes.push_back(holes.back() + (gap ? 1 : 0));
  }
  std::vector<std::size_t> result;
  for (const std::size_t end : ends) {
    if (holes[end + 1] > holes[end + 1 - window]) result.push_back(end);
  }
  return result;
}

/// Means of what a model expects of the cells of all windows that cover them.
class Expected {
 public:
  explicit Expected(std::size_t cells) : sum_(cells), count_(cells) {}

  void add(std::size_t cell, float value) {
    sum_[cell] += static_cast<double>(value);
    ++count_[cell];
  }
  [[nodiscard]] bool knows(std::size_t cell) const { return count_[cell] > 0; }
  [[nodiscard]] double of(std::size_t cell) const { return sum_[cell] / count_[cell]; }

  /// Adds to what is expected of missing cells the mean error on known ones of the channel, each
  /// with a weight that halves every `memory` rows.
  void make_up(const GappyRows& rows, double memory) {
    if (memory <= 0) return;
    std::vector<double> error(sum_.size()), weight(sum_.size());
    const double keep = std::exp2(-1 / memory);
    for (std::size_t c = 0; c < rows.channels; ++c) {
      sweep(rows, c, keep, 1, error, weight);
      sweep(rows, c, keep, -1, error, weight);
    }
    for (std::size_t cell = 0; cell < sum_.size(); ++cell) {
      if (!std::isnan(rows.cells[cell]) || count_[cell] == 0 || weight[cell] == 0) continue;
      sum_[cell] += count_[cell] * error[cell] / weight[cell];
    }
  }

 private:
  void sweep(const GappyRows& rows, std::size_t channel, double keep, int direction,
             std::vector<double>& error, std::vector<double>& weight) const {
    double errors = 0, weights = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t row = direction > 0 ? i : rows.size() - 1 - i;
      const std::size_t cell = row * rows.channels + channel;
      errors *= keep, weights *= keep;
      if (!std::isnan(rows.cells[cell])) {
        if (count_[cell] == 0) continue;
        errors += static_cast<double>(rows.cells[cell]) - of(cell);
        weights += 1;
      }
      error[cell] += errors, weight[cell] += weights;
    }
  }

  std::vector<double> sum_;
  std::vector<std::uint32_t> count_;
};

}  // namespace

Result<std::vector<float>> fill_gaps(const GappyRows& rows, std::span<const std::size_t> ends,
                                     const ReconstructFn& reconstruct, const FillOptions& options) {
  const std::vector<std::size_t> looked_at = with_gaps(rows, ends, options.window);
  std::vector<float> filled =
      options.start == FillOptions::Start::kLast ? held(rows) : interpolate_linearly(rows);
  std::vector<bool> covered(filled.size());
  for (std::size_t k = 0; k < options.iterations; ++k) {
    Expected expected{filled.size()};
    for (std::size_t i = 0; i < looked_at.size(); i += kWindowsAtOnce) {
      const auto part =
          std::span{looked_at}.subspan(i, std::min(kWindowsAtOnce, looked_at.size() - i));
      auto windows = reconstruct(filled, part);
      if (!windows) return windows;
      const std::size_t width = options.window * rows.channels;
      for (std::size_t j = 0; j < windows->size(); ++j) {
        expected.add((part[j / width] + 1 - options.window) * rows.channels + j % width,
                     (*windows)[j]);
      }
    }
    expected.make_up(rows, options.memory);
    for (std::size_t cell = 0; cell < filled.size(); ++cell) {
      covered[cell] = expected.knows(cell);
      if (std::isnan(rows.cells[cell]) && covered[cell]) {
        filled[cell] = static_cast<float>(expected.of(cell));
      }
    }
  }
  for (std::size_t cell = 0; cell < filled.size(); ++cell) {
    if (std::isnan(rows.cells[cell]) && !covered[cell]) filled[cell] = NAN;
  }
  return filled;
}

std::vector<float> interpolate_linearly(const GappyRows& rows) {
  std::vector<float> cells = rows.cells;
  for (std::size_t c = 0; c < rows.channels; ++c) {
    interpolate(knots_of(rows, c), {}, c, rows.channels, cells);
  }
  return cells;
}

std::vector<float> interpolate_by_spline(const GappyRows& rows) {
  std::vector<float> cells = rows.cells;
  for (std::size_t c = 0; c < rows.channels; ++c) {
    const Knots knots = knots_of(rows, c);
    const auto bend = knots.at.size() < 3 ? std::vector<double>{} : curvatures(knots);
    interpolate(knots, bend, c, rows.channels, cells);
  }
  return cells;
}

}  // namespace anomalyd::tools
