// Files of rows lie on a disk that may lie. Whatever is read must be whole, and must come back the
// same when it is written again.

#include <xxhash.h>
#include <zstd.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/state_codec.hpp"
#include "daemon/runtime/row_codec.hpp"

namespace anomalyd::runtime {
namespace {

void check(const RowsHeader& header, const std::vector<RowChunk>& chunks) {
  for (const RowChunk& chunk : chunks) {
    const auto& history = chunk.history;
    const std::size_t n = history.size();
    if (n == 0 || history.offsets.size() != n || history.gaps.size() != n ||
        chunk.marks.size() != n || history.rows.size() != n * header.channels.size()) {
      std::abort();
    }
  }
  if (chunks.empty()) return;
  std::vector<std::byte> file = encode_header(header);
  const auto block = encode_block(header, chunks);
  if (!block) return;
  file.insert(file.end(), block->begin(), block->end());
  auto decoder = RowsDecoder::open(file);
  if (!decoder || !decoder->next()) std::abort();
  const auto again = decoder->chunks(RowsDecoder::Detail::kAll);
  if (!again || again->size() != chunks.size()) std::abort();
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const auto &a = chunks[c].history, &b = (*again)[c].history;
    if (a.series != b.series || a.times != b.times || a.offsets != b.offsets || a.gaps != b.gaps ||
        chunks[c].marks != (*again)[c].marks) {
      std::abort();
    }
    for (std::size_t i = 0; i < a.rows.size(); ++i) {
      if (std::bit_cast<std::uint64_t>(a.rows[i]) != std::bit_cast<std::uint64_t>(b.rows[i])) {
        std::abort();
      }
    }
  }
}

void read(std::span<const std::byte> file) {
  for (const auto detail : {RowsDecoder::Detail::kAll, RowsDecoder::Detail::kNoValues}) {
    auto decoder = RowsDecoder::open(file);
    if (!decoder) return;
    while (decoder->next()) {
      const auto chunks = decoder->chunks(detail);
      if (chunks && detail == RowsDecoder::Detail::kAll) check(decoder->header(), *chunks);
    }
  }
}

}  // namespace
}  // namespace anomalyd::runtime

/// Input: what follows (1 byte): 255, a whole file; else a number of channels, then the numbers of
/// rows and chunks (2 bytes each) and the content of a block, which gets the checksums it needs.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anomalyd;
  using namespace anomalyd::runtime;
  StateReader in{std::as_bytes(std::span{data, size})};
  std::uint8_t width = 0;
  std::uint16_t rows = 0, num_chunks = 0;
  if (!in.get(width)) return 0;
  if (width == 255) {
    read(std::as_bytes(std::span{data, size}).subspan(1));
    return 0;
  }
  if (!in.get(rows) || !in.get(num_chunks)) return 0;
  const auto content = std::as_bytes(std::span{data, size}).subspan(5);
  std::vector<std::byte> stored(ZSTD_compressBound(content.size()));
  stored.resize(ZSTD_compress(stored.data(), stored.size(), content.data(), content.size(), 1));

  RowsHeader header;
  header.channels.assign(1 + width % 8, Channel{"c", ""});
  header.with_windowers = (width & 8) != 0;
  StateWriter head;
  head.put(std::uint32_t{0x4b434c42});
  head.put(static_cast<std::uint32_t>(stored.size()));
  head.put(static_cast<std::uint32_t>(content.size()));
  head.put(std::uint32_t{rows});
  head.put(std::uint32_t{num_chunks});
  head.put(std::uint32_t{0});
  head.put(std::int64_t{0});
  head.put(std::int64_t{0});
  head.put(static_cast<std::uint64_t>(XXH3_64bits(stored.data(), stored.size())));
  head.put(static_cast<std::uint64_t>(XXH3_64bits(head.bytes().data(), head.bytes().size())));
  std::vector<std::byte> file = encode_header(header);
  file.insert(file.end(), head.bytes().begin(), head.bytes().end());
  file.insert(file.end(), stored.begin(), stored.end());
  read(file);
  return 0;
}
