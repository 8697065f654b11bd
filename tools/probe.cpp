#include "tools/probe.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace anomalyd::tools {
namespace {

constexpr double kRidge = 1e-3;  // of the variance of a feature
constexpr float kFarthest = 5;   // deviations: products of outliers would drown the rest
constexpr std::size_t kMostPoints = 4000;
constexpr std::size_t kMostProducts = 32;  // features that are multiplied with each other

/// Standardises features, and appends their pairwise products and 1.
class Expansion {
 public:
  explicit Expansion(const LabelledPoints& points) : mean_(points.width), scale_(points.width) {
    std::vector<double> square(points.width);
    const auto n = static_cast<double>(points.size());
    for (std::size_t i = 0; i < points.features.size(); ++i) {
      const auto value = static_cast<double>(points.features[i]);
      mean_[i % points.width] += value / n;
      square[i % points.width] += value * value / n;
    }
    for (std::size_t j = 0; j < points.width; ++j) {
      const double variance = square[j] - mean_[j] * mean_[j];
      scale_[j] = variance > 1e-12 * square[j] ? 1 / std::sqrt(variance) : 1;
    }
  }

  [[nodiscard]] std::vector<float> of(std::span<const float> point) const {
    std::vector<float> x;
    for (std::size_t j = 0; j < point.size(); ++j) {
      const double scaled = (static_cast<double>(point[j]) - mean_[j]) * scale_[j];
      x.push_back(std::clamp(static_cast<float>(scaled), -kFarthest, kFarthest));
    }
    for (std::size_t j = 0; j < point.size() && point.size() <= kMostProducts; ++j) {
      for (std::size_t k = 0; k <= j; ++k) x.push_back(x[j] * x[k]);
    }
    x.push_back(1);
    return x;
  }

 private:
  std::vector<double> mean_;
  std::vector<double> scale_;
};

/// Solves A x = b for each of `columns` columns of b in place, A [n x n] symmetric and positive
/// definite, of which the lower half is read and overwritten: Cholesky.
void solve(std::vector<double>& a, std::vector<double>& b, std::size_t n, std::size_t columns) {
  const auto row = [&](std::size_t i) { return &a[i * n]; };
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const double sum = std::inner_product(row(i), row(i) + j, row(j), 0.0);
      row(i)[j] = i == j ? std::sqrt(row(i)[i] - sum) : (row(i)[j] - sum) / row(j)[j];
    }
  }
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < i; ++j) b[i * columns + c] -= row(i)[j] * b[j * columns + c];
      b[i * columns + c] /= row(i)[i];
    }
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t j = i + 1; j < n; ++j) b[i * columns + c] -= row(j)[i] * b[j * columns + c];
      b[i * columns + c] /= row(i)[i];
    }
  }
}

/// Regression of the classes, 1 for that of a point and 0 for others, on expanded points: what it
/// expects most is the class. For two classes Fisher's discriminant.
class Discriminant {
 public:
  Discriminant(const LabelledPoints& points, std::size_t num_classes)
      : expansion_{points}, num_classes_{num_classes} {
    const std::size_t n = expansion_.of(points.point(0)).size();
    std::vector<double> moments(n * n);
    weights_.resize(n * num_classes);
    for (std::size_t p = 0; p < points.size(); ++p) {
      const std::vector<float> x = expansion_.of(points.point(p));
      for (std::size_t i = 0; i < n; ++i) {
        const auto xi = static_cast<double>(x[i]);
        for (std::size_t j = 0; j <= i; ++j) moments[i * n + j] += xi * static_cast<double>(x[j]);
        weights_[i * num_classes + points.classes[p]] += xi;
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      moments[i * n + i] += kRidge * (moments[i * n + i] + static_cast<double>(points.size()));
    }
    solve(moments, weights_, n, num_classes);
  }

  [[nodiscard]] std::size_t classify(std::span<const float> point) const {
    const std::vector<float> x = expansion_.of(point);
    std::vector<double> expected(num_classes_);
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      expected[i % num_classes_] += weights_[i] * static_cast<double>(x[i / num_classes_]);
    }
    return static_cast<std::size_t>(std::ranges::max_element(expected) - expected.begin());
  }

