#include "tools/synthesis_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tools/probe.hpp"

namespace anomalyd::tools {
namespace {

constexpr double kHeldOut = 0.3;  // of the rows
constexpr std::size_t kFewestWindows = 100;
constexpr std::size_t kMostWindows = 1500;

void append(std::vector<float>& to, std::span<const float> more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// The windows of rows that end at `ends`.
void append_windows(std::vector<float>& to, std::span<const float> rows, std::size_t channels,
                    std::span<const std::size_t> ends, std::size_t window) {
  for (const std::size_t end : ends) {
    append(to, rows.subspan((end + 1 - window) * channels, window * channels));
  }
}

struct Pools {
  std::vector<float> held_out, learned, windows, bare, rows;
};

Status add(LatentModel& model, const ScaledSeries& series, std::size_t stride,
           const Synthesis::Options& options, Pools& pools) {
  const std::size_t window = model.window(), channels = series.channels;
  const HeldOut held_out{series};
  const auto learned =
      held_out.outside(series, series.window_ends(window, 0, series.size()), window);
  const auto some = series.complete(series.window_ends(window, 0, series.size(), stride), window);
  const auto unseen = held_out.inside(series, some, window);
  auto synthesis = Synthesis::learn(model, series, learned, options);
  if (!synthesis) return Failure{synthesis.error()};
  Synthesis::Options bare_options = options;
  bare_options.noise = false;
  auto bare = Synthesis::learn(model, series, learned, bare_options);
  if (!bare) return Failure{bare.error()};

  append_windows(pools.held_out, series.rows, channels, unseen, window);
  append_windows(pools.learned, series.rows, channels, held_out.outside(series, some, window),
                 window);
  const auto windows = synthesis->windows(unseen.size());
  if (!windows) return Failure{windows.error()};
  append(pools.windows, *windows);
  const auto decoded = bare->windows(unseen.size());
  if (!decoded) return Failure{decoded.error()};
  append(pools.bare, *decoded);
  const auto rows = synthesis->rows(series.size(), series.times.front());
  if (!rows) return Failure{rows.error()};
  append_windows(pools.rows, *rows, channels, unseen, window);
  return {};
}

}  // namespace

Result<SynthesisCheck> check_synthesis(LatentModel& model, std::span<const ScaledSeries> series,
                                       const Synthesis::Options& options,
                                       const std::function<void(std::size_t)>& progress) {
  std::size_t available = 0;
  for (const ScaledSeries& one : series) {
    available += static_cast<std::size_t>(kHeldOut * static_cast<double>(one.size()));
  }
  // Windows need not overlap where there are many rows.
  const std::size_t stride = std::clamp<std::size_t>(available / kMostWindows, 1, model.window());
  Pools pools;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (auto added = add(model, series[i], stride, options, pools); !added) {
      return Failure{added.error()};
    }
    progress(i + 1);
  }
  SynthesisCheck check;
  check.windows = pools.held_out.size() / (model.window() * model.channels());
  if (check.windows < kFewestWindows) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} complete windows in the rows held out; expected {} at least",
                            check.windows, kFewestWindows));
  }
  const auto apart = [&](const std::vector<float>& windows) {
    return two_sample_accuracy(pools.held_out, windows, model.window(), model.channels());
  };
  check.windows_apart = apart(pools.windows);
  check.without_noise = apart(pools.bare);
  check.rows_apart = apart(pools.rows);
  check.reality_apart = apart(pools.learned);
  return check;
}

std::string SynthesisCheck::table() const {
  std::string text = fmt::format(
      "accuracy of a classifier that tells these from {} real windows held out; 0.5 is perfect\n",
      windows);
  const auto line = [&](const char* what, double accuracy) {
    text += fmt::format("  {:<40} {:.3f}\n", what, accuracy);
  };
  line("generated windows", windows_apart);
  line("generated series", rows_apart);
  line("windows without the noise model", without_noise);
  line("other real windows, for comparison", reality_apart);
  return text;
}

Fleet::Options synthesis_check_fleet() {
  using std::chrono::hours;
  return {.machines = 6,
          .period = std::chrono::minutes{5},
          .span = hours{24 * 30},
          .clean = hours{24 * 30},
          .faults = 0};
}

}  // namespace anomalyd::tools
