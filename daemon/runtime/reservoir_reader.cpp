#include <fcntl.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

#include "daemon/runtime/reservoir.hpp"
#include "daemon/runtime/reservoir_files.hpp"

namespace anomalyd::runtime {
namespace {

namespace fs = std::filesystem;
using pipeline::JudgedRows;

constexpr int kAttempts = 20;  // to open all files before one of them is replaced

struct OpenSegment {
  fs::path path;
  File file;
};

/// The segments of a group, all open: thinning replaces files but does not change them.
Result<std::vector<OpenSegment>> open_segments(const fs::path& folder) {
  for (int attempt = 0;; ++attempt) {
    std::vector<OpenSegment> open;
    bool complete = true;
    for (const auto& [number, path] : list_segments(folder)) {
      File file{path, O_RDONLY};
      if (!file.is_open() && errno == ENOENT && attempt < kAttempts) {
        complete = false;  // replaced since it was listed: its rows are in another one now
        break;
      }
      if (!file.is_open()) return io_failure(path, "cannot read");
      open.push_back({path, std::move(file)});
    }
    if (complete) return open;
  }
}

std::uint64_t hash_of(const std::string& text) { return XXH3_64bits(text.data(), text.size()); }

using BlockFn = std::function<void(const RowsHeader&, std::vector<RowChunk>&&)>;

/// Calls `take` for every block with rows in [from, until], file by file in order of arrival.
Result<std::vector<Error>> read_blocks(const fs::path& folder, RowsDecoder::Detail detail,
                                       std::int64_t from, std::int64_t until, const BlockFn& take) {
  auto segments = open_segments(folder);
  if (!segments) return Failure{segments.error()};
  std::vector<Error> damage;
  for (const auto& [path, file] : *segments) {
    const auto tell = [&, &path = path](const std::string& what) {
      damage.push_back({ErrorKind::kIncompatible, path.string() + ": " + what});
    };
    const auto bytes = file.read_all(path, kMaxSegmentBytes);
    if (!bytes) {
      damage.push_back(bytes.error());
      continue;
    }
    auto decoder = RowsDecoder::open(*bytes);
    if (!decoder) {
      tell(decoder.error().message);
      continue;
    }
    while (decoder->next()) {
      const BlockHead& head = decoder->head();
      if (head.last_time < from || head.first_time > until) continue;
      if (auto chunks = decoder->chunks(detail)) take(decoder->header(), std::move(*chunks));
    }
    // A torn block is one that is being written, or that the writer will cut off.
    if (decoder->end() == RowsDecoder::End::kDamaged) tell(decoder->complaint());
  }
  return damage;
}

}  // namespace

std::map<std::uint64_t, fs::path> list_segments(const fs::path& folder) {
  std::map<std::uint64_t, fs::path> segments;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error}) {
    const std::string name = entry.path().filename().string();
    const std::size_t digits = name.find_first_not_of("0123456789");
    if (digits == std::string::npos || digits == 0 || digits > 19) continue;
    if (name.substr(digits) == kSegmentSuffix) {
      segments.emplace(std::stoull(name.substr(0, digits)), entry.path());
    }
  }
  return segments;
}

Result<RowsHeader> read_header(const fs::path& path) {
  const File file{path, O_RDONLY};
  if (!file.is_open()) return io_failure(path, "cannot read");
  auto front = file.read_front(path, 1 << 16);
  if (!front) return Failure{front.error()};
  auto decoder = RowsDecoder::open(*front);
  if (!decoder && front->size() == 1 << 16) {  // thousands of channels
    front = file.read_all(path, kMaxSegmentBytes);
    if (!front) return Failure{front.error()};
    decoder = RowsDecoder::open(*front);
  }
  if (!decoder) return fail(std::move(decoder.error()), path.string());
  return decoder->header();
}

