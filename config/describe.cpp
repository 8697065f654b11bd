#include "config/describe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "config/schema.hpp"
#include "config/yaml.hpp"

namespace anomalyd::config {
namespace {

bool is_within(std::string_view path, std::string_view section) {
  return section.empty() || path == section ||
         (path.starts_with(section) && path[section.size()] == '.');
}

std::string origin_in_words(const Loaded& loaded, const std::string& path) {
  const auto found = loaded.origins.find(path);
  if (found == loaded.origins.end()) return "default";
  std::string words = fmt::format("{}:{}", loaded.file, found->second.line);
  for (const std::string& source : found->second.sources) words += ", " + source;
  return words;
}

bool is_secret(const Loaded& loaded, const std::string& path) {
  const auto found = loaded.origins.find(path);
  return looks_secret(path) || (found != loaded.origins.end() && found->second.secret);
}

// A plain "${" in an effective value must not be taken for a reference when it is read again.
std::string escaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) out += '$';
    out += text[i];
  }
  return yaml_scalar(out);
}

class Printer {
 public:
  explicit Printer(const Loaded& loaded) : loaded_{loaded} {}

  std::string print() && {
    for (const Option& option : schema().options()) {
      open_sections(section_of(option.path));
      print_option(option);
    }
    return std::move(text_);
  }

 private:
  // Writes the headers of the sections of `section` that are not open yet.
  void open_sections(const std::string& section) {
    std::size_t end = 0;
    while (end != std::string::npos) {
      end = section.find('.', end + 1);
      const std::string part = section.substr(0, end);
      if (is_within(section_, part)) continue;
      const auto depth = static_cast<std::size_t>(std::ranges::count(part, '.'));
      if (depth == 0 && !text_.empty()) text_ += '\n';
      text_ += fmt::format("{:{}}{}:\n", "", 2 * depth, name_of(part));
    }
    section_ = section;
    indent_ = 2 * static_cast<std::size_t>(std::ranges::count(section, '.') + 1);
  }

  void print_option(const Option& option) {
    const Value value = option.get(loaded_.options);
    const std::string name = name_of(option.path);
    const std::string origin = origin_in_words(loaded_, option.path);
    const bool secret = is_secret(loaded_, option.path);
    if (value.index() == 0) return line(indent_, fmt::format("# {}: not set", name), {});
    if (const auto* list = std::get_if<TextList>(&value)) {
      return print_list(name, secret ? TextList{std::string{kMask}} : *list, origin);
    }
    if (const auto* map = std::get_if<TextMap>(&value)) return print_map(option.path, *map, origin);
    if (const auto* records = std::get_if<RecordList>(&value)) {
      return print_records(name, *records, origin);
    }
    const std::string text = secret ? std::string{kMask} : in_words(option, value);
    line(indent_, fmt::format("{}: {}", name, escaped(text)), origin);
  }

  void print_list(const std::string& name, const TextList& list, const std::string& origin) {
    if (list.empty()) return line(indent_, name + ": []", origin);
    line(indent_, name + ":", origin);
    for (const std::string& item : list) line(indent_ + 2, "- " + escaped(item), {});
  }

  void print_map(const std::string& path, const TextMap& map, const std::string& origin) {
    if (map.empty()) return line(indent_, name_of(path) + ": {}", origin);
    line(indent_, name_of(path) + ":", {});
    for (const auto& [name, value] : map) {
      const std::string entry = path + "." + name;
      const std::string shown = is_secret(loaded_, entry) ? std::string{kMask} : value;
      line(indent_ + 2, fmt::format("{}: {}", yaml_scalar(name), escaped(shown)),
           origin_in_words(loaded_, entry));
    }
  }

