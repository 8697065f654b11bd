#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "daemon/runtime/reservoir.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using pipeline::History;
using pipeline::RowMark;

}  // namespace

Status write_rows(const fs::path& path, const std::vector<Channel>& channels,
                  std::span<const History> histories) {
  RowsHeader header;
  header.channels = channels;
  header.with_windowers = true;
  header.sealed = RowsHeader::Span{};
  for (const History& history : histories) {
    if (history.width == channels.size()) continue;
    return fail(ErrorKind::kInvalid, path.string() + ": the rows of series '" + history.series +
                                         "' have " + std::to_string(history.width) +
                                         " columns; expected " + std::to_string(channels.size()));
  }
  const std::size_t most = rows_per_block(channels.size());
  Status trouble;
  const auto fill = [&](const File& file) {
    std::vector<RowChunk> batch;
    std::size_t rows = 0;
    const auto flush = [&] {
      if (batch.empty()) return true;
      const auto block = encode_block(header, batch);
      batch.clear();
      rows = 0;
      if (!block) trouble = Failure{block.error()};
      return block && file.write(*block);
    };
    if (!file.write(encode_header(header))) return false;
    for (const History& history : histories) {
      for (std::size_t begin = 0; begin < history.size();) {
        const std::size_t end = std::min(history.size(), begin + most - rows);
        RowChunk& chunk = batch.emplace_back(
            slice(history, std::vector(history.size(), RowMark::kNormal), begin, end));
        chunk.history.windower = history.windower;
        chunk.continues = begin > 0;
        rows += end - begin;
        begin = end;
        if (rows == most && !flush()) return false;
      }
    }
    // An empty file at the end of the blocks tells a whole file from one that was cut.
    return flush() && file.write(encode_header(header));
  };
  auto written = replace_file(path, fill);
  return trouble ? written : trouble;
}

Result<StoredRows> read_rows(const fs::path& path) {
  const File file{path, O_RDONLY};
  if (!file.is_open()) return io_failure(path, "cannot read");
  auto bytes = file.read_all(path, std::uintmax_t{1} << 34);
  if (!bytes) return Failure{bytes.error()};
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorKind::kIncompatible, path.string() + ": " + why);
  };
  auto decoder = RowsDecoder::open(*bytes);
  if (!decoder) return refuse(decoder.error().message);
  // The header stands at both ends.
  const std::size_t size = decoder->position();
  const auto whole = std::span{*bytes};
  if (whole.size() < 2 * size || !std::ranges::equal(whole.first(size), whole.last(size))) {
    return refuse("the file does not end as it should; was it cut?");
  }
  decoder = RowsDecoder::open(whole.first(whole.size() - size));
  StoredRows stored;
  stored.channels = decoder->header().channels;
  while (decoder->next()) {
    auto chunks = decoder->chunks(RowsDecoder::Detail::kAll);
    if (!chunks) break;
    for (RowChunk& chunk : *chunks) {
      if (chunk.continues && !stored.histories.empty()) {
        stored.histories.back().append(chunk.history);
      } else {
        stored.histories.push_back(std::move(chunk.history));
      }
    }
  }
  if (decoder->end() != RowsDecoder::End::kClean) return refuse(decoder->complaint());
  return stored;
}

}  // namespace anomalyd::runtime