Result<ReservoirReader::Groups> ReservoirReader::groups() const {
  Groups found;
  std::error_code error;
  if (!fs::exists(folder_, error)) return found;
  fs::directory_iterator folders{folder_, error};
  if (error) {
    return fail(ErrorKind::kInvalid, folder_.string() + ": cannot read: " + error.message());
  }
  for (const auto& entry : folders) {
    if (!entry.is_directory(error)) continue;
    Group group;
    const auto segments = list_segments(entry.path());
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
      const std::uintmax_t size = fs::file_size(segment->second, error);
      if (error) continue;  // thinned away meanwhile
      group.bytes += size;
      ++group.segments;
      if (!group.channels.empty()) continue;
      auto header = read_header(segment->second);
      if (header) {
        group.channels = header->channels;
      } else if (fs::exists(segment->second, error)) {
        found.damage.push_back(header.error());
      }
    }
    if (group.channels.empty()) continue;
    group.key = pipeline::group_key(group.channels);
    found.groups.push_back(std::move(group));
  }
  std::ranges::sort(found.groups, {}, &Group::key);
  return found;
}

Result<ReservoirReader::Rows> ReservoirReader::read(const std::string& group,
                                                    const Selection& selection) const {
  const fs::path folder = Reservoir::folder_of(folder_, group);
  std::error_code error;
  if (!fs::exists(folder, error)) {
    return fail(ErrorKind::kInvalid,
                folder_.string() + ": there are no rows of the group '" + group + "'");
  }
  Rows rows;
  std::map<std::pair<std::uint64_t, std::string>, std::vector<JudgedRows>> chosen;  // by hash
  const auto wants = [&](const std::string& series) {
    if (!selection.series.empty()) {
      return std::ranges::find(selection.series, series) != selection.series.end();
    }
    if (chosen.size() < selection.max_series) return true;
    return !chosen.empty() && std::pair{hash_of(series), series} <= chosen.rbegin()->first;
  };
  auto damage =
      read_blocks(folder, RowsDecoder::Detail::kAll, selection.from, selection.until,
                  [&](const RowsHeader& header, std::vector<RowChunk>&& chunks) {
                    for (RowChunk& chunk : chunks) {
                      const auto& times = chunk.history.times;
                      if (times.back() < selection.from || times.front() > selection.until)
                        continue;
                      if (!wants(chunk.history.series)) continue;
                      const std::string series = chunk.history.series;
                      chosen[{hash_of(series), series}].push_back(
                          {header.channels, std::move(chunk.history), std::move(chunk.marks)});
                      if (chosen.size() > selection.max_series)
                        chosen.erase(std::prev(chosen.end()));
                    }
                  });
  if (!damage) return Failure{damage.error()};
  rows.damage = std::move(*damage);
  for (auto& [name, chunks] : chosen) rows.series.emplace(name.second, std::move(chunks));
  return rows;
}

Result<ReservoirReader::Summary> ReservoirReader::summary(const std::string& group) const {
  const fs::path folder = Reservoir::folder_of(folder_, group);
  auto known = groups();
  if (!known) return Failure{known.error()};
  const auto found = std::ranges::find(known->groups, group, &Group::key);
  if (found == known->groups.end()) {
    return fail(ErrorKind::kInvalid,
                folder_.string() + ": there are no rows of the group '" + group + "'");
  }
  Summary summary;
  summary.group = *found;
  constexpr auto kEver = std::numeric_limits<std::int64_t>::max();
  auto damage = read_blocks(
      folder, RowsDecoder::Detail::kNoValues, -kEver, kEver,
      [&](const RowsHeader&, std::vector<RowChunk>&& chunks) {
        for (const RowChunk& chunk : chunks) {
          for (SeriesSummary* one : {&summary.series[chunk.history.series], &summary.all}) {
            one->rows += chunk.marks.size();
            for (const auto mark : chunk.marks) ++one->by_mark[static_cast<std::size_t>(mark)];
            one->first_time = std::min(one->first_time, chunk.history.times.front());
            one->last_time = std::max(one->last_time, chunk.history.times.back());
          }
        }
      });
  if (!damage) return Failure{damage.error()};
  summary.damage = std::move(*damage);
  return summary;
}

}  // namespace anomalyd::runtime
