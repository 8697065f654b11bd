#include "daemon/runtime/model_manifest.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace anomalyd::runtime {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr int kMaxDepth = 16;  // a manifest nests five deep
constexpr std::size_t kMaxVersionName = 64;
constexpr std::size_t kDigestDigits = 64;

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

/// What is deeper is dropped: writing it out again would recurse.
bool shallow(int depth, Json::parse_event_t /*event*/, Json& /*parsed*/) {
  return depth < kMaxDepth;
}

/// A JSON object that is kept as text.
Json object_of(const std::string& text) {
  Json object = Json::parse(text, shallow, /*allow_exceptions=*/false);
  return object.is_object() ? object : Json::object();
}

/// Reads the fields of an object, and names the one that is wrong. Throws std::domain_error.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_{object}, where_{std::move(where)} {
    if (!object_.is_object()) wrong("", object_, "an object");
  }

  [[nodiscard]] std::string text(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return {};
    if (!value->is_string()) wrong(name, *value, "a text");
    return value->get<std::string>();
  }
  [[nodiscard]] std::string required_text(const char* name) const {
    if (find(name) == nullptr) throw std::domain_error{path(name) + " is missing"};
    return text(name);
  }
  [[nodiscard]] std::uint64_t count(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned()) wrong(name, *value, "a count");
    return value->get<std::uint64_t>();
  }
  [[nodiscard]] Offset offset(const char* name) const {
    const std::uint64_t value = count(name);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<Offset>::max())) {
      wrong(name, *find(name), "an offset");
    }
    return static_cast<Offset>(value);
  }
  [[nodiscard]] PartitionId partition() const {
    const std::uint64_t number = count("partition");
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
      wrong("partition", *find("partition"), "a partition");
    }
    return {text("topic"), static_cast<std::int32_t>(number)};
  }
  [[nodiscard]] bool flag(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) wrong(name, *value, "true or false");
    return value->get<bool>();
  }
  [[nodiscard]] EventTime time(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return {};
    const auto parsed = parse_rfc3339(text(name));
    if (!parsed) wrong(name, *value, "a time such as 2026-11-20T22:15:04.120Z");
    return *parsed;
  }
  [[nodiscard]] const Json& object(const char* name) const {
    static const Json kEmpty = Json::object();
    const Json* value = find(name);
    if (value == nullptr) return kEmpty;
    if (!value->is_object()) wrong(name, *value, "an object");
    return *value;
  }
  /// Calls `take` with the fields of every object of a list.
  template <typename Take>
  void for_each(const char* name, Take take) const {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array()) wrong(name, *value, "a list");
    for (std::size_t i = 0; i < value->size(); ++i) {
      take(Fields{(*value)[i], path(name) + "[" + std::to_string(i) + "]"});
    }
  }
  [[nodiscard]] std::string path(const char* name) const {
    return where_.empty() || *name == '\0' ? where_ + name : where_ + "." + name;
  }
  [[noreturn]] void wrong(const char* name, const Json& value, const char* expected) const {
    std::string found = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    constexpr std::size_t kShown = 60;
    if (found.size() > kShown) found = found.substr(0, kShown) + "...";
    const std::string field = path(name);
    throw std::domain_error{(field.empty() ? "" : field + ": ") + "found " + found + "; expected " +
                            expected};
  }

 private:
  [[nodiscard]] const Json* find(const char* name) const {
    const auto it = object_.find(name);
    return it == object_.end() ? nullptr : &*it;
  }
  const Json& object_;
  std::string where_;
};

Json channels_json(const std::vector<Channel>& channels) {
  Json list = Json::array();
  for (const Channel& channel : channels) {
    list.push_back({{"name", channel.name}, {"unit", channel.unit}});
  }
  return list;
}

std::vector<Channel> read_channels(const Fields& fields) {
  std::vector<Channel> channels;
  fields.for_each("channels", [&](const Fields& channel) {
    channels.push_back({channel.required_text("name"), channel.text("unit")});
  });
  if (channels.empty()) fields.wrong("channels", Json::array(), "one channel at least");
  return channels;
}

Json ranges_json(const std::vector<DataRange>& data) {
  Json ranges = Json::array();
  for (const DataRange& range : data) {
    ranges.push_back({{"topic", range.partition.topic},
                      {"partition", range.partition.partition},
                      {"first_offset", range.first},
                      {"last_offset", range.last},
                      {"from", to_rfc3339(range.from)},
                      {"until", to_rfc3339(range.until)},
                      {"rows", range.rows}});
  }
  return ranges;
}

