#include "daemon/runtime/reservoir.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <tuple>
#include <utility>

#include "daemon/runtime/reservoir_files.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using pipeline::History;
using pipeline::JudgedRows;

constexpr std::size_t kMaxPendingBytes = 32 << 20;
constexpr std::uint64_t kMaxSegment = 8 << 20;
constexpr std::uint64_t kMinSegment = 16 << 10;
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

/// Puts the rows of a series together, in time order.
void sort_by_series(std::vector<RowChunk>& chunks) {
  std::ranges::stable_sort(chunks, [](const RowChunk& a, const RowChunk& b) {
    return std::tie(a.history.series, a.history.times.front()) <
           std::tie(b.history.series, b.history.times.front());
  });
}

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

std::size_t rows_in(std::span<const RowChunk> chunks) {
  std::size_t rows = 0;
  for (const RowChunk& chunk : chunks) rows += chunk.history.size();
  return rows;
}

BlockHead times_of(std::span<const RowChunk> chunks) {
  BlockHead head;
  head.rows = static_cast<std::uint32_t>(rows_in(chunks));
  head.first_time = std::numeric_limits<std::int64_t>::max();
  head.last_time = std::numeric_limits<std::int64_t>::min();
  for (const RowChunk& chunk : chunks) {
    for (const std::int64_t time : chunk.history.times) {
      head.first_time = std::min(head.first_time, time);
      head.last_time = std::max(head.last_time, time);
    }
  }
  return head;
}

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

}  // namespace

fs::path Reservoir::folder_of(const fs::path& reservoir, const std::string& group_key) {
  char name[24];
  std::snprintf(name, sizeof name, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(group_key.data(), group_key.size())));
  return reservoir / name;
}

fs::path Reservoir::path_of(const Group& group, std::uint64_t number) {
  char name[40];
  std::snprintf(name, sizeof name, "%012llu%s", static_cast<unsigned long long>(number),
                kSegmentSuffix);
  return group.folder / name;
}

std::uint64_t Reservoir::segment_bytes() const {
  const std::uint64_t groups = std::max<std::uint64_t>(groups_.size(), 1);
  return std::clamp(options_.max_bytes / (64 * groups), kMinSegment, kMaxSegment);
}

Result<Reservoir> Reservoir::open(fs::path folder, const ReservoirOptions& options) {
  if (auto made = make_folder(folder); !made) return Failure{std::move(made.error())};
  std::error_code error;
  const fs::path lock_path = folder / "lock";
  File lock{lock_path, O_RDWR | O_CREAT};
  if (!lock.is_open()) return io_failure(lock_path, "cannot write to the folder");
  if (!lock.lock()) {
    return fail(ErrorKind::kInvalid, folder.string() +
                                         ": another process writes to this reservoir; expected a "
                                         "state folder for each daemon");
  }
  Reservoir reservoir{std::move(folder), options, std::move(lock)};
  for (const auto& entry : fs::directory_iterator{reservoir.folder_, error}) {
    std::error_code ignored;
    if (entry.is_directory(ignored)) reservoir.load(entry.path());
  }
  if (error) {
    return fail(ErrorKind::kInvalid,
                reservoir.folder_.string() + ": cannot read: " + error.message());
  }
  return reservoir;
}

Reservoir::~Reservoir() {
  if (lock_.is_open()) (void)flush();  // not one that was moved from
}

void Reservoir::load(const fs::path& group_folder) {
  Group group;
  group.folder = group_folder;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{group_folder, error}) {
    std::error_code ignored;
    if (entry.path().extension() == ".draft") fs::remove(entry.path(), ignored);
  }
  for (const auto& [number, path] : list_segments(group_folder)) {
    if (auto segment = load_segment(path, number, group.header.channels)) {
      bytes_ += segment->piece.bytes;
      group.segments.push_back(*segment);
    }
  }
  if (group.segments.empty()) return;
  const std::string key = pipeline::group_key(group.header.channels);
  if (folder_of(folder_, key) != group_folder) {
    troubles_.push_back({ErrorKind::kIncompatible, group_folder.string() + ": holds rows of '" +
                                                       key + "'; expected them in " +
                                                       folder_of(folder_, key).filename().string() +
                                                       "; not used"});
    for (const Segment& segment : group.segments) bytes_ -= segment.piece.bytes;
    return;
  }
  groups_.emplace(key, std::move(group));
}

