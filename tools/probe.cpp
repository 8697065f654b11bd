#include "tools/probe.hpp"

#include <algorithm>
#include <cmath>

namespace anomalyd::tools {
namespace {

constexpr double kRidge = 1e-2;  // per point
constexpr int kSteps = 150;
constexpr float kFarthest = 5;  // deviations: products of outliers would drown the rest
constexpr std::size_t kMostPoints = 4000;

/// Standardises features, adds their pairwise products and standardises those.
class Expansion {
 public:
  explicit Expansion(const LabelledPoints& points) : width_{points.width} {
    fit(points.features, width_, first_);
    std::vector<float> products;
    for (std::size_t i = 0; i < points.size(); ++i) append_products(point(points, i), products);
    fit(products, size(), second_);
  }
  /// Numbers of an expanded point, the last one being 1.
  [[nodiscard]] std::size_t size() const { return width_ + width_ * (width_ + 1) / 2 + 1; }

  [[nodiscard]] std::vector<float> of(const LabelledPoints& points) const {
    std::vector<float> expanded;
    expanded.reserve(points.size() * size());
    for (std::size_t i = 0; i < points.size(); ++i) append_products(point(points, i), expanded);
    for (std::size_t i = 0; i < expanded.size(); ++i) {
      const std::size_t j = i % size();
      if (j + 1 < size()) expanded[i] = scaled(expanded[i], second_[j]);
    }
    return expanded;
  }

 private:
  struct Moments {
    float mean = 0;
    float deviation = 1;
  };
  static std::span<const float> point(const LabelledPoints& points, std::size_t i) {
    return std::span{points.features}.subspan(i * points.width, points.width);
  }
  static float scaled(float value, const Moments& moments) {
    return std::clamp((value - moments.mean) / moments.deviation, -kFarthest, kFarthest);
  }
  static void fit(std::span<const float> values, std::size_t width, std::vector<Moments>& out) {
    std::vector<double> sum(width), square(width);
    for (std::size_t i = 0; i < values.size(); ++i) {
      sum[i % width] += static_cast<double>(values[i]);
      square[i % width] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    }
    const auto n = static_cast<double>(values.size() / width);
    for (std::size_t j = 0; j < width; ++j) {
      const double mean = sum[j] / n;
      const double variance = std::max(0.0, square[j] / n - mean * mean);
      out.push_back(
          {static_cast<float>(mean), variance > 0 ? static_cast<float>(std::sqrt(variance)) : 1});
    }
  }
  void append_products(std::span<const float> raw, std::vector<float>& out) const {
    std::vector<float> x(width_);
    for (std::size_t j = 0; j < width_; ++j) x[j] = scaled(raw[j], first_[j]);
    out.insert(out.end(), x.begin(), x.end());
    for (std::size_t j = 0; j < width_; ++j) {
      for (std::size_t k = 0; k <= j; ++k) out.push_back(x[j] * x[k]);
    }
    out.push_back(1);
  }

