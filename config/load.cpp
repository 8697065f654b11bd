#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "config/schema.hpp"
#include "config/yaml.hpp"

namespace anomalyd::config {
namespace {

constexpr std::size_t kMaxProblems = 100;  // a file that is not ours has thousands
constexpr std::size_t kMaxShown = 60;      // characters of a value in a message

std::string_view in_words(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull: return "nothing";
    case YamlNode::Kind::kScalar: return "a single value";
    case YamlNode::Kind::kList: return "a list";
    case YamlNode::Kind::kMap: return "a section";
  }
  return {};
}

std::string_view kind_in_words(Kind kind) {
  switch (kind) {
    case Kind::kBool: return "true or false";
    case Kind::kInteger: return "a whole number";
    case Kind::kNumber: return "a number";
    case Kind::kDuration: return "a duration";
    case Kind::kBytes: return "a size";
    case Kind::kText:
    case Kind::kChoice:
    case Kind::kList:
    case Kind::kMap:
    case Kind::kRecords: break;
  }
  return "text";
}

std::string_view units_of(Kind kind) {
  if (kind == Kind::kDuration) return "us, ms, s, m, h, d, w";
  if (kind == Kind::kBytes) return "B, KiB, MiB, GiB";
  return {};
}

std::string clip(std::string_view text) {
  if (text.size() <= kMaxShown) return std::string{text};
  return std::string{text.substr(0, kMaxShown)} + "...";
}

// Passwords are at home there, under names that may be misspelt.
bool is_about_kafka(std::string_view path) { return path == "kafka" || path.starts_with("kafka."); }

std::string without_value(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return {};
  return fmt::format("{}: {}", line.substr(0, colon), kMask);
}

// Reads one file: walks the tree beside the schema and collects what it finds.
class Reader {
 public:
  Reader(std::string_view yaml, const Context& context) : yaml_{yaml}, context_{context} {}

  Loaded read() {
    YamlDocument document = parse_yaml(yaml_);
    if (!document.problems.empty()) {
      for (const Problem& problem : document.problems) report_syntax(problem);
      return std::move(loaded_);
    }
    read_section(document.root, "");
    report_missing();
    loaded_.options.model.window = loaded_.options.pipeline.window.length;
    run_checks();
    std::ranges::stable_sort(loaded_.problems, {}, [](const Problem& problem) {
      return std::tuple{problem.line == 0, problem.line, problem.column};
    });
    return std::move(loaded_);
  }

 private:
  // What a scalar says once its references are replaced.
  struct Text {
    std::string text;
    std::string shown;  // for messages
  };

  void read_section(const YamlNode& node, const std::string& path) {
    if (node.kind == YamlNode::Kind::kNull) return;
    if (node.kind != YamlNode::Kind::kMap) {
      report(node.mark, path,
             fmt::format("found {}; expected 'name: value' lines", in_words(node.kind)));
      return;
    }
    for (const YamlNode& child : node.children) {
      if (loaded_.problems.size() >= kMaxProblems) return;
      read_entry(child, path.empty() ? child.key : path + "." + child.key);
    }
  }

  void read_entry(const YamlNode& node, const std::string& path) {
    const auto [first, is_new] = places_.emplace(path, node.key_mark);
    if (!is_new) {
      report(node.key_mark, path,
             fmt::format("given twice; expected once, as on line {}", first->second.line));
      return;
    }
    if (const Option* option = schema().find(path)) return read_option(node, *option);
    if (schema().is_section(path)) return read_section(node, path);
    report_unknown(node, path);
  }

  void report_unknown(const YamlNode& node, const std::string& path) {
    if (source_line(node.key_mark.line).find(':') == std::string::npos) {
      // Not an option at all; maybe a line of a key that slipped out of its place: not repeated.
      report(node.key_mark, section_of(path), "a line without a colon; expected 'name: value'");
      return;
    }
    std::string what = "unknown option";
    if (const std::string meant = suggest(path); !meant.empty()) {
      what += fmt::format("; did you mean '{}'?", meant);
    } else if (is_about_kafka(path)) {
      what += "; properties of librdkafka go under 'kafka.properties'";
    }
    report(node.key_mark, path, what);
  }

