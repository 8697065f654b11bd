#include "tools/model_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ranges>
#include <string_view>

namespace anomalyd::tools {
namespace {

using nlohmann::json;
using runtime::DataRange;
using runtime::Manifest;
using Group = runtime::ModelRegistry::Group;

/// "2026-11-20 22:15:04", in UTC.
std::string short_time(EventTime time) {
  if (time == EventTime{}) return "-";
  std::string text = to_rfc3339(time).substr(0, 19);
  text[10] = ' ';
  return text;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

json object_of(const std::string& text) {
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? object : json::object();
}

std::string in_short(const json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string channel_names(const std::vector<Channel>& channels) {
  std::string names;
  for (const Channel& channel : channels) {
    names += (names.empty() ? "" : ", ") + channel.name +
             (channel.unit.empty() ? "" : " (" + channel.unit + ")");
  }
  return names;
}

std::string role(const Group& group, const Manifest& manifest) {
  if (!group.champion) return "";
  if (group.champion->version == manifest.version) {
    return "champion since " + short_time(group.champion->promoted_at);
  }
  return group.champion->previous == manifest.version ? "previous" : "";
}

std::string notes(const Group& group, const Manifest& manifest) {
  std::string text = role(group, manifest);
  if (manifest.pinned) text += text.empty() ? "pinned" : ", pinned";
  return text;
}

std::string range_line(const DataRange& range) {
  return fmt::format("{}[{}] offsets {}..{}, {} .. {}, {} rows", range.partition.topic,
                     range.partition.partition, range.first, range.last, short_time(range.from),
                     short_time(range.until), range.rows);
}

/// Lines "  name         value"; more values of one name go below each other.
class Lines {
 public:
  void add(std::string_view name, const std::string& value) {
    text_ += fmt::format("  {:<14} {}\n", name == last_ ? "" : name, value);
    last_ = name;
  }
  void add_object(std::string_view name, const std::string& object) {
    const json fields = object_of(object);
    for (const auto& [key, value] : fields.items()) {
      add(name, fmt::format("{}: {}", key, in_short(value)));
    }
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::string last_;
};

/// The fields of a manifest that say something of the model: path to value.
std::map<std::string, std::string> comparable(const Manifest& manifest) {
  const json document = json::parse(to_json(manifest));
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : document.items()) {
    const bool nested = name == "configuration" || name == "gate" || name == "calibration" ||
                        name == "data" || name == "exclusions";
    if (name == "format" || name == "version" || name == "pinned") continue;
    if (!nested) {
      fields[name] = in_short(value);
    } else {
      const json leaves = value.flatten();
      for (const auto& [path, leaf] : leaves.items()) {
        if (!leaf.is_structured()) fields[name + path] = in_short(leaf);
      }
    }
  }
  return fields;
}

}  // namespace

std::string version_table(const std::vector<Group>& groups) {
  std::string text;
  for (const Group& group : groups) {
    if (!text.empty()) text += "\n";
    text += fmt::format("group {}: {}\n", group.id, channel_names(group.channels));
    text += fmt::format("  {:<14} {:<12} {:<19} {:>10}  {:<7} {:<14} {:<12} {}\n", "version",
                        "kind", "created (UTC)", "rows", "gate", "reason", "parent", "notes");
    for (const Manifest& manifest : std::views::reverse(group.versions)) {
      const bool serves = group.champion && group.champion->version == manifest.version;
      std::string line =
          fmt::format("{} {:<14} {:<12} {:<19} {:>10}  {:<7} {:<14} {:<12} {}", serves ? '*' : ' ',
                      manifest.version, manifest.kind, short_time(manifest.created),
                      manifest.num_rows(), or_dash(gate_verdict(manifest).outcome),
                      or_dash(manifest.reason), or_dash(manifest.parent), notes(group, manifest));
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    if (!group.champion) text += "  no champion: nothing of it serves\n";
  }
  return text.empty() ? "no models\n" : text;
}

std::string version_details(const Group& group, const Manifest& manifest) {
  Lines lines;
  lines.add("group", group.id + ": " + channel_names(group.channels));
  if (const std::string text = notes(group, manifest); !text.empty()) lines.add("role", text);
  if (group.champion && group.champion->version == manifest.version) {
    lines.add("promoted",
              fmt::format("by {}: {}", or_dash(group.champion->by), or_dash(group.champion->why)));
    for (const Position& since : group.champion->since) {
      lines.add("judges from", fmt::format("{}[{}] offset {}", since.partition.topic,
                                           since.partition.partition, since.offset));
    }
  }
  lines.add("kind", manifest.kind);
  if (!manifest.choice.empty()) lines.add("chosen", manifest.choice);
  lines.add("created", fmt::format("{} by anomalyd {}: {}", short_time(manifest.created),
                                   or_dash(manifest.code_version), or_dash(manifest.reason)));
  lines.add("parent", or_dash(manifest.parent));
  lines.add("trained on",
            fmt::format("{} rows of {} series", manifest.num_rows(), manifest.num_series));
  for (const DataRange& range : manifest.data) lines.add("data", range_line(range));
  for (const auto& [why, rows] : manifest.excluded_rows) {
    lines.add("left out", fmt::format("{} rows: {}", rows, why));
  }
  for (const auto& one : manifest.exclusions) {
    lines.add("exclusions", fmt::format("{} {} .. {}: {}", one.series, short_time(one.from),
                                        short_time(one.until), one.why));
  }
  lines.add("seed", fmt::format("{}", manifest.seed));
  if (!manifest.start.empty()) lines.add("start", "weights of " + manifest.start);
  lines.add_object("calibration", manifest.calibration);
  lines.add_object("gate", manifest.gate);
  lines.add_object("configuration", manifest.configuration);
  lines.add("checkpoint", fmt::format("{} bytes, sha256 {}", manifest.bytes, manifest.sha256));
  return "version " + manifest.version + "\n" + lines.text();
}

std::string version_difference(const Manifest& before, const Manifest& after) {
  const auto old_fields = comparable(before), new_fields = comparable(after);
  std::map<std::string, std::pair<std::string, std::string>> rows;
  for (const auto& [name, value] : old_fields) rows[name].first = value;
  for (const auto& [name, value] : new_fields) rows[name].second = value;
  std::erase_if(rows, [](const auto& row) { return row.second.first == row.second.second; });
  std::size_t name_width = 0, value_width = before.version.size();
  for (const auto& [name, values] : rows) {
    name_width = std::max(name_width, name.size());
    value_width = std::max(value_width, values.first.size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {}\n", "", name_width, before.version,
                                 value_width, after.version);
  for (const auto& [name, values] : rows) {
    text += fmt::format("{:<{}}  {:<{}}  {}\n", name, name_width, or_dash(values.first),
                        value_width, or_dash(values.second));
  }
  return rows.empty() ? "the two versions differ in nothing but their name\n" : text;
}

}  // namespace anomalyd::tools
