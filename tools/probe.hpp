#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace anomalyd::tools {

/// Points with the class of each: [n x width] features and n classes from 0.
struct LabelledPoints {
  std::size_t width = 0;
  std::vector<float> features;
  std::vector<std::size_t> classes;

  [[nodiscard]] std::size_t size() const noexcept { return classes.size(); }
  [[nodiscard]] std::span<const float> point(std::size_t i) const {
    return std::span{features}.subspan(i * width, width);
  }
  /// All points have the same width.
  void add(std::span<const float> point, std::size_t label);
};

/// How often a small classifier is right about points that it has not seen: a linear discriminant
/// on standardised features and, of up to 32, their pairwise products. 0..1.
[[nodiscard]] double probe(const LabelledPoints& seen, const LabelledPoints& unseen);

/// The same, in `folds` turns of which each keeps one stretch of each class back: points that are
/// neighbours in time stay on one side.
[[nodiscard]] double cross_validated_probe(const LabelledPoints& points, std::size_t folds = 5);

/// How often the most frequent class is right.
[[nodiscard]] double chance(const LabelledPoints& points);

/// Level, slope, spread about the line and roughness of each channel of a window [rows x channels].
[[nodiscard]] std::vector<float> window_features(std::span<const float> window,
                                                 std::size_t channels);

/// The classifier two-sample test (Lopez-Paz and Oquab 2017) on windows [n x rows x channels]: how
/// well a probe tells them apart by their `window_features`. 0.5: not at all, 1: always. Of the
/// larger set as many are taken as the other has.
[[nodiscard]] double two_sample_accuracy(std::span<const float> a, std::span<const float> b,
                                         std::size_t rows, std::size_t channels);

}  // namespace anomalyd::tools