  // A slip of a letter or two, else where an option of that name is at home, else the nearest name.
  [[nodiscard]] static std::string suggest(const std::string& path) {
    std::vector<std::string> names;
    for (const Section& section : schema().sections()) names.push_back(section.path);
    for (const Option& option : schema().options()) names.push_back(option.path);
    if (std::string slip = nearest_name(path, names, 2); !slip.empty()) return slip;
    const auto home = std::ranges::find_if(
        names, [&](const std::string& name) { return name.ends_with("." + name_of(path)); });
    return home == names.end() ? nearest_name(path, names) : *home;
  }

  void read_option(const YamlNode& node, const Option& option) {
    loaded_.origins[option.path].line = node.mark.line;
    const std::optional<Value> value = read_value(node, option);
    if (!value) return;
    const Status status = option.set(loaded_.options, *value);
    if (status) return;
    const bool secret = loaded_.origins[option.path].secret;
    report(node.mark, option.path,
           secret ? fmt::format("{} does not fit; expected {}", kMask, expectation(option))
                  : status.error().message);
  }

  std::optional<Value> read_value(const YamlNode& node, const Option& option) {
    switch (option.kind) {
      case Kind::kList: return read_list(node, option);
      case Kind::kMap: return read_map(node, option);
      case Kind::kRecords: return read_records(node, option);
      case Kind::kBool:
      case Kind::kInteger:
      case Kind::kNumber:
      case Kind::kText:
      case Kind::kChoice:
      case Kind::kDuration:
      case Kind::kBytes: return read_scalar(node, option);
    }
    return std::nullopt;
  }

  std::optional<Value> read_scalar(const YamlNode& node, const Option& option) {
    const auto text = read_text(node, option.path, expectation(option));
    if (!text) return std::nullopt;
    if (option.required && text->text.empty()) {
      return complain(node, option, "is empty", expectation(option));
    }
    if (!option.zero.empty() && text->text == option.zero) return zero_of(option.kind);
    auto value = parse_scalar(option.kind, text->text);
    if (!value) return complain_of_kind(node, option, *text);
    if (option.kind == Kind::kChoice) return check_choice(node, option, *text);
    if (option.min.index() != 0 && *value < option.min) {
      return complain(node, option, text->shown + " is too small", expectation(option));
    }
    if (option.max.index() != 0 && *value > option.max) {
      return complain(node, option, text->shown + " is too large", expectation(option));
    }
    return value;
  }

  std::optional<Value> check_choice(const YamlNode& node, const Option& option, const Text& text) {
    if (std::ranges::find(option.choices, text.text) != option.choices.end()) {
      return Value{text.text};
    }
    const std::string meant = nearest_name(text.text, option.choices);
    return complain(
        node, option, fmt::format("'{}' is unknown", text.shown),
        expectation(option) + (meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant)));
  }

  std::nullopt_t complain_of_kind(const YamlNode& node, const Option& option, const Text& text) {
    const std::string_view units = units_of(option.kind);
    if (!units.empty() && parse_scalar(Kind::kNumber, text.text)) {
      return complain(node, option, text.shown + " has no unit",
                      fmt::format("{} with one of {}", expectation(option), units));
    }
    return complain(
        node, option,
        fmt::format("'{}' cannot be read as {}", text.shown, kind_in_words(option.kind)),
        expectation(option));
  }

  std::nullopt_t complain(const YamlNode& node, const Option& option, std::string_view found,
                          std::string_view expected) {
    report(node.mark, option.path, fmt::format("{}; expected {}", found, expected));
    return std::nullopt;
  }

