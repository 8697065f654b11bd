#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "connectors/file/line_reader.hpp"
#include "daemon/core/ports.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::connectors {

/// Records of text files, one per line: the whole daemon without Kafka.
///
/// Each file is partition 0 of a topic called like its path; offsets are line numbers from 0. The
/// record's key is the file's name without extensions, so it can be the series. Files are read one
/// after the other, in the order given. Lines of a file named *.csv or *.csv.gz carry the file's
/// first line in front of them, so that each record can be read alone.
///
/// Runs on   the polling thread.
class FileSource final : public Source {
 public:
  struct Options {
    std::vector<std::filesystem::path> paths{};  ///< Text or gzip.
    bool csv_header = true;           ///< The first line of a CSV file names its columns.
    std::size_t max_records = 1'000;  ///< 1..100000 handed over at once.
  };
  /// Errors: kInvalid, if one of the files cannot be opened.
  [[nodiscard]] static Result<std::unique_ptr<FileSource>> open(Options options);

  /// Does not wait unless everything left is paused. Errors: kInvalid for a damaged file, which
  /// then counts as ended.
  [[nodiscard]] Status poll(std::chrono::milliseconds timeout, SourceHandler& handler) override;
  void pause(std::span<const PartitionId> partitions) override;
  void resume(std::span<const PartitionId> partitions) override;
  /// Files remember nothing.
  void commit(std::span<const Position>) override {}
  /// Nobody knows how many lines a file has: empty.
  [[nodiscard]] std::vector<std::pair<PartitionId, std::int64_t>> lag() const override {
    return {};
  }
  void close(SourceHandler& handler) override;

  /// Every file was read to its end.
  [[nodiscard]] bool finished() const noexcept { return assigned_ && files_.empty(); }

 private:
  struct File {
    PartitionId id;
    std::string key;
    bool has_header = false;
    Offset begin = 0;  // lines before are skipped
    Offset next = 0;
    std::string header{};               // with its line end; empty until it was read
    std::optional<LineReader> lines{};  // open while it is being read
  };
  explicit FileSource(Options options);

  void assign(SourceHandler& handler);
  [[nodiscard]] Status read(File& file, SourceHandler& handler);
  [[nodiscard]] Result<bool> read_line(File& file, std::string& line);

  Options options_;
  bool assigned_ = false;
  std::deque<File> files_;  // those not ended; the first one that is not paused is being read
  std::set<PartitionId> paused_;
  std::vector<PartitionId> all_;
  std::vector<std::string> lines_;
  std::vector<Record> records_;
};

}  // namespace anomalyd::connectors
