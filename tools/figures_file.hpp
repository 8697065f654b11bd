#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "tools/figures.hpp"

namespace anomalyd::tools {

/// One evaluation: what judged, and how well.
struct Evaluated {
  std::string kind;  ///< Of the model.
  std::uint64_t seed = 0;
  double seconds = 0;  ///< That it took, on the wall.
  std::vector<SeriesFigures> series;
  std::map<std::string, std::size_t> retrainings{};  ///< How many, by outcome.
};

/// Writes a JSON document {"kind", "seed", "seconds", "retrainings": {...}, "series": [...],
/// "groups": {...}, "interval": {...}}; undefined figures are null.
[[nodiscard]] Status write_figures(const std::filesystem::path& path, const Evaluated& evaluated);

/// Reads what `write_figures` wrote. Errors: kInvalid, naming the file.
[[nodiscard]] Result<Evaluated> read_figures(const std::filesystem::path& path);

/// Compares two files of `write_figures`. Errors: kInvalid, also when they are not about the same
/// rows of the same series.
[[nodiscard]] Result<Comparison> compare_files(const std::filesystem::path& before,
                                               const std::filesystem::path& after);

}  // namespace anomalyd::tools
