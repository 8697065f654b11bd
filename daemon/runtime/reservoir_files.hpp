#pragma once

#include <cstdint>
#include <filesystem>
#include <map>

#include "daemon/core/result.hpp"
#include "daemon/runtime/row_codec.hpp"

namespace anomalyd::runtime {

// What the writer and the reader of a reservoir share of its files.

inline constexpr const char* kSegmentSuffix = ".rows";
inline constexpr std::uintmax_t kMaxSegmentBytes = std::uintmax_t{1} << 30;  // believed to be one

/// The segments in the folder of a group, by number.
[[nodiscard]] std::map<std::uint64_t, std::filesystem::path> list_segments(
    const std::filesystem::path& folder);

/// The header of a file of rows. Errors: kInvalid when it cannot be read, kIncompatible when it is
/// damaged.
[[nodiscard]] Result<RowsHeader> read_header(const std::filesystem::path& path);

}  // namespace anomalyd::runtime
