#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace anomalyd::pipeline {

/// What a challenger has to prove before it may take the champion's place. See examine.
struct GateOptions {
  double loss_margin = 0.02;  ///< 0..1. By how much its loss may exceed the champion's.
  /// 1..100. Alerts on normal rows, in alert budgets, that it may make; chance comes on top.
  double budget_multiple = 3;
  double recall_margin = 0.05;  ///< 0..1. By how much its recall of faults may be lower.
  /// 0.5..0.9999. How sure a refusal must be that it is not chance.
  double confidence = 0.99;
  std::size_t min_rows = 500;     ///< 64..1e6. Unseen rows of all series that a judgement takes.
  std::size_t max_rows = 20'000;  ///< 500..1e6. Of more only so many are used.
  std::size_t faults = 24;        ///< 4..1000. Injected faults of each type.
  std::chrono::milliseconds load_limit{30'000};    ///< 100 ms..1 h. To read the checkpoint.
  std::chrono::milliseconds check_limit{600'000};  ///< 1 s..1 h. For each of the other checks.
  std::size_t max_bytes = std::size_t{1} << 30U;   ///< 1 MiB..4 GiB. Of the checkpoint.
  /// 1 min..30 d. How long to wait for enough unseen rows. Then the champion stays, or
  /// `promote_unproven` decides.
  std::chrono::milliseconds data_limit{std::chrono::hours{24}};
  /// Whether a challenger that could not be judged in that time replaces a champion that is unfit.
  bool promote_unproven = false;
  std::uint64_t seed = 1;  ///< Of the faults and of the resampling. Same seed, same judgement.
};

}  // namespace anomalyd::pipeline