 private:
  Expansion expansion_;
  std::size_t num_classes_;
  std::vector<double> weights_;  // [expanded x classes]
};

std::size_t num_classes(const LabelledPoints& points) {
  return points.size() == 0 ? 0 : *std::ranges::max_element(points.classes) + 1;
}

/// Every so manieth point, where there are more than a probe needs.
LabelledPoints thinned(const LabelledPoints& points) {
  const std::size_t stride = (points.size() + kMostPoints - 1) / kMostPoints;
  if (stride <= 1) return points;
  LabelledPoints result;
  for (std::size_t i = 0; i < points.size(); i += stride) {
    result.add(points.point(i), points.classes[i]);
  }
  return result;
}

}  // namespace

void LabelledPoints::add(std::span<const float> point, std::size_t label) {
  width = point.size();
  features.insert(features.end(), point.begin(), point.end());
  classes.push_back(label);
}

double probe(const LabelledPoints& seen, const LabelledPoints& unseen) {
  const Discriminant discriminant{thinned(seen), std::max(num_classes(seen), num_classes(unseen))};
  double right = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) {
    right += discriminant.classify(unseen.point(i)) == unseen.classes[i] ? 1 : 0;
  }
  return right / static_cast<double>(unseen.size());
}

double cross_validated_probe(const LabelledPoints& points, std::size_t folds) {
  std::vector<std::size_t> of_class(num_classes(points)), at(of_class.size());
  for (const std::size_t label : points.classes) ++of_class[label];
  std::vector<std::size_t> fold;
  for (const std::size_t label : points.classes) {
    fold.push_back(at[label]++ * folds / of_class[label]);
  }
  double right = 0;
  for (std::size_t k = 0; k < folds; ++k) {
    LabelledPoints seen, unseen;
    for (std::size_t i = 0; i < points.size(); ++i) {
      (fold[i] == k ? unseen : seen).add(points.point(i), points.classes[i]);
    }
    right += probe(seen, unseen) * static_cast<double>(unseen.size());
  }
  return right / static_cast<double>(points.size());
}

double chance(const LabelledPoints& points) {
  std::vector<std::size_t> counts(num_classes(points));
  for (const std::size_t label : points.classes) ++counts[label];
  return static_cast<double>(*std::ranges::max_element(counts)) /
         static_cast<double>(points.size());
}

std::vector<float> window_features(std::span<const float> window, std::size_t channels) {
  const std::size_t rows = window.size() / channels;
  constexpr double kTiny = 1e-6;  // a constant channel has a logarithm too
  const auto n = static_cast<double>(rows);
  std::vector<float> features;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto x = [&](std::size_t i) { return static_cast<double>(window[i * channels + c]); };
    double sum = 0, along = 0, rough = 0, spread = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      sum += x(i);
      along += (static_cast<double>(i) - (n - 1) / 2) * x(i);
    }
    const double level = sum / n, slope = 12 * along / (n * (n * n - 1));
    for (std::size_t i = 0; i < rows; ++i) {
      const double off = x(i) - level - slope * (static_cast<double>(i) - (n - 1) / 2);
      spread += off * off;
      if (i < 2) continue;
      const double bend = x(i) - 2 * x(i - 1) + x(i - 2);
      rough += bend * bend;
    }
    for (const double value :
         {level, slope * n, std::log(spread / n + kTiny), std::log(rough / (n - 2) + kTiny)}) {
      features.push_back(static_cast<float>(value));
    }
  }
  return features;
}

double two_sample_accuracy(std::span<const float> a, std::span<const float> b, std::size_t rows,
                           std::size_t channels) {
  const std::size_t cells = rows * channels;
  const std::size_t count = std::min(a.size(), b.size()) / cells;
  LabelledPoints points;
  std::size_t label = 0;
  for (const auto windows : {a, b}) {
    const std::size_t available = windows.size() / cells;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t pick = i * available / count;
      points.add(window_features(windows.subspan(pick * cells, cells), channels), label);
    }
    ++label;
  }
  return cross_validated_probe(points);
}

}  // namespace anomalyd::tools
