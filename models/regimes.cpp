#include <algorithm>
#include <vector>

#include "models/regimes_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

constexpr std::int64_t kMostWindows = 4000;   // that centres are found from
constexpr std::int64_t kMostCompared = 1000;  // that silhouettes are taken from
constexpr int kIterations = 50;
constexpr double kSeparated = 0.5;  // silhouette of groups that are there
constexpr double kGain = 0.02;      // that one more group has to bring, or it only cuts one in two
constexpr double kLeastShare = 0.01;

// Mean and logarithm of the deviation of each channel: [n, 2 x channels].
at::Tensor features(const TrainingRows& rows, const at::Tensor& ends, std::int64_t window) {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& some : ends.split(windows_at_once(window * rows.channels()))) {
    const at::Tensor x = gather(rows.values, some.to(rows.values.device()), window_lags(window))
                             .view({some.size(0), window, rows.channels()});
    parts.push_back(at::cat({x.mean(1), (x.std(1) + 0.05).log()}, 1).cpu().to(at::kDouble));
  }
  return at::cat(parts);
}

// [points, centres], by products: of differences there would be one for each feature.
at::Tensor square_distances(const at::Tensor& points, const at::Tensor& centres) {
  const at::Tensor lengths = points.square().sum(1, /*keepdim=*/true) + centres.square().sum(1);
  return lengths.addmm_(points, centres.t(), 1, -2).clamp_min_(0);
}

at::Tensor spread_out_starts(const at::Tensor& points, std::int64_t count, at::Generator& draw) {
  std::vector<at::Tensor> centres = {points.narrow(0, 0, 1)};
  while (static_cast<std::int64_t>(centres.size()) < count) {
    const at::Tensor nearest = std::get<0>(square_distances(points, at::cat(centres)).min(1));
    const at::Tensor cumulated = nearest.cumsum(0);
    const double place = at::rand({1}, draw, at::TensorOptions{at::kDouble}).item<double>() *
                         cumulated[-1].item<double>();
    const std::int64_t chosen =
        std::min((cumulated <= place).sum().item<std::int64_t>(), points.size(0) - 1);
    centres.push_back(points.narrow(0, chosen, 1));
  }
  return at::cat(centres);
}

struct Groups {
  at::Tensor centres;
  double within = 0;  // sum of square distances to the centres
};

Groups lloyd(const at::Tensor& points, at::Tensor centres) {
  Groups groups{std::move(centres)};
  for (int i = 0; i < kIterations; ++i) {
    const auto [distance, group] = square_distances(points, groups.centres).min(1);
    groups.within = distance.sum().item<double>();
    const at::Tensor member =
        (group.unsqueeze(1) == at::arange(groups.centres.size(0), at::kLong)).to(at::kDouble);
    const at::Tensor size = member.sum(0).unsqueeze(1);
    groups.centres = at::where(size > 0, member.t().mm(points) / size.clamp_min(1), groups.centres);
  }
  return groups;
}

// The mean over points of (b - a) / max(a, b): a the mean distance to the own group, b the smallest
// mean distance to another.
double silhouette(const at::Tensor& points, const at::Tensor& centres) {
  const std::int64_t count = centres.size(0);
  const at::Tensor group = square_distances(points, centres).argmin(1);
  const at::Tensor member = (group.unsqueeze(1) == at::arange(count, at::kLong)).to(at::kDouble);
  const at::Tensor size = member.sum(0);
  if ((size < kLeastShare * static_cast<double>(points.size(0))).any().item<bool>()) return -1;
  const at::Tensor sums = square_distances(points, points).sqrt().mm(member);  // [n, groups]
  const at::Tensor own = (sums * member).sum(1) / (member.mv(size) - 1).clamp_min(1);
  const at::Tensor other = std::get<0>((sums / size + member * 1e30).min(1));
  return ((other - own) / at::maximum(own, other).clamp_min(1e-12)).mean().item<double>();
}

Groups best_of(const at::Tensor& points, std::int64_t count, at::Generator& draw) {
  Groups best;
  for (int attempt = 0; attempt < 4; ++attempt) {
    Groups groups = lloyd(points, spread_out_starts(points, count, draw));
    if (attempt == 0 || groups.within < best.within) best = std::move(groups);
  }
  return best;
}

}  // namespace

Regimes find_regimes(const TrainingRows& rows, std::int64_t window, std::int64_t most,
                     std::uint64_t seed) {
  const at::Tensor ends = rows.window_ends(0, window);
  Regimes regimes{at::full({rows.values.size(0)}, -1, at::kLong)};
  if (ends.size(0) == 0) return regimes;
  const at::Tensor points = features(rows, thin_out(ends, kMostWindows), window);
  const at::Tensor compared = features(rows, thin_out(ends, kMostCompared), window);
  at::Generator draw = at::detail::createCPUGenerator(seed);
  at::Tensor centres = points.mean(0, /*keepdim=*/true);
  double best = kSeparated;
  for (std::int64_t count = 2; count <= std::min(most, points.size(0) / 2); ++count) {
    const Groups groups = best_of(points, count, draw);
    const double separation = silhouette(compared, groups.centres);
    if (separation <= best) continue;
    best = separation + kGain;
    centres = groups.centres;
  }
  regimes.count = centres.size(0);
  std::vector<at::Tensor> groups;
  for (const at::Tensor& some : ends.split(kMostWindows)) {
    groups.push_back(square_distances(features(rows, some, window), centres).argmin(1));
  }
  const at::Tensor group = at::cat(groups);
  const at::Tensor size = (group.unsqueeze(1) == at::arange(regimes.count, at::kLong)).sum(0);
  const at::Tensor rank = size.argsort(0, /*descending=*/true).argsort(0, /*descending=*/false);
  regimes.of_rows.index_put_({ends}, rank.index_select(0, group));
  regimes.of_rows = regimes.of_rows.to(rows.values.device());
  return regimes;
}

}  // namespace anomalyd::models