Json exclusions_json(const Manifest& manifest) {
  Json spans = Json::array();
  for (const Exclusion& one : manifest.exclusions) {
    spans.push_back({{"series", one.series},
                     {"from", to_rfc3339(one.from)},
                     {"until", to_rfc3339(one.until)},
                     {"why", one.why}});
  }
  Json rows = Json::object();
  for (const auto& [why, count] : manifest.excluded_rows) rows[why] = count;
  return {{"rows", std::move(rows)}, {"spans", std::move(spans)}};
}

void read_data(const Fields& data, Manifest& manifest) {
  manifest.num_series = data.count("series");
  data.for_each("ranges", [&](const Fields& range) {
    manifest.data.push_back({.partition = range.partition(),
                             .first = range.offset("first_offset"),
                             .last = range.offset("last_offset"),
                             .from = range.time("from"),
                             .until = range.time("until"),
                             .rows = range.count("rows")});
  });
}

void read_exclusions(const Fields& exclusions, Manifest& manifest) {
  exclusions.for_each("spans", [&](const Fields& span) {
    manifest.exclusions.push_back(
        {span.text("series"), span.time("from"), span.time("until"), span.text("why")});
  });
  const Json& rows = exclusions.object("rows");
  const Fields counts{rows, exclusions.path("rows")};
  for (const auto& [why, ignored] : rows.items()) {
    manifest.excluded_rows[why] = counts.count(why.c_str());
  }
}

void check_names(const Fields& fields, const Manifest& manifest) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!is_version_name(manifest.version)) {
    fields.wrong("version", manifest.version, "1..64 letters, digits, '-' or '_'");
  }
  if (!manifest.parent.empty() && !is_version_name(manifest.parent)) {
    fields.wrong("parent", manifest.parent, "the name of a version");
  }
  if (manifest.sha256.size() != kDigestDigits || !std::ranges::all_of(manifest.sha256, is_hex)) {
    fields.wrong("sha256", manifest.sha256, "64 hex digits");
  }
}

Manifest read_manifest(const Json& document) {
  const Fields fields{document, ""};
  if (const std::uint64_t format = fields.count("format"); format != kFormat) {
    fields.wrong("format", format, "format 1");
  }
  Manifest manifest;
  manifest.version = fields.required_text("version");
  manifest.group = fields.required_text("group");
  manifest.channels = read_channels(fields);
  manifest.kind = fields.text("kind");
  manifest.choice = fields.text("choice");
  manifest.parent = fields.text("parent");
  manifest.created = fields.time("created");
  manifest.code_version = fields.text("code_version");
  manifest.seed = fields.count("seed");
  manifest.start = fields.text("start");
  manifest.configuration = fields.object("configuration").dump();
  read_data(Fields{fields.object("data"), "data"}, manifest);
  read_exclusions(Fields{fields.object("exclusions"), "exclusions"}, manifest);
  manifest.calibration = fields.object("calibration").dump();
  manifest.gate = fields.object("gate").dump();
  manifest.reason = fields.text("reason");
  manifest.sha256 = fields.required_text("sha256");
  manifest.bytes = fields.count("bytes");
  manifest.pinned = fields.flag("pinned");
  check_names(fields, manifest);
  return manifest;
}

Champion read_champion(const Json& document) {
  const Fields fields{document, ""};
  Champion champion;
  champion.version = fields.required_text("version");
  champion.previous = fields.text("previous");
  for (const char* name : {"version", "previous"}) {
    const std::string text = fields.text(name);
    if (!is_version_name(text) && !(text.empty() && name == std::string_view{"previous"})) {
      fields.wrong(name, text, "the name of a version");
    }
  }
  fields.for_each("since", [&](const Fields& position) {
    champion.since.push_back({position.partition(), position.offset("offset")});
  });
  champion.promoted_at = fields.time("promoted_at");
  champion.by = fields.text("by");
  champion.why = fields.text("why");
  return champion;
}

template <typename T>
Result<T> read_document(std::string_view text, T (*read)(const Json&)) {
  try {
    const Json document = Json::parse(text, shallow, /*allow_exceptions=*/false);
    if (document.is_discarded()) return fail(ErrorKind::kIncompatible, "found no JSON document");
    return read(document);
  } catch (const std::exception& error) {
    return fail(ErrorKind::kIncompatible, error.what());
  }
}

