#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::tools {

/// Codes of windows, with what each window is of.
struct Embedding {
  std::size_t width = 0;
  std::vector<std::string> series;          ///< Names.
  std::vector<std::size_t> series_of;       ///< One per window: index of a name.
  std::vector<EventTime> times;             ///< Of the newest row of each window.
  std::vector<float> codes;                 ///< [windows x width]
  std::vector<std::string> classes{};       ///< What the model tells apart; empty if nothing.
  std::vector<std::int16_t> class_of{};     ///< One per window.
  std::vector<std::string> incidents{};     ///< Names of labels, "normal" first; empty without any.
  std::vector<std::int16_t> incident_of{};  ///< One per window.

  [[nodiscard]] std::size_t size() const noexcept { return times.size(); }
};

/// Points [n x 2]: vectors [n x width] along the two directions of their largest variance, which
/// has the sign that makes the largest coordinate positive.
[[nodiscard]] std::vector<float> principal_plane(std::span<const float> vectors, std::size_t width);

/// Writes "series,time,z0,..zn" (`.csv`), or an array of records with the fields series, time and
/// z (`.npy`, as numpy.load reads it). Errors: kInvalid (another ending), kUnavailable.
[[nodiscard]] Status write_embedding(const std::filesystem::path& path, const Embedding& embedding);

/// Writes a page that shows the windows as points of `principal_plane`, coloured by time, series,
/// class or incident. It needs nothing but a browser. Errors: kUnavailable.
[[nodiscard]] Status write_embedding_page(const std::filesystem::path& path,
                                          const Embedding& embedding);

}  // namespace anomalyd::tools
