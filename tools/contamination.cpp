#include "tools/contamination.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace anomalyd::tools {
namespace {

constexpr std::size_t kShortest = 5;
constexpr std::size_t kLongest = 29;
constexpr std::size_t kChannelsPerSpoilt = 3;
constexpr int kTries = 1000;  // to find room for a burst

/// Draws bursts and writes them into the first rows of a series.
class Spoiler {
 public:
  Spoiler(SeriesRows& series, std::size_t num_rows, std::seed_seq& seed)
      : series_{series}, num_rows_{num_rows}, random_{seed}, taken_(num_rows, 0) {
    for (std::size_t c = 0; c < series.channels.size(); ++c) {
      deviations_.push_back(deviation(c));
      if (deviations_.back() > 0) varying_.push_back(c);
    }
  }

  std::size_t spoil(std::size_t wanted) {
    if (varying_.empty()) return 0;
    std::size_t spoilt = 0;
    while (spoilt < wanted) {
      const std::size_t length =
          std::min(kShortest + below(kLongest - kShortest + 1), wanted - spoilt);
      const auto begin = room_for(length);
      if (begin == num_rows_) break;
      burst(begin, begin + length);
      spoilt += length;
    }
    return spoilt;
  }

 private:
  [[nodiscard]] double deviation(std::size_t channel) const {
    double count = 0;
    double mean = 0;
    double squares = 0;
    for (std::size_t i = 0; i < num_rows_; ++i) {
      const double value = series_.row(i)[channel];
      if (std::isnan(value)) continue;
      count += 1;
      const double step = value - mean;
      mean += step / count;
      squares += step * (value - mean);
    }
    return count > 0 ? std::sqrt(squares / count) : 0;
  }

  // The generator is the same on every platform, the standard's distributions are not.
  std::size_t below(std::size_t bound) { return random_() % bound; }
  double uniform() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }
  double gauss() {
    return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform());
  }

  // The first row of a free stretch of so many rows; `num_rows_` if none is found.
  std::size_t room_for(std::size_t length) {
    for (int i = 0; i < kTries && length <= num_rows_; ++i) {
      const std::size_t begin = below(num_rows_ - length + 1);
      const auto first = taken_.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto last = first + static_cast<std::ptrdiff_t>(length);
      if (std::count(first, last, 0) != static_cast<std::ptrdiff_t>(length)) continue;
      std::fill(first, last, char{1});
      return begin;
    }
    return num_rows_;
  }

  void burst(std::size_t begin, std::size_t end) {
    for (std::size_t i = varying_.size(); i > 1; --i)
      std::swap(varying_[i - 1], varying_[below(i)]);
    const std::size_t count = std::max<std::size_t>(1, varying_.size() / kChannelsPerSpoilt);
    for (std::size_t i = 0; i < count; ++i) spoil_channel(varying_[i], begin, end);
  }

  void spoil_channel(std::size_t channel, std::size_t begin, std::size_t end) {
    enum class Kind : std::uint8_t { kLevel, kFrozen, kNoise };
    const auto kind = static_cast<Kind>(below(3));
    const double offset = (4 + 6 * uniform()) * (below(2) == 0 ? -1 : 1) * deviations_[channel];
    const double held = series_.row(begin)[channel];
    for (std::size_t i = begin; i < end; ++i) {
      double& value = series_.values[i * series_.channels.size() + channel];
      if (std::isnan(value)) continue;
      switch (kind) {
        case Kind::kLevel: value += offset; break;
        case Kind::kFrozen: value = std::isnan(held) ? value : held; break;
        case Kind::kNoise: value += 3 * deviations_[channel] * gauss(); break;
      }
    }
  }

  SeriesRows& series_;
  std::size_t num_rows_;
  std::mt19937_64 random_;
  std::vector<char> taken_;           // [num_rows]
  std::vector<double> deviations_;    // [channels]
  std::vector<std::size_t> varying_;  // channels with a deviation, in the order last drawn
};

}  // namespace

std::size_t contaminate(SeriesRows& series, std::string_view id, std::size_t train_end,
                        const Contamination& contamination) {
  const std::size_t num_rows = std::min(train_end, series.size());
  const auto wanted =
      static_cast<std::size_t>(std::ceil(contamination.share * static_cast<double>(num_rows)));
  std::vector<std::uint32_t> words{static_cast<std::uint32_t>(contamination.seed),
                                   static_cast<std::uint32_t>(contamination.seed >> 32U)};
  for (const char letter : id) words.push_back(static_cast<unsigned char>(letter));
  std::seed_seq seed(words.begin(), words.end());
  return Spoiler{series, num_rows, seed}.spoil(wanted);
}

LabelledSet contaminated(LabelledSet set, const Contamination& contamination) {
  set.read = [read = std::move(set.read), contamination](const Dataset::Entry& entry) {
    auto series = read(entry);
    if (series) contaminate(*series, entry.id(), entry.train_end, contamination);
    return series;
  };
  return set;
}

}  // namespace anomalyd::tools