/// What is known of a segment without its rows. One that is still growing is checked block by block
/// and cut where it was not written to the end; nothing when it is damaged.
std::optional<Reservoir::Segment> Reservoir::load_segment(const fs::path& path,
                                                          std::uint64_t number,
                                                          std::vector<Channel>& channels) {
  Segment segment{number, {}, false};
  std::error_code error;
  segment.piece.bytes = fs::file_size(path, error);
  auto header = read_header(path);
  if (!header) {
    if (header.error().kind == ErrorKind::kIncompatible) {
      set_aside(path, header.error().message);
    } else {
      troubles_.push_back(header.error());
    }
    return {};
  }
  if (channels.empty()) channels = header->channels;
  if (pipeline::group_key(channels) != pipeline::group_key(header->channels)) {
    set_aside(path, path.string() + ": has other channels than the segments before it");
    return {};
  }
  channels = header->channels;  // of the newest: units may have changed
  segment.piece.thinned = header->thinned;
  if (header->sealed) {
    segment.piece.first = header->sealed->first;
    segment.piece.last = header->sealed->last;
    segment.sealed = true;
    return segment;
  }

  const File file{path, O_RDWR};
  if (!file.is_open()) {
    troubles_.push_back(io_error(path, "cannot read"));
    return {};
  }
  const auto bytes = file.read_all(path, kMaxSegmentBytes);
  if (!bytes) {
    troubles_.push_back(bytes.error());
    return {};
  }
  auto decoder = RowsDecoder::open(*bytes);
  if (!decoder) {
    set_aside(path, path.string() + ": " + decoder.error().message);
    return {};
  }
  segment.piece.first = std::numeric_limits<std::int64_t>::max();
  segment.piece.last = std::numeric_limits<std::int64_t>::min();
  std::optional<std::size_t> unsound;
  bool more = false;  // behind an unsound block
  while (!more && decoder->next()) {
    more = unsound.has_value();
    if (!more && !decoder->is_sound()) unsound = decoder->position();
    if (unsound) continue;
    segment.piece.first = std::min(segment.piece.first, decoder->head().first_time);
    segment.piece.last = std::max(segment.piece.last, decoder->head().last_time);
  }
  // A power cut may leave the last block with its size but without its content.
  const bool damaged_inside = unsound ? more || decoder->end() != RowsDecoder::End::kClean
                                      : decoder->end() == RowsDecoder::End::kDamaged;
  if (damaged_inside) {
    set_aside(path, path.string() + ": " +
                        (unsound ? "the checksum of the block at byte " + std::to_string(*unsound) +
                                       " does not match"
                                 : decoder->complaint()));
    return {};
  }
  const std::size_t whole = unsound ? *unsound : decoder->position();
  if (whole < bytes->size()) {
    troubles_.push_back({ErrorKind::kIncompatible,
                         path.string() + ": the last block, at byte " + std::to_string(whole) +
                             ", was not written to its end; its " +
                             std::to_string(bytes->size() - whole) + " bytes are cut off"});
    if (!file.truncate(whole)) troubles_.push_back(io_error(path, "cannot cut"));
    segment.piece.bytes = whole;
  }
  if (segment.piece.last < segment.piece.first) {  // no block is left
    std::error_code ignored;
    fs::remove(path, ignored);
    return {};
  }
  return segment;
}

Result<Reservoir::Group*> Reservoir::group_of(const std::vector<Channel>& channels) {
  std::string key = pipeline::group_key(channels);
  const auto found = groups_.find(key);
  if (found != groups_.end()) return &found->second;
  Group group;
  group.folder = folder_of(folder_, key);
  group.header.channels = channels;
  std::error_code error;
  fs::create_directories(group.folder, error);
  if (error) {
    const bool full = error == std::errc::no_space_on_device;
    return fail(full ? ErrorKind::kExhausted : ErrorKind::kInvalid,
                group.folder.string() + ": cannot create the folder: " + error.message());
  }
  const auto segments = list_segments(group.folder);  // of a group that could not be used
  if (!segments.empty()) {
    return fail(ErrorKind::kIncompatible, group.folder.string() +
                                              ": holds rows of another group; expected those of '" +
                                              key + "'; move the folder away");
  }
  return &groups_.emplace(std::move(key), std::move(group)).first->second;
}

Status Reservoir::take(const JudgedRows& chunk) {
  const History& history = chunk.history;
  const std::size_t n = history.size();
  if (n == 0) return {};
  if (history.width != chunk.channels.size() || chunk.marks.size() != n ||
      history.offsets.size() != n || history.gaps.size() != n ||
      history.rows.size() != n * history.width) {
    counters_.rows_lost += n;
    return fail(ErrorKind::kInvalid,
                "rows of series '" + history.series + "': found " + std::to_string(n) + " times, " +
                    std::to_string(chunk.marks.size()) + " marks and " +
                    std::to_string(history.rows.size()) + " values; expected a mark and " +
                    std::to_string(chunk.channels.size()) + " values for each");
  }
  auto group = group_of(chunk.channels);
  if (!group) {
    counters_.rows_lost += n;
    return Failure{group.error()};
  }
  const std::size_t most = rows_per_block(history.width);
  for (std::size_t begin = 0; begin < n; begin += most) {
    const std::size_t end = std::min(n, begin + most);
    (*group)->pending.push_back(slice(history, chunk.marks, begin, end));
    pending_bytes_ += sizeof(RowChunk);
  }
  (*group)->pending_rows += n;
  pending_bytes_ += n * (History::bytes_of_row(history.width) + 1);
  return (*group)->pending_rows >= most ? write_pending(**group) : Status{};
}

