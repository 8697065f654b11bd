#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/conversion.hpp"
#include "config/options.hpp"
#include "config/value.hpp"
#include "daemon/core/result.hpp"

namespace anomalyd::config {

/// One named field of the entries of a kRecords option.
struct RecordField {
  std::string name;
  std::string help;
};

/// One option: all that the loader, `explain`, the reference page and the JSON Schema know of it.
/// Its default is that of the class which uses it, read from a default-constructed Options.
struct Option {
  std::string path = {};  ///< "window.length".
  Kind kind = Kind::kText;
  std::string help = {};  ///< One sentence.
  std::string unit = {};  ///< Of a bare number: "rows".
  std::string zero = {};  ///< A word that stands for zero: "auto".
  std::string form = {};  ///< How a text of a fixed form looks: "1 per series per week".
  Value min = {};         ///< Empty: no bound.
  Value max = {};
  std::vector<std::string> choices = {};  ///< Of a kChoice.
  std::vector<RecordField> fields = {};   ///< Of a kRecords; the first one is required.
  bool required = false;

  std::function<Value(const Options&)> get = {};
  /// Errors: kInvalid, what a value of the right kind and range still lacks.
  std::function<Status(Options&, const Value&)> set = {};
};

/// A section of the file, and what it is for.
struct Section {
  std::string path;  ///< "window", "input.series".
  std::string help;
};

/// Completes a row of the schema. Bounds have the type of the option.
template <typename T>
class OptionRow {
 public:
  using Bound = typename WithoutOptional<T>::Type;

  explicit OptionRow(Option& option) : option_{&option} {}

  OptionRow& help(std::string sentence) {
    option_->help = std::move(sentence);
    return *this;
  }
  OptionRow& unit(std::string name) {
    option_->unit = std::move(name);
    return *this;
  }
  OptionRow& range(Bound min, Bound max) {
    option_->max = Conversion<Bound>::to_value(max);
    return at_least(min);
  }
  OptionRow& at_least(Bound min) {
    option_->min = Conversion<Bound>::to_value(min);
    return *this;
  }
  /// How a text, or the texts of a list, look: "a list of host:port".
  OptionRow& form(std::string words) {
    option_->form = std::move(words);
    return *this;
  }
  /// A size in memory, written with its unit.
  OptionRow& bytes() requires std::integral<Bound> {
    option_->kind = Kind::kBytes;
    return *this;
  }
  /// A word that is read and shown in place of zero.
  OptionRow& zero(std::string word) {
    option_->zero = std::move(word);
    return *this;
  }
  OptionRow& required() {
    option_->required = true;
    return *this;
  }

 private:
  Option* option_;
};

/// The table of all options, in the order of the file: one row per option, written once.
class Schema {
 public:
  template <typename Field>
  using FieldType = std::remove_cvref_t<std::invoke_result_t<Field, Options&>>;

  /// Adds an option. `field` names a member of Options: `[](auto& o) -> auto& { return o.x; }`.
  template <typename Field>
  auto option(std::string path, Field field) {
    using T = FieldType<Field>;
    Option& row = add(std::move(path), Conversion<T>::kKind);
    row.get = [field](const Options& o) { return Conversion<T>::to_value(field(o)); };
    row.set = [field](Options& o, const Value& v) {
      return Conversion<T>::from_value(v, field(o));
    };
    if constexpr (std::unsigned_integral<T> && !std::same_as<T, bool>) {
      row.min = Value{std::int64_t{0}};
    }
    return OptionRow<T>{row};
  }

  /// Adds an option that is one of a few names.
  template <typename Field>
  auto choice(std::string path, Field field,
              std::vector<std::pair<std::string, FieldType<Field>>> names) {
    using T = FieldType<Field>;
    Option& row = add(std::move(path), Kind::kChoice);
    for (const auto& [name, value] : names) row.choices.push_back(name);
    row.get = [field, names](const Options& o) -> Value {
      for (const auto& [name, value] : names) {
        if (value == field(o)) return name;
      }
      return {};
    };
    row.set = [field, names](Options& o, const Value& v) -> Status {
      for (const auto& [name, value] : names) {
        if (name == std::get<std::string>(v)) field(o) = value;
      }
      return {};
    };
    return OptionRow<T>{row};
  }

