#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "tools/latent_model.hpp"

namespace anomalyd::tools {

/// Makes new windows and rows that are like those of one series.
///
/// A window is decoded from a code near that of a real one, z = z_i + h eps: a kernel density of
/// codes. What a decoder leaves out is drawn too: the residuals, x - decode(encode(x)), of another
/// real window with a near code, all of them, since they hang together over rows and channels.
///
/// A series is a chain of windows: next comes what followed, a window later, on a near code; where
/// three days or more are known, of a time of day within half an hour. Neighbouring windows overlap
/// by half and are faded into each other.
class Synthesis {
 public:
  struct Options {
    double smoothing = 0.1;      ///< h, in standard deviations of codes. 0: codes are real ones.
    std::size_t neighbours = 5;  ///< Near codes that residuals and successors are drawn from.
    bool noise = true;           ///< false: the decoder alone.
    std::uint64_t seed = 1;
  };

  /// Learns from the windows of `series` that end at `ends`. Both must outlive the synthesis.
  /// Errors: kInvalid when fewer than 64 of the windows have all their cells.
  [[nodiscard]] static Result<Synthesis> learn(LatentModel& model, const ScaledSeries& series,
                                               std::span<const std::size_t> ends,
                                               const Options& options);

  /// `count` windows, [count x window x channels], scaled.
  [[nodiscard]] Result<std::vector<float>> windows(std::size_t count);
  /// `count` rows that follow each other, [count x channels], scaled; the first is at `start`.
  [[nodiscard]] Result<std::vector<float>> rows(std::size_t count, EventTime start);

 private:
  Synthesis(LatentModel& model, const ScaledSeries& series, const Options& options)
      : model_{&model}, series_{&series}, options_{options}, random_{options.seed} {}
  [[nodiscard]] std::span<const float> code(std::size_t i) const;
  /// The indices of the windows nearest to `code` among `candidates`, nearest first.
  [[nodiscard]] std::vector<std::size_t> nearest(std::span<const float> code,
                                                 std::span<const std::size_t> candidates,
                                                 std::size_t count) const;
  [[nodiscard]] std::size_t pick(std::span<const std::size_t> from);
  [[nodiscard]] std::vector<float> smoothed(std::size_t i);
  /// What the decoder makes of codes and what it leaves out, [codes x window x channels] each.
  struct Drawn {
    std::vector<float> expected;
    std::vector<float> noise;
  };
  [[nodiscard]] Result<Drawn> draw(std::span<const std::size_t> windows);
  [[nodiscard]] std::vector<std::size_t> at_time_of_day(EventTime time,
                                                        std::span<const std::size_t> from) const;

  LatentModel* model_;
  const ScaledSeries* series_;
  Options options_;
  std::mt19937_64 random_;
  std::vector<std::size_t> ends_;
  std::vector<float> codes_;      // [windows x width]
  std::vector<float> residuals_;  // [windows x window x channels]
  std::vector<float> deviation_;  // [content] of codes
  std::vector<std::size_t> all_;  // 0, 1, ..
};

}  // namespace anomalyd::tools