Status Reservoir::append(std::span<const JudgedRows> chunks) {
  Status trouble;
  const auto note = [&](Status status) {
    if (trouble && !status) trouble = std::move(status);
  };
  for (const JudgedRows& chunk : chunks) {
    note(take(chunk));
    if (pending_bytes_ > kMaxPendingBytes) note(flush());
  }
  if (bytes_ > options_.max_bytes) note(make_room());
  return trouble;
}

Status Reservoir::flush() {
  Status trouble;
  for (auto& [key, group] : groups_) {
    auto written = write_pending(group);
    if (trouble && !written) trouble = std::move(written);
  }
  auto room = make_room();
  return trouble ? room : trouble;
}

Status Reservoir::write_pending(Group& group) {
  if (group.pending.empty()) return {};
  std::vector<RowChunk> chunks = std::exchange(group.pending, {});
  pending_bytes_ -=
      std::min(pending_bytes_,
               group.pending_rows * (History::bytes_of_row(group.header.channels.size()) + 1) +
                   chunks.size() * sizeof(RowChunk));
  group.pending_rows = 0;
  std::ranges::stable_sort(
      chunks, {}, [](const RowChunk& chunk) -> const std::string& { return chunk.history.series; });
  std::size_t left = rows_in(chunks);
  const auto write = [&](std::span<const RowChunk> batch) -> Status {
    const BlockHead head = times_of(batch);
    const auto block = encode_block(group.header, batch);
    if (!block) return Failure{block.error()};
    if (auto appended = append_block(group, *block, head); !appended) return appended;
    left -= head.rows;
    counters_.rows_written += head.rows;
    counters_.bytes_written += block->size();
    return {};
  };
  auto written = in_blocks(chunks, rows_per_block(group.header.channels.size()), write);
  counters_.rows_lost += left;
  return written;
}

Status Reservoir::append_block(Group& group, std::span<const std::byte> block,
                               const BlockHead& head) {
  if (group.segments.empty() || group.segments.back().sealed) {
    Segment segment;
    segment.number = group.segments.empty() ? 1 : group.segments.back().number + 1;
    RowsHeader header = group.header;
    header.sealed.reset();
    header.thinned = {};
    const auto begin = encode_header(header);
    auto written = replace_file(path_of(group, segment.number), [&](const File& file) {
      return file.write(begin) && file.write(block);
    });
    if (!written) return written;
    segment.piece = {begin.size() + block.size(), head.first_time, head.last_time, {}};
    bytes_ += segment.piece.bytes;
    group.segments.push_back(segment);
  } else {
    Segment& segment = group.segments.back();
    const fs::path path = path_of(group, segment.number);
    const File file{path, O_WRONLY | O_APPEND};
    if (!file.is_open() || !file.write(block)) {
      Failure failure = io_failure(path, "cannot append");
      if (!file.is_open() || !file.truncate(segment.piece.bytes)) segment.sealed = true;
      return failure;
    }
    segment.piece.bytes += block.size();
    segment.piece.first = std::min(segment.piece.first, head.first_time);
    segment.piece.last = std::max(segment.piece.last, head.last_time);
    bytes_ += block.size();
  }
  if (group.segments.back().piece.bytes < segment_bytes()) return {};
  group.segments.back().sealed = true;  // whether or not it can be written anew
  auto sealed = rewrite(group, group.segments.size() - 1, 1, {});
  if (!sealed) troubles_.push_back(sealed.error());  // the rows themselves are on disk
  return {};
}

/// Writes `count` segments anew as one, thinned. What is damaged among them is set aside.
Status Reservoir::rewrite(Group& group, std::size_t first, std::size_t count,
                          const Thinning& thinning) {
  std::vector<RowChunk> chunks;
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
      std::vector<RowChunk> all;
      while (decoder->next()) {
        auto block = decoder->chunks(RowsDecoder::Detail::kAll);
        if (!block) break;
        std::ranges::move(*block, std::back_inserter(all));
      }
      if (decoder->end() == RowsDecoder::End::kDamaged) {
        return fail(ErrorKind::kIncompatible, path.string() + ": " + decoder->complaint());
      }
      rows_before += rows_in(all);
      std::ranges::move(all, std::back_inserter(chunks));
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
  sort_by_series(chunks);
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
  if (auto encoded = in_blocks(chunks, rows_per_block(header.channels.size()), encode); !encoded) {
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

void Reservoir::set_aside(const fs::path& path, const std::string& why) {
  std::error_code error;
  fs::rename(path, path.string() + ".damaged", error);
  ++counters_.segments_damaged;
  troubles_.push_back({ErrorKind::kIncompatible,
                       why + (error ? "; cannot be renamed: " + error.message()
                                    : "; kept as " + path.filename().string() + ".damaged")});
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

std::vector<Error> Reservoir::take_troubles() { return std::exchange(troubles_, {}); }

}  // namespace anomalyd::runtime