  void print_records(const std::string& name, const RecordList& records,
                     const std::string& origin) {
    if (records.empty()) return line(indent_, name + ": []", origin);
    line(indent_, name + ":", origin);
    for (const TextMap& record : records) {
      std::string_view bullet = "- ";
      for (const auto& [field, value] : record) {
        line(indent_ + 2, fmt::format("{}{}: {}", bullet, field, escaped(value)), {});
        bullet = "  ";
      }
    }
  }

  void line(std::size_t indent, const std::string& text, const std::string& comment) {
    constexpr std::size_t kCommentColumn = 40;
    const std::size_t width = indent + text.size();
    const std::size_t gap =
        comment.empty()
            ? 0
            : std::max<std::size_t>(2, kCommentColumn - std::min(kCommentColumn, width));
    text_ += fmt::format("{:{}}{}{:{}}{}\n", "", indent, text, "", gap,
                         comment.empty() ? "" : "# " + comment);
  }

  const Loaded& loaded_;
  std::string text_;
  std::string section_;
  std::size_t indent_ = 0;
};

// ---- explain
// -------------------------------------------------------------------------------------

std::string fallback_in_words(const Option& option) {
  if (option.required) return "required";
  const std::string fallback = default_in_words(option);
  return fallback.empty() ? "default: none" : "default: " + fallback;
}

void explain_option(std::string& out, const Option& option) {
  fmt::format_to(std::back_inserter(out), "\n  {}\n      {}\n      {}; {}\n", option.path,
                 option.help, expectation(option), fallback_in_words(option));
  for (const RecordField& field : option.fields) {
    fmt::format_to(std::back_inserter(out), "        {}: {}\n", field.name, field.help);
  }
}

Failure unknown_name(std::string_view name) {
  std::vector<std::string> names;
  for (const Section& section : schema().sections()) names.push_back(section.path);
  const std::string sections = fmt::format("{}", fmt::join(names, ", "));
  for (const Option& option : schema().options()) names.push_back(option.path);
  const std::string nearest = nearest_name(name, names);
  return fail(ErrorKind::kInvalid,
              nearest.empty()
                  ? fmt::format("unknown section '{}'; expected one of {}", name, sections)
                  : fmt::format("unknown section '{}'; did you mean '{}'?", name, nearest));
}

/// What effective_json wrote of an option. An empty value means that it is not set.
std::optional<Value> value_of(const Option& option, const nlohmann::ordered_json& place) {
  if (place.is_boolean()) return Value{place.get<bool>()};
  if (place.is_number() && option.kind == Kind::kNumber) return Value{place.get<double>()};
  if (place.is_number_integer()) return Value{place.get<std::int64_t>()};
  if (!place.is_string()) return std::nullopt;
  const auto text = place.get<std::string>();
  if (!option.zero.empty() && text == option.zero) return zero_of(option.kind);
  if (option.kind == Kind::kList) {
    TextList list;
    const bool bracketed = text.starts_with('[') && text.ends_with(']');
    std::string_view left{text};
    if (bracketed) left = left.substr(1, text.size() - 2);
    while (!left.empty()) {
      const std::size_t end = std::min(left.find(", "), left.size());
      list.emplace_back(left.substr(0, end));
      left.remove_prefix(std::min(end + 2, left.size()));
    }
    return Value{std::move(list)};
  }
  if (option.kind == Kind::kMap || option.kind == Kind::kRecords) return Value{};
  if (text.empty() && option.kind != Kind::kText) return Value{};
  return parse_scalar(option.kind, text);
}

// ---- the reference page
// --------------------------------------------------------------------------

// A bar would end the cell.
std::string cell(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) {
    text.insert(at, 1, '\\');
  }
  return text;
}

