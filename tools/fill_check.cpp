#include "tools/fill_check.hpp"

#include <fmt/format.h>

#include <cmath>

namespace anomalyd::tools {
namespace {

double square(double value) { return value * value; }

FillCheck::Errors roots(const FillCheck::Errors& sums) {
  const auto n = static_cast<double>(sums.cells);
  return {sums.cells, std::sqrt(sums.model / n), std::sqrt(sums.linear / n),
          std::sqrt(sums.spline / n)};
}

}  // namespace

std::vector<std::size_t> FillCheck::hide(const ScaledSeries& series, std::size_t window,
                                         GappyRows& rows) const {
  const HeldOut held_out{series};
  std::vector<std::size_t> hidden;
  const auto hide_cell = [&](std::size_t cell) {
    if (std::isnan(rows.cells[cell])) return;
    rows.cells[cell] = NAN;
    hidden.push_back(cell);
  };
  if (coarse_ > 1) {
    for (std::size_t cell = 0; cell < rows.cells.size(); ++cell) {
      const std::size_t row = cell / series.channels;
      if (row % coarse_ != 0 && held_out.contains(series.times[row])) hide_cell(cell);
    }
    return hidden;
  }
  const std::size_t apart = window + kGap;
  std::size_t turn = 0;
  for (std::size_t row = window; row + apart <= series.size(); ++row) {
    if (!held_out.contains(series.times[row]) || !held_out.contains(series.times[row + kGap])) {
      continue;
    }
    const std::size_t channel = turn++ % series.channels;
    for (std::size_t i = row; i < row + kGap; ++i) hide_cell(i * series.channels + channel);
    row += apart - 1;
  }
  return hidden;
}

Status FillCheck::add(LatentModel& model, const ScaledSeries& series, const FillOptions& options) {
  GappyRows rows{series.channels, series.rows};
  const std::vector<std::size_t> hidden = hide(series, options.window, rows);
  if (hidden.empty()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: {} rows; expected {} at least to hide gaps in", series.id,
                            series.size(), 10 * (options.window + kGap)));
  }
  const auto ends = series.window_ends(options.window, 0, series.size());
  const auto filled = fill_gaps(
      rows, ends,
      [&](std::span<const float> cells, std::span<const std::size_t> some) {
        return model.reconstruct(series, cells, some);
      },
      options);
  if (!filled) return Failure{filled.error()};
  const std::vector<float> linear = interpolate_linearly(rows);
  const std::vector<float> spline = interpolate_by_spline(rows);
  for (const std::size_t cell : hidden) {
    if (std::isnan((*filled)[cell])) continue;  // a restart is near: nothing may be looked at
    const auto truth = static_cast<double>(series.rows[cell]);
    Errors& errors = errors_[cell % series.channels];
    ++errors.cells;
    errors.model += square(static_cast<double>((*filled)[cell]) - truth);
    errors.linear += square(static_cast<double>(linear[cell]) - truth);
    errors.spline += square(static_cast<double>(spline[cell]) - truth);
  }
  return {};
}

FillCheck::Errors FillCheck::of_channel(std::size_t channel) const {
  return roots(errors_[channel]);
}

FillCheck::Errors FillCheck::total() const {
  Errors sum;
  for (const Errors& errors : errors_) {
    sum.cells += errors.cells;
    sum.model += errors.model;
    sum.linear += errors.linear;
    sum.spline += errors.spline;
  }
  return roots(sum);
}

std::string FillCheck::table() const {
  std::string text = fmt::format(
      "root mean square error {}, in standard deviations\n"
      "{:<16} {:>8} {:>8} {:>8} {:>8} {:>15}\n",
      coarse_ > 1 ? fmt::format("between rows {} apart", coarse_)
                  : fmt::format("in gaps of {} rows", kGap),
      "channel", "cells", "model", "linear", "spline", "model / linear");
  const auto line = [&](const std::string& name, const Errors& errors) {
    text += fmt::format("{:<16} {:>8} {:>8.3f} {:>8.3f} {:>8.3f} {:>15.2f}\n", name, errors.cells,
                        errors.model, errors.linear, errors.spline, errors.model / errors.linear);
  };
  for (std::size_t c = 0; c < channels_.size(); ++c) line(channels_[c].name, of_channel(c));
  line("all", total());
  return text;
}

Fleet::Options fill_check_fleet() {
  using std::chrono::hours;
  return {.machines = 12,
          .period = std::chrono::minutes{60},
          .span = hours{24 * 120},
          .clean = hours{24 * 120},
          .faults = 0};
}

}  // namespace anomalyd::tools
