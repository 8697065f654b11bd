#include "daemon/runtime/reservoir.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "daemon/runtime/reservoir_files.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using pipeline::History;
using pipeline::JudgedRows;
using pipeline::RowMark;

constexpr std::size_t kMaxPendingBytes = 32 << 20;
constexpr std::uint64_t kMaxSegment = 8 << 20;
constexpr std::uint64_t kMinSegment = 16 << 10;
constexpr std::uint64_t kMaxUnpacked = 64 << 20;  // of a segment: it is packed anew as one

}  // namespace

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
  Segment segment{.number = number};
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
    segment.rows += decoder->head().rows;
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
    segment.rows = head.rows;
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
    segment.rows += head.rows;
    segment.piece.first = std::min(segment.piece.first, head.first_time);
    segment.piece.last = std::max(segment.piece.last, head.last_time);
    bytes_ += block.size();
  }
  const Segment& newest = group.segments.back();
  const std::size_t row = History::bytes_of_row(group.header.channels.size()) + sizeof(RowMark);
  if (newest.piece.bytes < segment_bytes() && newest.rows * row < kMaxUnpacked) return {};
  group.segments.back().sealed = true;  // whether or not it can be written anew
  auto sealed = rewrite(group, group.segments.size() - 1, 1, {});
  if (!sealed) troubles_.push_back(sealed.error());  // the rows themselves are on disk
  return {};
}

void Reservoir::set_aside(const fs::path& path, const std::string& why) {
  std::error_code error;
  fs::rename(path, path.string() + ".damaged", error);
  ++counters_.segments_damaged;
  troubles_.push_back({ErrorKind::kIncompatible,
                       why + (error ? "; cannot be renamed: " + error.message()
                                    : "; kept as " + path.filename().string() + ".damaged")});
}

std::vector<Error> Reservoir::take_troubles() { return std::exchange(troubles_, {}); }

}  // namespace anomalyd::runtime