void add_table(std::string& page, const Section& section) {
  auto out = std::back_inserter(page);
  fmt::format_to(out, "\n## {}\n\n{}\n\n", section.path, section.help);
  bool any = false;
  for (const Option& option : schema().options()) {
    if (section_of(option.path) != section.path) continue;
    if (!any) page += "| option | default | expects | what it does |\n|---|---|---|---|\n";
    any = true;
    const std::string fallback = default_in_words(option);
    std::string help = option.help;
    for (const RecordField& field : option.fields) {
      help += fmt::format(" `{}`: {}", field.name, field.help);
    }
    fmt::format_to(out, "| `{}` | {} | {} | {} |\n", name_of(option.path),
                   option.required    ? "**required**"
                   : fallback.empty() ? "none"
                                      : fmt::format("`{}`", cell(fallback)),
                   cell(expectation(option)), cell(help));
  }
}

constexpr std::string_view kPreface = R"(# Configuration

One YAML file. The smallest one names the brokers, the input topic and the alert topic:

```yaml
kafka: {brokers: [localhost:9092]}
input: {topics: [telemetry]}
alerts: {topic: alerts}
```

- `anomalyd --check FILE` reads a file and reports every problem in it at once.
- `anomalyctl config print FILE` shows the effective values and where each one came from.
- `anomalyctl config explain SECTION` shows the tables below in a terminal.
- `anomalyctl config schema > anomalyd.schema.json` writes a JSON Schema for editors; the comment
  `# yaml-language-server: $schema=anomalyd.schema.json` on the first line of a file uses it.

Values. A duration is a number with `us`, `ms`, `s`, `m`, `h`, `d` or `w`; a size one with `B`, `KiB`,
`MiB`, `GiB` (or `kB`, `MB`, `GB`); without its unit neither is accepted. A list of one may be
written as a single value. `${NAME}` is an environment variable, `${NAME:-default}` has a default,
`${file:/path}` is the content of a file, and `$${` is a plain `${`. Values that come from files, and
options and variables whose names say password, secret, token or key, are never shown.

This page is generated from the table that the loader uses.
)";

}  // namespace

std::string effective_json(const Options& options, const std::vector<std::string_view>& sections) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const Option& option : schema().options()) {
    if (std::ranges::none_of(sections, [&](auto s) { return is_within(option.path, s); })) continue;
    const Value value = option.get(options);
    auto& place = all[option.path];
    if (const auto* flag = std::get_if<bool>(&value)) {
      place = *flag;
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      place = *integer;
    } else if (const auto* number = std::get_if<double>(&value)) {
      place = *number;
    } else {
      place = in_words(option, value);
    }
  }
  return all.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<Options> with_effective(Options base, std::string_view json) {
  const auto all = nlohmann::ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!all.is_object()) return fail(ErrorKind::kIncompatible, "found no object of options");
  for (const auto& [path, place] : all.items()) {
    const Option* option = schema().find(path);
    const auto value = option == nullptr ? std::nullopt : value_of(*option, place);
    if (!value || (value->index() != 0 && !option->set(base, *value))) {
      return fail(ErrorKind::kIncompatible,
                  fmt::format("found {}: {}; expected {}", path, place.dump(),
                              option == nullptr ? "no such option" : expectation(*option)));
    }
  }
  base.model.window = base.pipeline.window.length;
  return base;
}

std::string print(const Loaded& loaded) { return Printer{loaded}.print(); }

Result<std::string> explain(std::string_view name) {
  std::string out;
  for (const Section& section : schema().sections()) {
    if (!is_within(section.path, name) && section_of(std::string{name}) != section.path) continue;
    std::string options;
    for (const Option& option : schema().options()) {
      const bool asked = is_within(option.path, name);
      if (asked && section_of(option.path) == section.path) explain_option(options, option);
    }
    if (options.empty()) continue;
    fmt::format_to(std::back_inserter(out), "{}{}: {}\n{}", out.empty() ? "" : "\n", section.path,
                   section.help, options);
  }
  if (out.empty()) return unknown_name(name);
  return out;
}

std::string reference_markdown() {
  std::string page{kPreface};
  for (const Section& section : schema().sections()) add_table(page, section);
  return page;
}

}  // namespace anomalyd::config
