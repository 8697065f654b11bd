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
  void add(std::span<const float> point, std::size_t label);
};

/// How often a small classifier is right about points that it has not seen: multinomial logistic
/// regression on standardised features and their pairwise products, with a ridge penalty. 0..1.
[[nodiscard]] double probe(const LabelledPoints& seen, const LabelledPoints& unseen);

/// The same, in `folds` turns of which each keeps one stretch of each class back: points that are
/// neighbours in time stay on one side.
[[nodiscard]] double cross_validated_probe(const LabelledPoints& points, std::size_t folds = 5);

/// How often the most frequent class is right.
[[nodiscard]] double chance(const LabelledPoints& points);

/// The classifier two-sample test (Lopez-Paz and Oquab 2017) on windows [n x rows x channels]: how
/// well a probe tells them apart by level, slope, spread and roughness of each channel and the
/// products of these. 0.5: not at all, 1: always. Of the larger set as many are taken as the other
/// has.
[[nodiscard]] double two_sample_accuracy(std::span<const float> a, std::span<const float> b,
                                         std::size_t rows, std::size_t channels);

}  // namespace anomalyd::tools
