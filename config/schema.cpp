#include "config/schema.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/option_rows.hpp"

namespace anomalyd::config {
namespace {

std::string text_of(const Option& option, const Value& bound) {
  return format_scalar(option.kind, bound);
}

// "8..4096 rows", "at least 1s", or empty without bounds.
std::string range_of(const Option& option) {
  if (option.min.index() == 0) return {};
  const std::string unit = option.unit.empty() ? "" : " " + option.unit;
  const std::string min = text_of(option, option.min);
  if (option.max.index() == 0) return "at least " + min + unit;
  return fmt::format("{}..{}{}", min, text_of(option, option.max), unit);
}

std::string joined_choices(const std::vector<std::string>& choices) {
  const auto all_but_last = std::span{choices}.first(choices.size() - 1);
  return fmt::format("{} or {}", fmt::join(all_but_last, ", "), choices.back());
}

std::string expectation_without_zero(const Option& option) {
  const std::string range = range_of(option);
  switch (option.kind) {
    case Kind::kBool: return "true or false";
    case Kind::kInteger: return range.empty() ? "a whole number" : range;
    case Kind::kNumber: return range.empty() ? "a number" : range;
    case Kind::kDuration: return range.empty() ? "a duration such as 20ms" : range;
    case Kind::kBytes: return range.empty() ? "a size such as 64MiB" : range;
    case Kind::kText: return option.form.empty() ? "text" : option.form;
    case Kind::kChoice: return joined_choices(option.choices);
    case Kind::kList: return option.form.empty() ? "a list of texts" : option.form;
    case Kind::kMap: return "'name: value' lines";
    case Kind::kRecords: {
      std::vector<std::string> names;
      for (const RecordField& field : option.fields) names.push_back(field.name);
      return fmt::format("a list of entries with {}", fmt::join(names, ", "));
    }
  }
  return {};
}

Schema build() {
  Schema schema;
  add_input_rows(schema);
  add_detection_rows(schema);
  add_retraining_rows(schema);
  add_gate_rows(schema);
  add_operation_rows(schema);
  return schema;
}

}  // namespace

const Option* Schema::find(std::string_view path) const {
  const auto found = std::ranges::find(options_, path, &Option::path);
  return found == options_.end() ? nullptr : &*found;
}

bool Schema::is_section(std::string_view path) const {
  return std::ranges::find(sections_, path, &Section::path) != sections_.end();
}

const Schema& schema() {
  static const Schema schema = build();
  return schema;
}

std::string expectation(const Option& option) {
  const std::string expected = expectation_without_zero(option);
  return option.zero.empty() ? expected : fmt::format("{} or {}", option.zero, expected);
}

std::string section_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return std::string{dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot)};
}

std::string name_of(std::string_view path) { return std::string{path.substr(path.rfind('.') + 1)}; }

Value zero_of(Kind kind) {
  if (kind == Kind::kDuration) return std::chrono::microseconds{0};
  if (kind == Kind::kNumber) return 0.0;
  return std::int64_t{0};
}

std::string in_words(const Option& option, const Value& value) {
  if (!option.zero.empty() && value == zero_of(option.kind)) return option.zero;
  if (const auto* list = std::get_if<TextList>(&value)) {
    return list->empty() ? "" : fmt::format("[{}]", fmt::join(*list, ", "));
  }
  return format_scalar(option.kind, value);
}

std::string default_in_words(const Option& option) {
  static const Options defaults;
  return option.required ? std::string{} : in_words(option, option.get(defaults));
}

}  // namespace anomalyd::config
