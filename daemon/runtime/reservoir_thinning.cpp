// What becomes of rows that are not the newest: segments are packed anew, thinned and removed.

#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include "daemon/runtime/reservoir.hpp"
#include "daemon/runtime/reservoir_files.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using pipeline::History;

constexpr int kThinningAttempts = 8;

std::int64_t usual_step(std::span<const RowChunk* const> chunks) {
  std::vector<std::int64_t> steps;
  for (const RowChunk* chunk : chunks) {
    const auto& times = chunk->history.times;
    for (std::size_t i = 1; i < times.size(); ++i) {
      if (times[i] > times[i - 1]) steps.push_back(times[i] - times[i - 1]);
    }
  }
  if (steps.empty()) return 60'000'000;  // single rows: any stretch will do
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

/// Chunks of many series, joined to longer ones where they follow on each other: of a large fleet
/// they come with few rows each.
class JoinedChunks {
 public:
  explicit JoinedChunks(std::size_t most_rows) : most_rows_{most_rows} {}

  void add(RowChunk chunk) {
    std::vector<RowChunk>& chunks = series_[chunk.history.series];
    if (chunks.empty() || !follows(chunk.history, chunks.back().history)) {
      chunks.push_back(std::move(chunk));
      return;
    }
    chunks.back().history.append(chunk.history);
    chunks.back().marks.insert(chunks.back().marks.end(), chunk.marks.begin(), chunk.marks.end());
  }

  /// Series by series, each in time order.
  std::vector<RowChunk> take() {
    std::vector<RowChunk> all;
    for (auto& [series, chunks] : series_) {
      std::ranges::stable_sort(chunks, {},
                               [](const RowChunk& chunk) { return chunk.history.times.front(); });
      std::ranges::move(chunks, std::back_inserter(all));
    }
    series_.clear();
    return all;
  }

 private:
  [[nodiscard]] bool follows(const History& later, const History& earlier) const {
    return later.times.front() > earlier.times.back() &&
           later.size() + earlier.size() <= most_rows_;
  }

  std::size_t most_rows_;
  std::map<std::string, std::vector<RowChunk>> series_;
};

/// The stretches of sorted chunks that stay.
std::vector<RowChunk> thinned(std::vector<RowChunk> chunks, const Thinning& thinning) {
  std::vector<RowChunk> kept;
  for (std::size_t begin = 0, end = 0; begin < chunks.size(); begin = end) {
    const std::string& series = chunks[begin].history.series;
    std::vector<const RowChunk*> all;
    for (end = begin; end < chunks.size() && chunks[end].history.series == series; ++end) {
      all.push_back(&chunks[end]);
    }
    const Stretches stretches{series, usual_step(all)};
    bool restart = false;  // rows before the next one were taken away
    for (const RowChunk* chunk : all) {
      const auto& times = chunk->history.times;
      for (std::size_t i = 0, j = 0; i < times.size(); i = j) {
        const bool keeps = stretches.keeps(times[i], thinning);
        j = i + 1;
        while (j < times.size() && stretches.keeps(times[j], thinning) == keeps) ++j;
        if (keeps) {
          kept.push_back(slice(chunk->history, chunk->marks, i, j));
          if (restart) kept.back().history.gaps.front() = History::kRestart;
        }
        restart = !keeps;
      }
    }
  }
  return kept;
}

}  // namespace

/// Writes `count` segments anew as one, thinned. What is damaged among them is set aside.
Status Reservoir::rewrite(Group& group, std::size_t first, std::size_t count,
                          const Thinning& thinning) {
  const std::size_t block_rows = rows_per_block(group.header.channels.size());
  JoinedChunks joined{block_rows};
  Thinning before;
  std::size_t rows_before = 0;
  for (std::size_t i = first; i < first + count;) {
    const fs::path path = path_of(group, group.segments[i].number);
    const auto read = [&]() -> Status {
      const File file{path, O_RDONLY};
      if (!file.is_open()) return io_failure(path, "cannot read");
      const auto bytes = file.read_all(path, kMaxSegmentBytes);
      if (!bytes) return Failure{bytes.error()};
      auto decoder = RowsDecoder::open(*bytes);
      if (!decoder) return fail(std::move(decoder.error()), path.string());
      JoinedChunks all{block_rows};
      std::size_t rows = 0;
      while (decoder->next()) {
        auto block = decoder->chunks(RowsDecoder::Detail::kAll);
        if (!block) break;
        rows += decoder->head().rows;
        for (RowChunk& chunk : *block) all.add(std::move(chunk));
      }
      if (decoder->end() == RowsDecoder::End::kDamaged) {
        return fail(ErrorKind::kIncompatible, path.string() + ": " + decoder->complaint());
      }
      rows_before += rows;
      for (RowChunk& chunk : all.take()) joined.add(std::move(chunk));
      return {};
    };
    if (auto done = read(); !done) {
      if (done.error().kind == ErrorKind::kIncompatible) {
        set_aside(path, done.error().message);
      } else {
        troubles_.push_back(done.error());  // gone, or not ours to read: nothing can be done
      }
      bytes_ -= group.segments[i].piece.bytes;
      group.segments.erase(group.segments.begin() + static_cast<std::ptrdiff_t>(i));
      --count;
      continue;
    }
    if (group.segments[i].piece.thinned.beyond < before.beyond) {
      before = group.segments[i].piece.thinned;
    }
    ++i;
  }
  if (count == 0) return {};
  std::vector<RowChunk> chunks = joined.take();
  constexpr auto kAllStay = std::numeric_limits<std::int64_t>::max();
  if (thinning.beyond != kAllStay) chunks = thinned(std::move(chunks), thinning);
  const BlockHead times = times_of(chunks);
  const std::size_t rows_after = rows_in(chunks);
  if (chunks.empty()) {
    counters_.rows_thinned += rows_before;
    remove(group, first, count);
    return {};
  }

  RowsHeader header = group.header;
  header.thinned = thinning.beyond < before.beyond ? thinning : before;
  header.sealed = RowsHeader::Span{times.first_time, times.last_time};
  std::vector<std::byte> bytes = encode_header(header);
  const auto encode = [&](std::span<const RowChunk> batch) -> Status {
    auto block = encode_block(header, batch);
    if (!block) return Failure{block.error()};
    bytes.insert(bytes.end(), block->begin(), block->end());
    return {};
  };
  if (auto encoded = in_blocks(chunks, block_rows, encode); !encoded) {
    return encoded;
  }
  Segment& segment = group.segments[first];
  auto written = replace_file(path_of(group, segment.number),
                              [&](const File& file) { return file.write(bytes); });
  if (!written) return written;
  bytes_ = bytes_ - segment.piece.bytes + bytes.size();
  segment.piece = {bytes.size(), times.first_time, times.last_time, header.thinned};
  segment.sealed = true;
  counters_.bytes_rewritten += bytes.size();
  counters_.rows_thinned += rows_before - rows_after;
  remove(group, first + 1, count - 1);  // a crash before it leaves rows twice, which does no harm
  return {};
}

