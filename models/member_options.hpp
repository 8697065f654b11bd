#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"

namespace anomalyd::models {

/// What a member of a model is, apart from its weights: lists of numbers by name.
///
/// One plain form for every kind, so that a checkpoint can carry any member and a new kind needs
/// no change elsewhere. Each kind reads its own options with the functions below, which refuse
/// what is missing or out of range: the numbers may come from a hostile file.
using MemberOptions = std::map<std::string, std::vector<double>, std::less<>>;

/// A member to be trained, or one that was: which kind, under which name, how.
struct MemberSpec {
  std::string name;  ///< As in alerts and reports: "var4", "pca".
  std::string kind;  ///< A row of the registry: "predictor", "pca".
  MemberOptions options;
};

/// Kinds of windows that a model may tell apart.
inline constexpr std::size_t kMostClasses = 64;

/// Inclusive bounds of an option.
struct Range {
  double low;
  double high;
};

/// Returns the one number named `name`. Errors: kInvalid.
[[nodiscard]] Result<double> number(const MemberOptions& options, std::string_view name,
                                    Range range);
/// The same, for counts.
[[nodiscard]] Result<std::int64_t> whole_number(const MemberOptions& options, std::string_view name,
                                                Range range);
/// Returns between 1 and `max_count` whole numbers named `name`. Errors: kInvalid.
[[nodiscard]] Result<std::vector<std::int64_t>> whole_numbers(const MemberOptions& options,
                                                              std::string_view name, Range range,
                                                              std::size_t max_count);

}  // namespace anomalyd::models
