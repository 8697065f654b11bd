#pragma once

#include <zlib.h>

#include <filesystem>
#include <string>

namespace anomalyd::testing {

/// Writes a compressed file, and the folders above it; returns where it is.
inline std::filesystem::path write_gzip(const std::filesystem::path& path,
                                        const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return path;
}

}  // namespace anomalyd::testing
