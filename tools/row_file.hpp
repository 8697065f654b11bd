#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "tools/row_encoder.hpp"

namespace anomalyd::tools {

/// Writes rows to a file that other commands read: `.csv` with one header line (`produce csv`), or
/// `.ndjson` or `.json` with one record a line (`replay`, `train`).
class RowFile {
 public:
  /// Errors: kInvalid (another ending), kUnavailable (the file cannot be written).
  [[nodiscard]] static Result<RowFile> create(const std::filesystem::path& path);

  /// `channels` must be the same memory for all rows. Values that are not finite are missing.
  void write(std::string_view series, EventTime time, std::span<const Channel> channels,
             std::span<const double> values);
  /// Errors: kUnavailable when not all could be written.
  [[nodiscard]] Status finish();

 private:
  RowFile(std::filesystem::path path, RowEncoder::Format format)
      : path_{std::move(path)}, format_{format}, encoder_{format}, out_{path_, std::ios::binary} {}

  std::filesystem::path path_;
  RowEncoder::Format format_;
  RowEncoder encoder_;
  std::ofstream out_;
  bool has_header_ = false;
};

}  // namespace anomalyd::tools
