#include "daemon/pipeline/gate_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace anomalyd::pipeline {
namespace {

constexpr double kLeastUnit = 0.05;     // of the mean over channels
constexpr double kSmallestUnit = 1e-3;  // of the common unit, for channels without any residual
constexpr double kTrimmedShare = 0.05;
constexpr std::size_t kBlockRows = 16;
constexpr std::size_t kDraws = 1000;

struct RowLoss {
  double challenger = NAN;
  double champion = NAN;
};

/// Mean absolute residual of the champion in each cell of a row, with the floors.
std::vector<double> units_of(const PairedLosses& losses) {
  const std::size_t stride = losses.members * losses.channels;
  std::vector<double> sums(stride), counts(stride);
  for (std::size_t i = 0; i < losses.champion.size(); ++i) {
    if (std::isnan(losses.champion[i]) || std::isnan(losses.challenger[i])) continue;
    sums[i % stride] += static_cast<double>(losses.champion[i]);
    counts[i % stride] += 1;
  }
  for (std::size_t m = 0; m < losses.members; ++m) {
    double sum = 0, observed = 0;
    for (std::size_t c = 0; c < losses.channels; ++c) {
      double& mean = sums[m * losses.channels + c];
      if (counts[m * losses.channels + c] == 0) continue;
      mean /= counts[m * losses.channels + c];
      sum += mean;
      observed += 1;
    }
    const double floor = std::max(kSmallestUnit, kLeastUnit * sum / std::max(observed, 1.0));
    for (std::size_t c = 0; c < losses.channels; ++c) {
      double& unit = sums[m * losses.channels + c];
      unit = std::max(unit, floor);
    }
  }
  return sums;
}

/// Of one member, one entry per row; NaN where nothing counts.
std::vector<RowLoss> row_losses(const PairedLosses& losses, const std::vector<double>& units,
                                std::size_t member) {
  std::vector<RowLoss> rows(losses.rows());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    double challenger = 0, champion = 0, observed = 0;
    for (std::size_t c = 0; c < losses.channels; ++c) {
      const std::size_t cell = member * losses.channels + c;
      const std::size_t i = row * losses.members * losses.channels + cell;
      if (std::isnan(losses.champion[i]) || std::isnan(losses.challenger[i])) continue;
      challenger += static_cast<double>(losses.challenger[i]) / units[cell];
      champion += static_cast<double>(losses.champion[i]) / units[cell];
      observed += 1;
    }
    if (observed > 0) rows[row] = {challenger / observed, champion / observed};
  }
  return rows;
}

/// Sums over blocks of rows: [blocks x members].
struct BlockSums {
  std::size_t members = 0;
  std::vector<RowLoss> sums;
  std::size_t rows = 0;

  [[nodiscard]] std::size_t blocks() const { return members == 0 ? 0 : sums.size() / members; }
};

BlockSums block_sums(std::span<const PairedLosses> series) {
  BlockSums all;
  for (const PairedLosses& losses : series) all.members = std::max(all.members, losses.members);
  std::vector<std::vector<std::vector<RowLoss>>> rows;  // [series][member][row]
  for (const PairedLosses& losses : series) {
    const std::vector<double> units = units_of(losses);
    auto& members = rows.emplace_back();
    for (std::size_t m = 0; m < losses.members; ++m) {
      members.push_back(row_losses(losses, units, m));
    }
    if (members.empty()) continue;
    all.rows += static_cast<std::size_t>(std::ranges::count_if(
        members.front(), [](const RowLoss& row) { return !std::isnan(row.champion); }));
  }
  for (std::size_t m = 0; m < all.members; ++m) {
    std::vector<double> sizes;
    for (const auto& members : rows) {
      if (m >= members.size()) continue;
      for (const RowLoss& row : members[m]) {
        if (!std::isnan(row.champion)) sizes.push_back(row.champion + row.challenger);
      }
    }
    if (sizes.empty()) continue;
    const auto kept =
        static_cast<std::size_t>((1 - kTrimmedShare) * static_cast<double>(sizes.size() - 1));
    std::ranges::nth_element(sizes, sizes.begin() + static_cast<std::ptrdiff_t>(kept));
    const double limit = sizes[kept];
    for (auto& members : rows) {
      if (m >= members.size()) continue;
      for (RowLoss& row : members[m]) {
        if (!(row.champion + row.challenger <= limit)) row = {0, 0};
      }
    }
  }
  for (const auto& members : rows) {
    if (members.empty()) continue;
    for (std::size_t begin = 0; begin < members.front().size(); begin += kBlockRows) {
      for (std::size_t m = 0; m < all.members; ++m) {
        RowLoss sum{0, 0};
        const std::size_t end = std::min(members[m].size(), begin + kBlockRows);
        for (std::size_t row = begin; row < end; ++row) {
          sum.challenger += members[m][row].challenger;
          sum.champion += members[m][row].champion;
        }
        all.sums.push_back(sum);
      }
    }
  }
  return all;
}

