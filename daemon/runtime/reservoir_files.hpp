#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>

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

[[nodiscard]] std::size_t rows_in(std::span<const RowChunk> chunks);

/// Number of rows, first and last time; the rest is zero.
[[nodiscard]] BlockHead times_of(std::span<const RowChunk> chunks);

/// Calls `take` with as many chunks at a time as make a block.
template <typename Take>
Status in_blocks(std::span<const RowChunk> chunks, std::size_t most, Take take) {
  for (std::size_t begin = 0, end = 0; begin < chunks.size(); begin = end) {
    std::size_t rows = 0;
    for (end = begin; end < chunks.size(); ++end) {
      const std::size_t more = chunks[end].history.size();
      if (end > begin && rows + more > most) break;
      rows += more;
    }
    if (auto taken = take(chunks.subspan(begin, end - begin)); !taken) return taken;
  }
  return {};
}

}  // namespace anomalyd::runtime
