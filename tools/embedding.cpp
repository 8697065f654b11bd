#include "tools/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/page.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kMostPoints = 20'000;  // more are slow to draw, and cover each other

std::string csv_quoted(const std::string& text) {
  if (text.find_first_of("\",\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

void write_csv(std::ostream& out, const Embedding& embedding) {
  std::string line = "series,time";
  for (std::size_t j = 0; j < embedding.width; ++j) line += fmt::format(",z{}", j);
  out << line << '\n';
  for (std::size_t i = 0; i < embedding.size(); ++i) {
    line =
        csv_quoted(embedding.series[embedding.series_of[i]]) + "," + to_rfc3339(embedding.times[i]);
    for (std::size_t j = 0; j < embedding.width; ++j) {
      line += fmt::format(",{:.7g}", embedding.codes[i * embedding.width + j]);
    }
    out << line << '\n';
  }
}

/// NumPy's format 1.0: magic, version, length of the header, the header as a Python literal padded
/// to 64 bytes, then the records.
void write_npy(std::ostream& out, const Embedding& embedding) {
  std::size_t longest = 1;
  for (const std::string& name : embedding.series) longest = std::max(longest, name.size());
  std::string header = fmt::format(
      "{{'descr': [('series', '|S{}'), ('time', '<M8[us]'), ('z', '<f4', ({},))], "
      "'fortran_order': False, 'shape': ({},), }}",
      longest, embedding.width, embedding.size());
  constexpr std::size_t kPrefix = 10, kAligned = 64;
  header.append(kAligned - 1 - (kPrefix + header.size()) % kAligned, ' ');
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size());
  const char prefix[] = {'\x93',
                         'N',
                         'U',
                         'M',
                         'P',
                         'Y',
                         1,
                         0,
                         static_cast<char>(length & 0xFF),
                         static_cast<char>(length >> 8)};
  out.write(prefix, sizeof prefix);
  out << header;
  for (std::size_t i = 0; i < embedding.size(); ++i) {
    std::string name = embedding.series[embedding.series_of[i]];
    name.resize(longest, '\0');
    const std::int64_t time = embedding.times[i].time_since_epoch().count();
    out.write(name.data(), static_cast<std::streamsize>(name.size()));
    out.write(reinterpret_cast<const char*>(&time), sizeof time);
    out.write(reinterpret_cast<const char*>(&embedding.codes[i * embedding.width]),
              static_cast<std::streamsize>(embedding.width * sizeof(float)));
  }
}

/// The direction of the largest variance, by power iteration on centred vectors.
std::vector<double> leading_direction(const std::vector<double>& centred, std::size_t width) {
  constexpr int kMostSteps = 300;
  constexpr double kSettled = 1e-12;
  const std::size_t n = centred.size() / width;
  std::vector<double> direction(width), next(width);
  for (std::size_t j = 0; j < width; ++j) direction[j] = 1.0 / static_cast<double>(j + 2);
  for (int step = 0; step < kMostSteps; ++step) {
    std::ranges::fill(next, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      const double* row = &centred[i * width];
      double along = 0;
      for (std::size_t j = 0; j < width; ++j) along += row[j] * direction[j];
      for (std::size_t j = 0; j < width; ++j) next[j] += along * row[j];
    }
    double norm = 0;
    for (const double value : next) norm += value * value;
    norm = std::sqrt(norm);
    if (norm == 0) return std::vector<double>(width);  // no variance is left
    double moved = 0;
    for (std::size_t j = 0; j < width; ++j) {
      next[j] /= norm;
      moved += (next[j] - direction[j]) * (next[j] - direction[j]);
    }
    direction = next;
    if (moved < kSettled) break;
  }
  const auto largest =
      std::ranges::max_element(direction, {}, [](double value) { return std::abs(value); });
  if (*largest < 0) {
    for (double& value : direction) value = -value;
  }
  return direction;
}

template <typename Index>
nlohmann::json choice(const std::vector<std::string>& names, const std::vector<Index>& of,
                      std::size_t stride) {
  nlohmann::json json{{"names", names}, {"of", nlohmann::json::array()}};
  for (std::size_t i = 0; i < of.size(); i += stride) json["of"].push_back(of[i]);
  return json;
}

}  // namespace

std::vector<float> principal_plane(std::span<const float> vectors, std::size_t width) {
  const std::size_t n = width == 0 ? 0 : vectors.size() / width;
  std::vector<double> mean(width), centred(vectors.begin(), vectors.end());
  for (std::size_t i = 0; i < centred.size(); ++i) mean[i % width] += centred[i];
  for (std::size_t i = 0; i < centred.size(); ++i) {
    centred[i] -= mean[i % width] / static_cast<double>(n);
  }
  std::vector<float> points(n * 2);
  for (std::size_t k = 0; k < 2 && n > 0; ++k) {
    const std::vector<double> direction = leading_direction(centred, width);
    for (std::size_t i = 0; i < n; ++i) {
      double along = 0;
      for (std::size_t j = 0; j < width; ++j) along += centred[i * width + j] * direction[j];
      for (std::size_t j = 0; j < width; ++j) centred[i * width + j] -= along * direction[j];
      points[2 * i + k] = static_cast<float>(along);
    }
  }
  return points;
}

Status write_embedding(const std::filesystem::path& path, const Embedding& embedding) {
  const std::string ending = path.extension().string();
  if (ending != ".csv" && ending != ".npy") {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: ends with '{}'; expected .csv or .npy", path.string(), ending));
  }
  std::ofstream out{path, std::ios::binary};
  if (ending == ".csv") {
    write_csv(out, embedding);
  } else {
    write_npy(out, embedding);
  }
  out.close();
  if (out) return {};
  return fail(ErrorKind::kUnavailable, fmt::format("{}: {}; expected a file that can be written",
                                                   path.string(), std::strerror(errno)));
}

Status write_embedding_page(const std::filesystem::path& path, const Embedding& embedding) {
  const std::vector<float> points = principal_plane(embedding.codes, embedding.width);
  const std::size_t stride = std::max<std::size_t>(1, (embedding.size() - 1) / kMostPoints + 1);
  nlohmann::json data{{"windows", embedding.size()},
                      {"series", choice(embedding.series, embedding.series_of, stride)}};
  if (!embedding.classes.empty()) {
    data["class"] = choice(embedding.classes, embedding.class_of, stride);
  }
  if (!embedding.incidents.empty()) {
    data["incident"] = choice(embedding.incidents, embedding.incident_of, stride);
  }
  for (const char* name : {"x", "y", "time"}) data[name] = nlohmann::json::array();
  for (std::size_t i = 0; i < embedding.size(); i += stride) {
    data["x"].push_back(points[2 * i]);
    data["y"].push_back(points[2 * i + 1]);
    data["time"].push_back(std::chrono::floor<std::chrono::milliseconds>(embedding.times[i])
                               .time_since_epoch()
                               .count());
  }
  const std::string text =
      for_script(data.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  constexpr std::string_view kPlace = "@DATA@";
  const std::size_t place = kEmbeddingPage.find(kPlace);
  std::ofstream out{path, std::ios::binary};
  out << kEmbeddingPage.substr(0, place) << text << kEmbeddingPage.substr(place + kPlace.size());
  out.close();
  if (out) return {};
  return fail(ErrorKind::kUnavailable, fmt::format("{}: {}; expected a file that can be written",
                                                   path.string(), std::strerror(errno)));
}

}  // namespace anomalyd::tools
