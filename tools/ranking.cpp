#include "tools/ranking.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tools/events.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kThresholds = 250;
constexpr std::size_t kLargestBuffer = 100;
constexpr std::size_t kBufferStep = 5;
using PerThreshold = std::array<double, kThresholds>;

std::vector<double> finite(std::span<const double> scores) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double score : scores) {
    if (!std::isfinite(score)) continue;
    low = std::min(low, score);
    high = std::max(high, score);
  }
  if (low > high) low = high = 0;
  std::vector<double> result(scores.begin(), scores.end());
  for (double& score : result) {
    if (std::isfinite(score)) continue;
    score = score > 0 ? high + 1 : low;  // a NaN is not > 0
  }
  return result;
}

double average_precision(std::span<const std::uint8_t> labels, std::span<const double> scores,
                         std::span<const std::size_t> order) {
  const auto positives =
      static_cast<double>(std::ranges::count_if(labels, [](auto label) { return label != 0; }));
  double hits = 0;
  double counted = 0;  // hits at the threshold before
  double area = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    hits += labels[order[i]] != 0 ? 1 : 0;
    const bool ties = i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]];
    if (ties) continue;
    area += (hits - counted) / positives * hits / static_cast<double>(i + 1);
    counted = hits;
  }
  return area;
}

/// The precision-recall surface, cut at 250 thresholds that are evenly spaced in rank.
class Surface {
 public:
  Surface(std::span<const std::uint8_t> labels, std::span<const double> scores,
          std::span<const std::size_t> order);

  /// The area under the curve with a buffer of `width` rows, half of them on each side of an event.
  [[nodiscard]] double area(std::size_t width);

 private:
  struct Buffered {
    RowRange rows;
    std::size_t threshold;  // the strictest that some row of it reaches
  };
  std::vector<Buffered> mark(std::size_t width);

  std::vector<RowRange> events_;
  std::vector<std::uint8_t> reached_;  // by row: the strictest threshold that it reaches
  PerThreshold alerted_{};             // rows that reach each threshold
  double positives_ = 0;
  std::vector<double> weights_;  // by row: how much it counts as part of an event
  std::span<const std::uint8_t> labels_;
};

Surface::Surface(std::span<const std::uint8_t> labels, std::span<const double> scores,
                 std::span<const std::size_t> order)
    : events_{runs_of(labels)},
      reached_(labels.size()),
      weights_(labels.size(), 0.0),
      labels_{labels} {
  const std::size_t last = order.size() - 1;
  const double step = static_cast<double>(last) / (kThresholds - 1);
  std::size_t row = 0;
  for (std::size_t k = 0; k < kThresholds; ++k) {
    const auto rank =
        k + 1 == kThresholds ? last : static_cast<std::size_t>(static_cast<double>(k) * step);
    const double threshold = scores[order[rank]];
    for (; row < order.size() && scores[order[row]] >= threshold; ++row) {
      reached_[order[row]] = static_cast<std::uint8_t>(k);
    }
    alerted_[k] = static_cast<double>(row);
  }
  for (const RowRange& event : events_) {
    positives_ += static_cast<double>(event.end - event.begin);
  }
}

/// Weighs the rows of events and buffers; returns events with their buffers, those that touch as
/// one. Nobody looks at other weights.
std::vector<Surface::Buffered> Surface::mark(std::size_t width) {
  const std::size_t half = width / 2;
  std::vector<Buffered> buffered;
  for (const RowRange& event : events_) {
    const RowRange rows{event.begin - std::min(event.begin, half),
                        std::min(event.end + half, weights_.size())};
    if (!buffered.empty() && rows.begin <= buffered.back().rows.end) {
      buffered.back().rows.end = rows.end;
    } else {
      buffered.push_back({rows, kThresholds});
    }
  }
  for (Buffered& one : buffered) {
    for (std::size_t i = one.rows.begin; i < one.rows.end; ++i) {
      weights_[i] = labels_[i] != 0 ? 1 : 0;
      one.threshold = std::min<std::size_t>(one.threshold, reached_[i]);
    }
  }
  const auto weight = [&](std::size_t distance) {
    return std::sqrt(1 - static_cast<double>(distance) / static_cast<double>(width));
  };
  for (const RowRange& event : events_) {
    for (std::size_t d = 1; d <= half; ++d) {
      if (event.end - 1 + d < weights_.size()) weights_[event.end - 1 + d] += weight(d);
      if (event.begin >= d) weights_[event.begin - d] += weight(d);
    }
  }
  return buffered;
}

double Surface::area(std::size_t width) {
  PerThreshold hits{};       // of the rows whose strictest threshold it is, then of all above
  PerThreshold near_hits{};  // of those, what lies in buffers
  PerThreshold found{};      // events
  const auto buffered = mark(width);
  for (const auto& [rows, threshold] : buffered) {
    ++found[threshold];
    for (std::size_t i = rows.begin; i < rows.end; ++i) {
      const double weight = std::min(weights_[i], 1.0);
      hits[reached_[i]] += weight;
      if (labels_[i] == 0) near_hits[reached_[i]] += weight;
    }
  }
  std::partial_sum(hits.begin(), hits.end(), hits.begin());
  std::partial_sum(near_hits.begin(), near_hits.end(), near_hits.begin());
  std::partial_sum(found.begin(), found.end(), found.begin());

  double area = 0;
  double recall_before = 0;
  for (std::size_t k = 0; k < kThresholds; ++k) {
    const double recall = std::min(hits[k] / (positives_ + 0.5 * near_hits[k]), 1.0) * found[k] /
                          static_cast<double>(buffered.size());
    area += (recall - recall_before) * hits[k] / alerted_[k];
    recall_before = recall;
  }
  return area;
}

}  // namespace

RankingFigures rank(std::span<const std::uint8_t> labels, std::span<const double> scores) {
  if (std::ranges::find(labels, 1) == labels.end()) return {};
  const std::vector<double> clean = finite(scores);
  std::vector<std::size_t> order(clean.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, std::greater<>{}, [&](std::size_t i) { return clean[i]; });

  Surface surface{labels, clean, order};
  double volume = 0;
  std::size_t areas = 0;
  for (std::size_t width = 0; width <= kLargestBuffer; width += kBufferStep, ++areas) {
    volume += surface.area(width);
  }
  return {.vus_pr = volume / static_cast<double>(areas),
          .auc_pr = average_precision(labels, clean, order)};
}

}  // namespace anomalyd::tools
