#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "models/member_options.hpp"

namespace anomalyd::models {

/// What normal depends on beside the window itself: the calendar, which series it is, a channel
/// that names the operating mode. A member with conditions sees them, as numbers about 0..1, at the
/// newest row of each window.
///
/// Calendar conditions are those of local time, at a fixed offset from UTC.
struct Conditions {
  bool hour = false;     ///< Two waves of a day and two of half a day.
  bool weekday = false;  ///< One of seven.
  bool holiday = false;
  std::vector<std::int64_t> holidays{};  ///< Days since 1970-01-01.
  std::int64_t utc_offset = 0;           ///< Minutes.
  std::int64_t entities = 0;             ///< Series that it tells apart; 0: none.
  std::vector<std::int64_t> fields{};    ///< Indices of channels, as they are scaled.

  /// Reads "hour", "weekday", "holiday", "entity" and names of channels. Holidays are dates such as
  /// "2026-12-25". Errors: kInvalid.
  [[nodiscard]] static Result<Conditions> parse(std::span<const std::string> names,
                                                std::span<const std::string> holidays,
                                                std::int64_t utc_offset,
                                                std::span<const Channel> channels,
                                                std::size_t num_series);
  /// As a checkpoint has them. Errors: kInvalid.
  [[nodiscard]] static Result<Conditions> from_options(const MemberOptions& options);
  void add_to(MemberOptions& options) const;

  /// Numbers for each window.
  [[nodiscard]] std::int64_t width() const;
  /// Appends them. `time` is in microseconds, `entity` counts from 1, 0 being an unknown series;
  /// `newest` is the newest row.
  void append(std::int64_t time, std::uint32_t entity, std::span<const float> newest,
              std::vector<float>& out) const;
};

/// Days since 1970-01-01 of a date such as "2026-12-25". Errors: kInvalid.
[[nodiscard]] Result<std::int64_t> day_of(const std::string& date);

}  // namespace anomalyd::models
