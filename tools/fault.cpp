#include "tools/fault.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

EventTime time_at(const nlohmann::json& json, const char* key) {
  const auto time = parse_time(json.at(key).get<std::string>());
  if (!time) throw std::invalid_argument{time.error().message};
  return *time;
}

}  // namespace

Status write_faults(const std::filesystem::path& path, std::span<const Fault> faults) {
  std::ofstream file{path};
  for (const Fault& fault : faults) {
    const nlohmann::ordered_json line = {{"kind", fault.kind},
                                         {"series", fault.series},
                                         {"channels", fault.channels},
                                         {"start", to_rfc3339(fault.start)},
                                         {"end", to_rfc3339(fault.end)}};
    file << line.dump() << '\n';
  }
  if (!file.flush()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: cannot be written; expected a writable folder", path.string()));
  }
  return {};
}

Result<std::vector<Fault>> read_faults(const std::filesystem::path& path) {
  std::ifstream file{path};
  if (!file) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: no such file; expected JSON lines of faults", path.string()));
  }
  std::vector<Fault> faults;
  std::size_t line_number = 0;
  for (std::string line; std::getline(file, line);) {
    ++line_number;
    try {
      const auto json = nlohmann::json::parse(line);
      faults.push_back({.kind = json.at("kind"),
                        .series = json.at("series"),
                        .channels = json.at("channels"),
                        .start = time_at(json, "start"),
                        .end = time_at(json, "end")});
    } catch (const std::exception& error) {
      return fail(ErrorKind::kInvalid, fmt::format("{}:{}: {}; expected a fault", path.string(),
                                                   line_number, error.what()));
    }
  }
  return faults;
}

}  // namespace anomalyd::tools
