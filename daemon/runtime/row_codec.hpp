#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/pipeline/judged_rows.hpp"
#include "daemon/runtime/reservoir_decay.hpp"

namespace anomalyd::runtime {

// How rows lie on disk. A file is a header and then blocks, each with a checksum of its own, so
// that blocks can be appended and a torn one at the end is found. All numbers are little-endian.
//
// Header   magic, format version, the channels, how the rows were thinned, checksum.
// Block    a fixed part (magic, sizes, number of rows, first and last time, checksums of the
//          content and of the part itself), then the content, compressed by zstd.
// Content  the chunks of many series, column by column, for zstd finds like beside like: names and
//          sizes, times, offsets, gaps, marks, windowers, then the values channel by channel. Times
//          and offsets are differences as varints. Values that are decimals of up to six places,
//          as most measured ones are, are differences of whole numbers as varints; others are the
//          bits that differ from the value before, byte plane by byte plane. Every bit comes back,
//          those of NaN and -0 too.
//
// Whatever is read may be damaged or hostile: sizes are checked before memory is taken for them.

/// Successive rows of one series, without the channels that all of its file share.
struct RowChunk {
  pipeline::History history;
  std::vector<pipeline::RowMark> marks;  ///< One per row.
  bool continues = false;                ///< Of the chunk before, which was too long for one block.
};

/// Rows [begin, end) of a history, without its windower.
[[nodiscard]] RowChunk slice(const pipeline::History& history,
                             std::span<const pipeline::RowMark> marks, std::size_t begin,
                             std::size_t end);

/// What stands at the head of a file of rows.
struct RowsHeader {
  std::vector<Channel> channels;
  bool with_windowers = false;  ///< Whether chunks keep the windower of their history.
  /// How its rows were thinned, if they were: see reservoir_decay.hpp.
  Thinning thinned{};
  /// Times of all rows, where no block will be appended any more; else nothing.
  struct Span {
    std::int64_t first = 0;  ///< Microseconds.
    std::int64_t last = 0;
  };
  std::optional<Span> sealed{};
};

/// The fixed part of a block.
struct BlockHead {
  std::uint32_t stored_bytes = 0;  ///< Of the compressed content behind it.
  std::uint32_t content_bytes = 0;
  std::uint32_t rows = 0;
  std::uint32_t chunks = 0;
  std::int64_t first_time = 0;  ///< Of all rows, microseconds.
  std::int64_t last_time = 0;
};

inline constexpr std::size_t kMaxBlockRows = 1 << 16;
/// How many rows of so many channels a block should have at most.
[[nodiscard]] std::size_t rows_per_block(std::size_t width);

/// The bytes of a file's header.
[[nodiscard]] std::vector<std::byte> encode_header(const RowsHeader& header);

/// The bytes of a block of `chunks`: none is empty, all have as many columns as `header` has
/// channels, and together they have at most kMaxBlockRows rows. Errors: kExhausted when they take
/// more than 64 MiB, which rows_per_block keeps well below.
[[nodiscard]] Result<std::vector<std::byte>> encode_block(const RowsHeader& header,
                                                          std::span<const RowChunk> chunks);

/// Reads the bytes of a file of rows, block by block. Used by one thread at a time.
class RowsDecoder {
 public:
  enum class Detail : std::uint8_t {
    kAll,
    kNoValues,  ///< History::rows stays empty: for names, times and marks alone.
  };
  /// Why there is no further block.
  enum class End : std::uint8_t {
    kClean,    ///< The file ends behind a block.
    kTorn,     ///< It ends inside one, or in zeros: the writer did not come to the end.
    kDamaged,  ///< A checksum or a content is wrong; `error` says what.
  };

  /// Errors: kIncompatible when there is no header, or one of another version.
  [[nodiscard]] static Result<RowsDecoder> open(std::span<const std::byte> bytes);

  [[nodiscard]] const RowsHeader& header() const noexcept { return header_; }
  /// Goes to the next block; false at the end.
  [[nodiscard]] bool next();
  [[nodiscard]] const BlockHead& head() const noexcept { return head_; }
  /// The chunks of the block that next() went to. Errors: kIncompatible when it is damaged; then
  /// it is the end, and kDamaged.
  [[nodiscard]] Result<std::vector<RowChunk>> chunks(Detail detail);
  /// Whether the content of the block is as it was written; costs little beside decoding it.
  [[nodiscard]] bool is_sound() const;

  [[nodiscard]] End end() const noexcept { return end_; }
  /// Where the block at hand begins; at the end, where the last whole one ends.
  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  /// What is wrong where end() is not kClean.
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 private:
  explicit RowsDecoder(std::span<const std::byte> bytes) : bytes_{bytes} {}
  [[nodiscard]] std::span<const std::byte> content() const;
  bool stop(End end, std::string complaint);

  std::span<const std::byte> bytes_;
  RowsHeader header_;
  BlockHead head_;
  std::uint64_t content_sum_ = 0;
  std::size_t position_ = 0;
  std::size_t next_ = 0;  // where the next block begins
  End end_ = End::kClean;
  std::string complaint_;
};

}  // namespace anomalyd::runtime