  std::optional<Value> read_list(const YamlNode& node, const Option& option) {
    TextList list;
    const bool single = node.kind == YamlNode::Kind::kScalar;
    if (!single && node.kind != YamlNode::Kind::kList) {
      return complain_of_shape(node, option);
    }
    bool complete = true;
    for (const YamlNode& item : single ? std::vector{node} : node.children) {
      auto text = read_text(item, option.path, "text");
      complete = complete && text.has_value();
      if (text) list.push_back(std::move(text->text));
    }
    if (!complete) return std::nullopt;
    const bool blank = std::ranges::any_of(list, &std::string::empty);
    if (blank || (option.required && list.empty())) {
      return complain(node, option, blank ? "has an empty entry" : "is empty", expectation(option));
    }
    return list;
  }

  std::optional<Value> read_map(const YamlNode& node, const Option& option) {
    if (node.kind == YamlNode::Kind::kNull) return TextMap{};
    if (node.kind != YamlNode::Kind::kMap) return complain_of_shape(node, option);
    TextMap map;
    for (const YamlNode& child : node.children) {
      const std::string path = option.path + "." + child.key;
      if (map.contains(child.key)) {
        report(child.key_mark, path, "given twice; expected once");
        continue;
      }
      loaded_.origins[path].line = child.mark.line;
      auto text = read_text(child, path, "text");
      if (!text) continue;
      check_property(child, path, text->text);
      map[child.key] = std::move(text->text);
    }
    return map;
  }

  void check_property(const YamlNode& node, const std::string& path, const std::string& value) {
    if (value == kMask && looks_secret(node.key)) {
      report(node.mark, path, "is masked; expected the secret, or ${file:/path} with it");
      return;
    }
    if (!context_.kafka_property) return;
    const Status status = context_.kafka_property(node.key, value);
    if (status) return;
    std::string_view sentence = status.error().message;
    if (sentence.starts_with(path + ": ")) sentence.remove_prefix(path.size() + 2);
    report(node.mark, path, std::string{sentence});
  }

  std::optional<Value> read_records(const YamlNode& node, const Option& option) {
    if (node.kind != YamlNode::Kind::kList) return complain_of_shape(node, option);
    RecordList list;
    for (const YamlNode& item : node.children) {
      if (loaded_.problems.size() >= kMaxProblems) break;
      list.push_back(read_record(item, option));
    }
    return list;
  }

  TextMap read_record(const YamlNode& node, const Option& option) {
    const std::string& first = option.fields.front().name;
    TextMap record;
    if (node.kind == YamlNode::Kind::kScalar) {
      const auto text = read_text(node, option.path, "text");
      if (!text) return {};
      record[first] = text->text;
    } else if (node.kind == YamlNode::Kind::kMap) {
      record = read_fields(node, option);
    } else {
      complain_of_shape(node, option);
      return {};
    }
    if (record[first].empty()) {
      report(node.mark, option.path, fmt::format("an entry without '{0}'; expected '{0}'", first));
    }
    return record;
  }

  TextMap read_fields(const YamlNode& node, const Option& option) {
    TextMap record;
    std::vector<std::string> names;
    for (const RecordField& field : option.fields) names.push_back(field.name);
    for (const YamlNode& child : node.children) {
      const std::string path = option.path + "." + child.key;
      if (std::ranges::find(names, child.key) == names.end()) {
        report(child.key_mark, path,
               fmt::format("unknown field; expected {}", fmt::join(names, ", ")));
      } else if (record.contains(child.key)) {
        report(child.key_mark, path, "given twice; expected once");
      } else if (auto text = read_text(child, path, "text")) {
        record[child.key] = std::move(text->text);
      }
    }
    return record;
  }

  std::nullopt_t complain_of_shape(const YamlNode& node, const Option& option) {
    return complain(node, option, fmt::format("found {}", in_words(node.kind)),
                    expectation(option));
  }