  std::size_t width_;
  std::vector<Moments> first_;
  std::vector<Moments> second_;
};

float dot(const float* a, const float* b, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// Weights [classes x width] of a multinomial logistic regression, by Nesterov's method.
class Logistic {
 public:
  Logistic(std::span<const float> points, std::size_t width, std::span<const std::size_t> classes,
           std::size_t num_classes)
      : width_{width}, num_classes_{num_classes}, weights_(num_classes * width) {
    const auto n = classes.size();
    const float step = 1.0F / (largest_curvature(points, n) + static_cast<float>(kRidge));
    std::vector<float> ahead = weights_, before = weights_, gradient(weights_.size());
    for (int k = 0; k < kSteps; ++k) {
      std::ranges::fill(gradient, 0.0F);
      for (std::size_t i = 0; i < n; ++i) {
        std::vector<float> p = probabilities(ahead, &points[i * width_]);
        p[classes[i]] -= 1;
        for (std::size_t c = 0; c < num_classes_; ++c) {
          const float weight = p[c] / static_cast<float>(n);
          float* row = &gradient[c * width_];
          for (std::size_t j = 0; j < width_; ++j) row[j] += weight * points[i * width_ + j];
        }
      }
      const float momentum = static_cast<float>(k) / static_cast<float>(k + 3);
      before.swap(weights_);
      for (std::size_t j = 0; j < ahead.size(); ++j) {
        weights_[j] = ahead[j] - step * (gradient[j] + static_cast<float>(kRidge) * ahead[j]);
        ahead[j] = weights_[j] + momentum * (weights_[j] - before[j]);
      }
    }
  }

  [[nodiscard]] std::size_t classify(const float* point) const {
    const std::vector<float> p = probabilities(weights_, point);
    return static_cast<std::size_t>(std::ranges::max_element(p) - p.begin());
  }

 private:
  [[nodiscard]] std::vector<float> probabilities(const std::vector<float>& weights,
                                                 const float* point) const {
    std::vector<float> p(num_classes_);
    for (std::size_t c = 0; c < num_classes_; ++c) p[c] = dot(&weights[c * width_], point, width_);
    const float largest = *std::ranges::max_element(p);
    float sum = 0;
    for (float& value : p) sum += value = std::exp(value - largest);
    for (float& value : p) value /= sum;
    return p;
  }
  /// Half of the largest eigenvalue of X'X / n, which bounds the curvature; by power iteration.
  [[nodiscard]] float largest_curvature(std::span<const float> points, std::size_t n) const {
    std::vector<float> v(width_, 1.0F), next(width_);
    float norm = 0;
    for (int k = 0; k < 12; ++k) {
      std::ranges::fill(next, 0.0F);
      for (std::size_t i = 0; i < n; ++i) {
        const float product = dot(&points[i * width_], v.data(), width_) / static_cast<float>(n);
        for (std::size_t j = 0; j < width_; ++j) next[j] += product * points[i * width_ + j];
      }
      norm = std::sqrt(dot(next.data(), next.data(), width_));
      for (std::size_t j = 0; j < width_; ++j) v[j] = next[j] / norm;
    }
    return 0.6F * norm;  // a little more than half: the iteration comes from below
  }

  std::size_t width_;
  std::size_t num_classes_;
  std::vector<float> weights_;
};

std::size_t num_classes(const LabelledPoints& points) {
  return points.size() == 0 ? 0 : *std::ranges::max_element(points.classes) + 1;
}

/// Every so manieth point, where there are more than a probe needs.
LabelledPoints thinned(const LabelledPoints& points) {
  const std::size_t stride = (points.size() + kMostPoints - 1) / kMostPoints;
  if (stride <= 1) return points;
  LabelledPoints result{points.width, {}, {}};
  for (std::size_t i = 0; i < points.size(); i += stride) {
    result.add(std::span{points.features}.subspan(i * points.width, points.width),
               points.classes[i]);
  }
  return result;
}

/// Level, slope, spread about the line and roughness of each channel of a window.
std::vector<float> features_of(std::span<const float> window, std::size_t rows,
                               std::size_t channels) {
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

}  // namespace

void LabelledPoints::add(std::span<const float> point, std::size_t label) {
  features.insert(features.end(), point.begin(), point.end());
  classes.push_back(label);
}

double probe(const LabelledPoints& seen, const LabelledPoints& unseen) {
  const LabelledPoints some = thinned(seen);
  const Expansion expansion{some};
  const std::size_t width = expansion.size();
  const Logistic logistic{expansion.of(some), width, some.classes,
                          std::max(num_classes(seen), num_classes(unseen))};
  const std::vector<float> points = expansion.of(unseen);
  double right = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) {
    right += logistic.classify(&points[i * width]) == unseen.classes[i] ? 1 : 0;
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
    LabelledPoints seen{points.width, {}, {}}, unseen{points.width, {}, {}};
    for (std::size_t i = 0; i < points.size(); ++i) {
      (fold[i] == k ? unseen : seen)
          .add(std::span{points.features}.subspan(i * points.width, points.width),
               points.classes[i]);
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

double two_sample_accuracy(std::span<const float> a, std::span<const float> b, std::size_t rows,
                           std::size_t channels) {
  const std::size_t cells = rows * channels;
  const std::size_t count = std::min(a.size(), b.size()) / cells;
  LabelledPoints points{4 * channels, {}, {}};
  std::size_t label = 0;
  for (const auto windows : {a, b}) {
    const std::size_t available = windows.size() / cells;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t pick = i * available / count;
      points.add(features_of(windows.subspan(pick * cells, cells), rows, channels), label);
    }
    ++label;
  }
  return cross_validated_probe(points);
}

}  // namespace anomalyd::tools