/// Reads `digits` digits at `at` and moves on.
bool take_number(std::string_view& text, std::size_t digits, unsigned& number) {
  if (text.size() < digits) return false;
  const char* end = text.data() + digits;
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  text.remove_prefix(digits);
  return error == std::errc{} && stop == end;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::uint64_t Manifest::num_rows() const {
  std::uint64_t sum = 0;
  for (const DataRange& range : data) sum += range.rows;
  return sum;
}

std::string to_json(const Manifest& manifest) {
  return dumped(
             {{"format", kFormat},
              {"version", manifest.version},
              {"group", manifest.group},
              {"channels", channels_json(manifest.channels)},
              {"kind", manifest.kind},
              {"choice", manifest.choice},
              {"parent", manifest.parent},
              {"created", to_rfc3339(manifest.created)},
              {"code_version", manifest.code_version},
              {"seed", manifest.seed},
              {"start", manifest.start},
              {"configuration", object_of(manifest.configuration)},
              {"data", {{"series", manifest.num_series}, {"ranges", ranges_json(manifest.data)}}},
              {"exclusions", exclusions_json(manifest)},
              {"calibration", object_of(manifest.calibration)},
              {"gate", object_of(manifest.gate)},
              {"reason", manifest.reason},
              {"sha256", manifest.sha256},
              {"bytes", manifest.bytes},
              {"pinned", manifest.pinned}}) +
         "\n";
}

std::string to_json(const Champion& champion) {
  Json since = Json::array();
  for (const Position& position : champion.since) {
    since.push_back({{"topic", position.partition.topic},
                     {"partition", position.partition.partition},
                     {"offset", position.offset}});
  }
  return dumped({{"version", champion.version},
                 {"previous", champion.previous},
                 {"since", std::move(since)},
                 {"promoted_at", to_rfc3339(champion.promoted_at)},
                 {"by", champion.by},
                 {"why", champion.why}}) +
         "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
  return read_document<Manifest>(text, read_manifest);
}

Result<Champion> parse_champion(std::string_view text) {
  return read_document<Champion>(text, read_champion);
}

std::string channels_to_json(const std::vector<Channel>& channels) {
  return dumped({{"channels", channels_json(channels)}}) + "\n";
}

Result<std::vector<Channel>> parse_channels(std::string_view text) {
  return read_document<std::vector<Channel>>(text, [](const Json& document) {
    return read_channels(Fields{document, ""});
  });
}

GateVerdict gate_verdict(const Manifest& manifest) {
  const Json gate = object_of(manifest.gate);
  const auto text = [&](const char* name) {
    const auto it = gate.find(name);
    return it != gate.end() && it->is_string() ? it->get<std::string>() : std::string{};
  };
  return {text("outcome"), text("reason")};
}

bool is_version_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  };
  return !text.empty() && text.size() <= kMaxVersionName && text != "group" && text != "champion" &&
         std::ranges::all_of(text, fits);
}

Result<EventTime> parse_rfc3339(std::string_view text) {
  const std::string whole{text};
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0;
  bool good = take_number(text, 4, year) && take(text, '-') && take_number(text, 2, month) &&
              take(text, '-') && take_number(text, 2, day) && take(text, 'T') &&
              take_number(text, 2, hour) && take(text, ':') && take_number(text, 2, minute) &&
              take(text, ':') && take_number(text, 2, second);
  if (good && take(text, '.')) {
    constexpr std::array<unsigned, 6> kScale{100'000, 10'000, 1'000, 100, 10, 1};
    const std::size_t digits = std::min(text.find('Z'), kScale.size() + 1);
    good = digits >= 1 && digits <= kScale.size() && take_number(text, digits, fraction);
    if (good) fraction *= kScale[digits - 1];
  }
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)},
                                         std::chrono::month{month}, std::chrono::day{day}};
  if (!good || !take(text, 'Z') || !text.empty() || !date.ok() || hour > 23 || minute > 59 ||
      second > 60) {
    return fail(ErrorKind::kInvalid,
                "found '" + whole + "'; expected a time such as 2026-11-20T22:15:04.120Z");
  }
  return EventTime{std::chrono::sys_days{date}} + std::chrono::hours{hour} +
         std::chrono::minutes{minute} + std::chrono::seconds{second} +
         std::chrono::microseconds{fraction};
}

std::string_view code_version() { return ANOMALYD_VERSION; }

}  // namespace anomalyd::runtime
