#include "connectors/file/file_source.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace anomalyd::connectors {
namespace {

constexpr std::chrono::milliseconds kPausedWait{5};

std::string name_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.substr(0, name.find('.', 1));
}

bool is_csv(std::string_view path) { return path.ends_with(".csv") || path.ends_with(".csv.gz"); }

}  // namespace

Result<std::unique_ptr<FileSource>> FileSource::open(Options options) {
  for (const auto& path : options.paths) {
    if (auto file = LineReader::open(path); !file) return Failure{std::move(file.error())};
  }
  return std::unique_ptr<FileSource>{new FileSource{std::move(options)}};
}

FileSource::FileSource(Options options) : options_{std::move(options)} {
  for (const auto& path : options_.paths) {
    all_.push_back({path.string(), 0});
    files_.push_back({all_.back(), name_of(path), options_.csv_header && is_csv(path.string())});
  }
  lines_.resize(options_.max_records);
  records_.reserve(options_.max_records);
}

Status FileSource::poll(std::chrono::milliseconds timeout, SourceHandler& handler) {
  if (!assigned_) assign(handler);
  const auto open =
      std::ranges::find_if(files_, [this](const File& file) { return !paused_.contains(file.id); });
  if (open == files_.end()) {
    if (!files_.empty()) std::this_thread::sleep_for(std::min(timeout, kPausedWait));
    return {};
  }
  return read(*open, handler);
}

void FileSource::assign(SourceHandler& handler) {
  assigned_ = true;
  for (const Position& start : handler.on_assigned(all_)) {
    const auto file = std::ranges::find(files_, start.partition, &File::id);
    if (file != files_.end()) file->begin = start.offset;
  }
}

Status FileSource::read(File& file, SourceHandler& handler) {
  records_.clear();
  Result<bool> more = true;
  while (records_.size() < options_.max_records) {
    std::string& line = lines_[records_.size()];
    more = read_line(file, line);
    if (!more || !*more) break;
    const Offset offset = file.next++;
    if (offset < file.begin || (file.has_header && offset == 0)) continue;
    records_.push_back({.topic = file.id.topic,
                        .offset = offset,
                        .timestamp = {},
                        .key = file.key,
                        .value = line});
  }
  if (!records_.empty()) handler.on_records(records_);
  if (more && *more) return {};
  const auto [id, next] = std::pair{file.id, file.next};
  std::erase_if(files_, [&id = id](const File& other) { return other.id == id; });
  handler.on_end(id, next);
  if (!more) return Failure{std::move(more.error())};
  return {};
}

Result<bool> FileSource::read_line(File& file, std::string& line) {
  if (!file.lines) {
    auto opened = LineReader::open(file.id.topic);
    if (!opened) return Failure{std::move(opened.error())};
    file.lines = std::move(*opened);
  }
  auto more = file.lines->next(line);
  if (!more || !*more || !file.has_header) return more;
  if (file.next == 0) {
    file.header = line + '\n';
  } else {
    line.insert(0, file.header);
  }
  return more;
}

void FileSource::pause(std::span<const PartitionId> partitions) {
  paused_.insert(partitions.begin(), partitions.end());
}

void FileSource::resume(std::span<const PartitionId> partitions) {
  for (const PartitionId& id : partitions) paused_.erase(id);
}

void FileSource::close(SourceHandler& handler) {
  if (assigned_) handler.on_revoked(all_, false);
  files_.clear();
}

}  // namespace anomalyd::connectors