/// Of each member. `weights` says how often each block counts.
void ratios_of(const BlockSums& all, const std::vector<std::uint32_t>& weights,
               std::vector<double>& ratios) {
  ratios.assign(all.members, 1);
  for (std::size_t m = 0; m < all.members; ++m) {
    double challenger = 0, champion = 0;
    for (std::size_t block = 0; block < weights.size(); ++block) {
      const RowLoss& sum = all.sums[block * all.members + m];
      challenger += weights[block] * sum.challenger;
      champion += weights[block] * sum.champion;
    }
    if (champion <= 0 && challenger <= 0) continue;
    ratios[m] = std::max(challenger, 1e-12) / std::max(champion, 1e-12);
  }
}

double geometric_mean(const std::vector<double>& ratios) {
  double logs = 0;
  for (const double ratio : ratios) logs += std::log(ratio);
  return std::exp(logs / static_cast<double>(ratios.size()));
}

}  // namespace

double poisson_tail(std::size_t count, double mean) {
  if (count == 0) return 1;
  double term = std::exp(-mean), below = 0;
  for (std::size_t k = 0; k < count; ++k) {
    below += term;
    term *= mean / static_cast<double>(k + 1);
  }
  return std::max(0.0, 1 - below);
}

std::size_t poisson_bound(double mean, double confidence) {
  if (mean > 500) {  // where exp(-mean) loses its digits: the normal approximation
    return static_cast<std::size_t>(mean + 4 * std::sqrt(mean));
  }
  std::size_t count = 0;
  while (poisson_tail(count + 1, mean) >= 1 - confidence) ++count;
  return count;
}

double sign_test(std::size_t worse, std::size_t better) {
  const double n = static_cast<double>(worse + better);
  double tail = 0;
  for (std::size_t k = worse; k <= worse + better; ++k) {
    const auto i = static_cast<double>(k);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(i + 1) - std::lgamma(n - i + 1) -
                     n * std::log(2.0));
  }
  return std::min(1.0, tail);
}

LossRatio compare_losses(std::span<const PairedLosses> series, double confidence,
                         std::uint64_t seed) {
  const BlockSums all = block_sums(series);
  const std::size_t blocks = all.blocks();
  if (blocks == 0 || all.rows == 0) return {};
  LossRatio result{.rows = all.rows};
  ratios_of(all, std::vector<std::uint32_t>(blocks, 1), result.by_member);
  result.ratio = geometric_mean(result.by_member);
  std::mt19937_64 random{seed};
  std::vector<double> ratios(kDraws);
  std::vector<std::uint32_t> weights(blocks);
  std::vector<double> members;
  for (double& ratio : ratios) {
    std::ranges::fill(weights, 0U);
    for (std::size_t i = 0; i < blocks; ++i) ++weights[random() % blocks];
    ratios_of(all, weights, members);
    ratio = geometric_mean(members);
  }
  std::ranges::sort(ratios);
  const auto at = [&](double q) {
    return ratios[static_cast<std::size_t>(q * static_cast<double>(kDraws - 1))];
  };
  result.low = at(1 - confidence);
  result.high = at(confidence);
  return result;
}

}  // namespace anomalyd::pipeline
