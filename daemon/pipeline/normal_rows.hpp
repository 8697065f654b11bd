#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/pipeline/judged_rows.hpp"
#include "daemon/pipeline/labels.hpp"

namespace anomalyd::pipeline {

/// Why a row is not learned from.
enum class LeftOut : std::uint8_t {
  kUnready,       ///< RowMark::kUnready.
  kDataFault,     ///< RowMark::kDataFault.
  kSuspicious,    ///< RowMark::kSuspicious.
  kIncident,      ///< RowMark::kIncident.
  kNearIncident,  ///< Its window, or one that begins with it, may hold a part of an incident.
  kFault,         ///< A person has said that it is one.
  kExcluded,      ///< In an interval that was named to be left out.
  kNotNeeded,     ///< Beyond the number of rows that was asked for.
};
inline constexpr std::size_t kNumLeftOut = 8;

/// In words of one line: "near an incident".
[[nodiscard]] std::string_view to_string(LeftOut reason);

/// Rows of a series, by their times.
struct RowInterval {
  std::string series;  ///< Empty: all series.
  EventTime start;     ///< Of its first row.
  EventTime end;       ///< Of its last row.
};

struct NormalRowsOptions {
  /// Rows before and after an incident that are left out too: the length of a window, which may
  /// have held the first signs, and the last. Missing rows count; a restart ends it.
  std::size_t padding = 32;
  std::chrono::microseconds padding_time{0};  ///< And all rows within this time of one.
  /// So many rows left out in a row, or missing, are a gap that windows bridge; more a restart.
  std::size_t max_gap = 16;
  /// Suspicious rows for so long, without a normal one between, are another normal: no fault that
  /// nobody has ended by then.
  std::chrono::microseconds settled = std::chrono::hours{24};
  /// Rows wanted; SIZE_MAX takes all. With more than that, the newest half is taken whole, and the
  /// other half in stretches of `stretch` rows at even distances over the older ones.
  std::size_t rows = SIZE_MAX;
  std::size_t stretch = 256;
  bool with_faults =
      false;  ///< Lets rows labelled as faults in, for models that learn to name them.
};

/// What may be learned from of one series, and what was left out.
struct NormalRows {
  /// In time order. Its windower is that of the newest chunk; rows from the disk come without, and
  /// the time between them is that of the rows.
  History history;
  std::size_t seen = 0;                             ///< Distinct rows, before anything is left out.
  std::array<std::size_t, kNumLeftOut> left_out{};  ///< By LeftOut; with the history they are all.

  [[nodiscard]] std::size_t count(LeftOut reason) const noexcept {
    return left_out[static_cast<std::size_t>(reason)];
  }
};

/// Sorts out which rows of a series a model may be trained on.
///
/// `chunks` are of one series and of one set of channels, in any order. Where they overlap, as they
/// do when rows are read again after a restart, a row is taken once, with the gravest of its marks;
/// kUnready only where no copy was ready. Between chunks that do not follow on each other,
/// the time between them more than thrice what is usual, there is a restart.
///
/// `labels` are what people have said; of several that cover a row, the last one holds. "fault: x"
/// leaves a row out like an incident. "benign: x" and "normal" let it in, unless the data were
/// faulty; nothing is near an incident that was benign. `excluded` rows stay out whatever is said
/// of them.
[[nodiscard]] NormalRows normal_rows(std::span<const JudgedRows> chunks,
                                     std::span<const Label> labels,
                                     std::span<const RowInterval> excluded,
                                     const NormalRowsOptions& options);

/// Splits off the newest `share` (0..1) of the rows as a block that training does not see: first
/// the older rows, then the newest ones, which begin with a restart. Either may be empty.
[[nodiscard]] std::pair<History, History> hold_out_newest(const History& history, double share);

}  // namespace anomalyd::pipeline