  std::optional<Text> read_text(const YamlNode& node, const std::string& path,
                                std::string_view expected) {
    if (node.kind != YamlNode::Kind::kScalar) {
      report(node.mark, path, fmt::format("found {}; expected {}", in_words(node.kind), expected));
      return std::nullopt;
    }
    auto expanded = expand(node.text, context_.surroundings);
    if (!expanded) {
      report(node.mark, path, expanded.error().message);
      return std::nullopt;
    }
    const auto origin = loaded_.origins.find(path);
    if (origin != loaded_.origins.end()) {
      std::ranges::move(expanded->sources, std::back_inserter(origin->second.sources));
      origin->second.secret = origin->second.secret || expanded->secret;
    }
    const bool secret = expanded->secret || looks_secret(path);
    return Text{expanded->text, secret ? std::string{kMask} : clip(expanded->text)};
  }

  void report_missing() {
    for (const Option& option : schema().options()) {
      if (!option.required || places_.contains(option.path)) continue;
      const auto section = places_.find(section_of(option.path));
      const Mark mark = section == places_.end() ? Mark{} : section->second;
      report(mark, option.path, "is missing; expected " + expectation(option));
    }
  }

  void run_checks() {
    for (const Check& check : schema().checks()) run(check);
    for (const Check& check : context_.checks) run(check);
  }

  // A rule is tested only when what it is about is itself in order.
  void run(const Check& check) {
    const auto is_wrong = [&](const std::string& path) {
      return std::ranges::any_of(loaded_.problems, [&](const Problem& problem) {
        return problem.path == path || problem.path.starts_with(path + ".");
      });
    };
    if (std::ranges::any_of(check.paths, is_wrong)) return;
    const auto complaint = check.complaint(loaded_.options);
    if (!complaint) return;
    const auto given = std::ranges::find_if(
        check.paths, [&](const std::string& path) { return places_.contains(path); });
    report(given == check.paths.end() ? Mark{} : places_.at(*given), check.paths.front(),
           *complaint);
  }

  void report(Mark mark, const std::string& path, std::string what) {
    if (loaded_.problems.size() >= kMaxProblems) return;
    if (loaded_.problems.size() + 1 == kMaxProblems) {
      what = fmt::format("and more; these are the first {} problems", kMaxProblems - 1);
    }
    const std::string line = source_line(mark.line);
    const bool secret = is_about_kafka(path) || looks_secret(path) || looks_secret(line);
    loaded_.problems.push_back({.line = mark.line,
                                .column = mark.column,
                                .path = path,
                                .what = std::move(what),
                                .source = secret ? without_value(line) : line});
  }

  // Without a tree nobody knows what a line is: one without a name may be part of a key or
  // password.
  void report_syntax(const Problem& problem) {
    const std::string line = source_line(problem.line);
    const bool plain = line.find(':') != std::string::npos && !looks_secret(line);
    loaded_.problems.push_back(problem);
    loaded_.problems.back().source = plain ? line : without_value(line);
  }

  [[nodiscard]] std::string source_line(int line) const {
    std::string_view rest = yaml_;
    for (int skipped = 1; skipped < line; ++skipped) {
      const std::size_t end = rest.find('\n');
      if (end == std::string_view::npos) return {};
      rest.remove_prefix(end + 1);
    }
    if (line == 0) return {};
    std::string_view text = rest.substr(0, rest.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    return clip(text);
  }

  std::string_view yaml_;
  const Context& context_;
  Loaded loaded_;
  std::map<std::string, Mark> places_;  // of every section and option given
};

}  // namespace

Loaded load(std::string_view yaml, std::string_view file, const Context& context) {
  Loaded loaded = Reader{yaml, context}.read();
  loaded.file = file;
  return loaded;
}

Loaded load_file(const std::filesystem::path& path, const Context& context) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  std::ifstream stream{path, std::ios::binary};
  if (is_folder || !stream) {
    Loaded loaded;
    loaded.file = path.string();
    loaded.problems.push_back(
        {.what = fmt::format(
             "cannot be read: {}; expected a YAML file",
             is_folder ? "it is a folder" : (error ? error.message() : "permission denied"))});
    return loaded;
  }
  std::string text(kMaxYamlBytes + 1, '\0');  // one more than is taken, so that it is noticed
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return load(text, path.string(), context);
}

}  // namespace anomalyd::config