  /// Adds an option whose text has a form of its own: `parse` makes a Result of one from a text,
  /// `format` is the way back. `form` shows what it looks like.
  template <typename Field, typename Parse, typename Format>
  auto text(std::string path, Field field, std::string form, Parse parse, Format format) {
    Option& row = add(std::move(path), Kind::kText);
    row.form = std::move(form);
    row.get = [field, format](const Options& o) -> Value { return std::invoke(format, field(o)); };
    row.set = [field, parse](Options& o, const Value& v) -> Status {
      auto parsed = parse(std::get<std::string>(v));
      if (!parsed) return Failure{std::move(parsed).error()};
      field(o) = *std::move(parsed);
      return {};
    };
    return OptionRow<FieldType<Field>>{row};
  }

  /// Adds a list of small structs of texts. A bare text in YAML is their first member.
  template <typename Field, typename Record>
  auto records(std::string path, Field field,
               std::vector<std::pair<RecordField, std::string Record::*>> members) {
    Option& row = add(std::move(path), Kind::kRecords);
    for (const auto& [record_field, member] : members) row.fields.push_back(record_field);
    row.get = [field, members](const Options& o) -> Value {
      RecordList list;
      for (const Record& record : field(o)) {
        TextMap& entry = list.emplace_back();
        for (const auto& [name, member] : members) {
          if (!(record.*member).empty()) entry[name.name] = record.*member;
        }
      }
      return list;
    };
    row.set = [field, members](Options& o, const Value& v) -> Status {
      field(o).clear();
      for (const TextMap& entry : std::get<RecordList>(v)) {
        Record record;
        for (const auto& [name, member] : members) {
          const auto found = entry.find(name.name);
          if (found != entry.end()) record.*member = found->second;
        }
        field(o).push_back(std::move(record));
      }
      return {};
    };
    return OptionRow<FieldType<Field>>{row};
  }

  void section(std::string path, std::string help) {
    sections_.push_back({std::move(path), std::move(help)});
  }

  void check(std::vector<std::string> paths,
             std::function<std::optional<std::string>(const Options&)> complaint) {
    checks_.push_back({std::move(paths), std::move(complaint)});
  }

  [[nodiscard]] const std::vector<Option>& options() const noexcept { return options_; }
  [[nodiscard]] const std::vector<Section>& sections() const noexcept { return sections_; }
  [[nodiscard]] const std::vector<Check>& checks() const noexcept { return checks_; }
  [[nodiscard]] const Option* find(std::string_view path) const;
  [[nodiscard]] bool is_section(std::string_view path) const;

 private:
  Option& add(std::string path, Kind kind) {
    options_.push_back({.path = std::move(path), .kind = kind});
    return options_.back();
  }

  std::vector<Option> options_;
  std::vector<Section> sections_;
  std::vector<Check> checks_;
};

/// Every option of the daemon. The rows are in schema.cpp.
[[nodiscard]] const Schema& schema();

/// "window" of "window.length"; empty at the top.
[[nodiscard]] std::string section_of(std::string_view path);
/// "length" of "window.length".
[[nodiscard]] std::string name_of(std::string_view path);

/// The zero of a kind that counts or measures.
[[nodiscard]] Value zero_of(Kind kind);

/// A scalar or a list on one line, for people.
[[nodiscard]] std::string in_words(const Option& option, const Value& value);

/// The default on one line; empty when there is none.
[[nodiscard]] std::string default_in_words(const Option& option);

/// What a value of this option looks like, for "expected ...": "8..4096 rows", "true or false".
[[nodiscard]] std::string expectation(const Option& option);

}  // namespace anomalyd::config