void Reservoir::remove(Group& group, std::size_t first, std::size_t count) {
  for (std::size_t i = first; i < first + count; ++i) {
    std::error_code error;
    const fs::path path = path_of(group, group.segments[i].number);
    fs::remove(path, error);
    if (error) {
      troubles_.push_back(
          {ErrorKind::kInvalid, path.string() + ": cannot remove: " + error.message()});
    }
    bytes_ -= group.segments[i].piece.bytes;
  }
  const auto begin = group.segments.begin() + static_cast<std::ptrdiff_t>(first);
  group.segments.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
}

/// Forgets what is too old and thins what is too much.
Status Reservoir::make_room() {
  std::int64_t newest = std::numeric_limits<std::int64_t>::min();
  std::vector<std::uint64_t> sizes;
  for (const auto& [key, group] : groups_) {
    std::uint64_t size = 0;
    for (const Segment& segment : group.segments) {
      newest = std::max(newest, segment.piece.last);
      size += segment.piece.bytes;
    }
    sizes.push_back(size);
  }
  const std::int64_t oldest =
      newest - std::chrono::duration_cast<std::chrono::microseconds>(options_.max_age).count();
  for (auto& [key, group] : groups_) {
    for (std::size_t i = group.segments.size(); i-- > 0;) {
      if (group.segments[i].piece.last < oldest) remove(group, i, 1);
    }
  }
  if (bytes_ <= options_.max_bytes) return {};
  const std::uint64_t most = fair_share(sizes, options_.max_bytes - options_.max_bytes / 8);
  for (auto& [key, group] : groups_) thin(group, most, newest);
  if (bytes_ <= options_.max_bytes) return {};
  return fail(ErrorKind::kExhausted,
              folder_.string() + ": found " + std::to_string(bytes_) +
                  " bytes of rows that cannot be thinned; expected at most " +
                  std::to_string(options_.max_bytes) + " (retraining.reservoir.max_bytes)");
}

/// Thins the sealed segments of a group until all take at most `max_bytes`. The newest one stays.
void Reservoir::thin(Group& group, std::uint64_t max_bytes, std::int64_t newest) {
  const auto size = [&] {
    std::uint64_t total = 0;
    for (const Segment& segment : group.segments) total += segment.piece.bytes;
    return total;
  };
  std::uint64_t wanted = max_bytes;
  for (int attempt = 0; attempt < kThinningAttempts && size() > max_bytes; ++attempt) {
    const std::size_t n = group.segments.size() - 1;  // the newest is not touched
    std::vector<StoredPiece> pieces;
    for (std::size_t i = 0; i < n; ++i) pieces.push_back(group.segments[i].piece);
    const std::uint64_t newest_bytes = group.segments.back().piece.bytes;
    const Thinning thinning =
        find_thinning(pieces, wanted > newest_bytes ? wanted - newest_bytes : 0, newest);
    // Neighbours that become small are written as one.
    for (std::size_t i = 0; i + 1 < group.segments.size();) {
      const auto expected = [&](std::size_t at) {
        const StoredPiece& piece = group.segments[at].piece;
        const double share = share_that_stays(piece, thinning);
        return std::pair{share <= 1 - kWorthwhile, share * static_cast<double>(piece.bytes)};
      };
      auto [worthwhile, bytes] = expected(i);
      std::size_t count = 1;
      while (i + count + 1 < group.segments.size()) {
        const auto [also, more] = expected(i + count);
        const bool small = more < static_cast<double>(segment_bytes()) / 8;
        if (!(also || (worthwhile && small)) ||
            bytes + more > static_cast<double>(segment_bytes())) {
          break;
        }
        worthwhile = worthwhile || also;
        bytes += more;
        ++count;
      }
      if (worthwhile) {
        if (auto done = rewrite(group, i, count, thinning); !done) {
          troubles_.push_back(done.error());
          attempt = kThinningAttempts;
          break;
        }
      }
      i += worthwhile ? 1 : count;
    }
    wanted -= wanted / 4;
  }
  // Stretches too long to be thinned, or a disk too full to write them anew: the oldest go.
  while (size() > max_bytes && group.segments.size() > 1) remove(group, 0, 1);
}

}  // namespace anomalyd::runtime
