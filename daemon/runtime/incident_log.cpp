#include "daemon/runtime/incident_log.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/model_manifest.hpp"

namespace anomalyd::runtime {
namespace {

using nlohmann::json;

constexpr std::uintmax_t kMaxBytes = 16 << 20;
constexpr std::size_t kMaxKept = 20'000;

std::string to_line(const KnownIncident& incident) {
  const json line{{"incident", incident.id},
                  {"series", incident.series},
                  {"start", to_rfc3339(incident.start)},
                  {"end", to_rfc3339(incident.end)},
                  {"open", incident.open},
                  {"severity", incident.severity},
                  {"model", incident.model_version}};
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<KnownIncident> parse(std::string_view text) {
  try {
    const json line = json::parse(text);
    const auto start = parse_rfc3339(line.at("start").get<std::string>());
    const auto end = parse_rfc3339(line.at("end").get<std::string>());
    if (!start || !end) return {};
    return KnownIncident{line.at("incident"), line.at("series"),   *start,          *end,
                         line.at("open"),     line.at("severity"), line.at("model")};
  } catch (const json::exception&) {
    return {};
  }
}

}  // namespace

Status IncidentLog::add(const Alert& alert) const {
  const KnownIncident incident{alert.id,
                               alert.series,
                               alert.start,
                               alert.end.value_or(alert.time),
                               alert.state != AlertState::kResolve,
                               alert.severity,
                               alert.model_version};
  if (auto added = append_line(path_, to_line(incident)); !added) return added;
  std::error_code error;
  if (std::filesystem::file_size(path_, error) <= kMaxBytes || error) return {};
  const auto all = read();
  if (!all) return Failure{all.error()};
  std::string text;
  for (std::size_t i = all->size() - std::min(all->size(), kMaxKept); i < all->size(); ++i) {
    text += to_line((*all)[i]) + "\n";
  }
  return write_durably(path_, text);
}

Result<std::vector<KnownIncident>> IncidentLog::read() const {
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) return std::vector<KnownIncident>{};
  const auto text = read_whole(path_, 2 * kMaxBytes);
  if (!text) return Failure{text.error()};
  std::map<std::string, std::pair<std::size_t, KnownIncident>> by_id;  // with the line
  std::size_t number = 0;
  for (std::string_view left{*text}; !left.empty(); ++number) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    if (auto incident = parse(left.substr(0, end))) {
      std::string id = incident->id;
      by_id.insert_or_assign(std::move(id), std::pair{number, std::move(*incident)});
    }
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  std::map<std::size_t, KnownIncident> by_line;
  for (auto& [id, entry] : by_id) by_line.emplace(entry.first, std::move(entry.second));
  std::vector<KnownIncident> all;
  for (auto& [line, incident] : by_line) all.push_back(std::move(incident));
  return all;
}

Result<KnownIncident> IncidentLog::find(const std::string& id) const {
  const auto all = read();
  if (!all) return Failure{all.error()};
  const KnownIncident* found = nullptr;
  for (const KnownIncident& incident : *all) {
    if (incident.id == id) return incident;
    if (id.empty() || !incident.id.starts_with(id)) continue;
    if (found != nullptr) {
      return fail(ErrorKind::kInvalid,
                  "incident '" + id + "' is ambiguous; expected more of its id");
    }
    found = &incident;
  }
  if (found != nullptr) return *found;
  return fail(ErrorKind::kInvalid, "incident '" + id + "' is unknown; expected one of the " +
                                       std::to_string(all->size()) + " in " + path_.string());
}

}  // namespace anomalyd::runtime
