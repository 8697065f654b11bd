#include <fmt/format.h>
#include <simdjson.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "connectors/codec/format_reader.hpp"
#include "connectors/codec/number_text.hpp"

namespace anomalyd::connectors {
namespace {

using namespace simdjson;  // NOLINT: the library's own style, and this file is about it

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxElements = 256;  // of an array that are looked at

struct Object;

/// A key of an object, and what was found out about it once and for all.
struct Member {
  std::string name;     // the key
  std::string in_text;  // the key and its closing quote, as in the record; empty if it has escapes
  Field field;
  std::unique_ptr<Object> inside;  // its own members, once an object was seen here
};

/// The members of the objects found at one path.
struct Object {
  std::string prefix;  // of the paths of its members: "" or "cpu."
  NameSequence<Member> members;
};

bool has_escapes(std::string_view key) {
  for (const char c : key) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) return true;
  }
  return false;
}

/// Wide and long JSON. Walks each object once, in the order of the text, and looks only at values
/// somebody wants.
class JsonReader final : public FormatReader {
 public:
  explicit JsonReader(const SampleDecoder::Options& options) : options_{options} {}

  void read(const Record& record, RowBuilder& rows) override {
    const std::size_t size = record.value.size();
    if (buffer_.size() < size + SIMDJSON_PADDING) buffer_.resize(2 * size + SIMDJSON_PADDING);
    std::memcpy(buffer_.data(), record.value.data(), size);
    rows_ = &rows;
    const std::string_view text{buffer_.data(), size};
    if (!holds_lines(text)) return read_document(text);
    for (std::size_t begin = 0; begin < size;) {
      const std::size_t end = std::min(text.find('\n', begin), size);
      const auto line = trimmed(text.substr(begin, end - begin));
      if (!line.empty()) read_document(line);
      begin = end + 1;
    }
  }

 private:
  // True if the first line is an object of its own and something follows it.
  static bool holds_lines(std::string_view text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const auto first = trimmed(text.substr(0, end));
    return first.starts_with('{') && first.ends_with('}') && !trimmed(text.substr(end)).empty();
  }

  void read_document(std::string_view text) {
    end_ = text.data() + text.size();
    const std::size_t room =
        buffer_.size() - static_cast<std::size_t>(text.data() - buffer_.data());
    if (const auto error = read_rows(text, room)) {
      constexpr std::size_t kShown = 60;
      rows_->reject(RejectReason::kMalformed,
                    fmt::format("not valid JSON ({}): found '{}{}'; expected an object, an array "
                                "of objects, or one object per line",
                                error_message(error), text.substr(0, kShown),
                                text.size() > kShown ? "..." : ""));
    }
  }

  error_code read_rows(std::string_view text, std::size_t room) {
    ondemand::document document;
    SIMDJSON_TRY(parser_.iterate(text.data(), text.size(), room).get(document));
    if (!options_.unwrap.empty()) {
      ondemand::value inner;
      if (const auto error = document.at_pointer(options_.unwrap).get(inner)) {
        if (error != NO_SUCH_FIELD && error != INCORRECT_TYPE) return error;
        rows_->reject(RejectReason::kMalformed,
                      fmt::format("nothing at '{}' in the record; expected the samples there "
                                  "(input.unwrap)",
                                  options_.unwrap));
        return SUCCESS;
      }
      return read_value(inner, [] { return SUCCESS; });
    }
    return read_value(document, [&document] {
      return document.current_location().error() == OUT_OF_BOUNDS ? SUCCESS : TRAILING_CONTENT;
    });
  }

  // `at_end` tells whether the text ends where the value does.
  template <typename Value, typename AtEnd>
  error_code read_value(Value& value, const AtEnd& at_end) {
    ondemand::json_type type;
    SIMDJSON_TRY(value.type().get(type));
    if (type == ondemand::json_type::array) return read_array(value);
    ondemand::object object;
    SIMDJSON_TRY(value.get_object().get(object));
    rows_->begin_row();
    SIMDJSON_TRY(walk(object, root_, 0));
    SIMDJSON_TRY(at_end());
    rows_->finish_row();
    return SUCCESS;
  }

  template <typename Value>
  error_code read_array(Value& value) {
    ondemand::array array;
    SIMDJSON_TRY(value.get_array().get(array));
    for (auto entry : array) {
      ondemand::value element;
      SIMDJSON_TRY(entry.get(element));
      ondemand::json_type type;
      SIMDJSON_TRY(element.type().get(type));
      if (type != ondemand::json_type::object) {
        rows_->reject(RejectReason::kWrongType,
                      fmt::format("array element: found '{}'; expected an object",
                                  trimmed(element.raw_json_token()).substr(0, 40)));
        continue;
      }
      ondemand::object object;
      SIMDJSON_TRY(element.get_object().get(object));
      rows_->begin_row();
      SIMDJSON_TRY(walk(object, root_, 0));
      rows_->finish_row();
    }
    return SUCCESS;
  }

  error_code walk(ondemand::object& object, Object& known, int depth) {
    known.members.rewind();
    for (auto entry : object) {
      ondemand::field item;
      SIMDJSON_TRY(std::move(entry).get(item));
      Member* member = nullptr;
      SIMDJSON_TRY(find_member(item, known, member));
      SIMDJSON_TRY(take(item.value(), *member, known.prefix, depth));
    }
    return SUCCESS;
  }

  error_code find_member(ondemand::field& item, Object& known, Member*& member) {
    const char* raw = item.key().raw();
    member = known.members.expected();
    if (member != nullptr && !member->in_text.empty() &&
        member->in_text.size() <= static_cast<std::size_t>(end_ - raw) &&
        std::memcmp(raw, member->in_text.data(), member->in_text.size()) == 0) {
      known.members.advance();
      return SUCCESS;
    }
    std::string_view key;
    SIMDJSON_TRY(item.unescaped_key().get(key));
    member = find_or_add(known, key);
    return SUCCESS;
  }

  Member* find_or_add(Object& known, std::string_view key) {
    if (Member* found = known.members.find(key)) return found;
    if (num_names_ >= rows_->max_names()) return &surplus_;
    ++num_names_;
    return &known.members.add({std::string{key}, has_escapes(key) ? "" : std::string{key} + '"',
                               rows_->make_field(known.prefix + std::string{key}), nullptr});
  }

  error_code take(ondemand::value& value, Member& member, const std::string& prefix, int depth) {
    Field& field = member.field;
    if (field.use == FieldUse::kChannel) {  // the common case first: no look at the type
      double number = 0;
      if (value.get_double().get(number) == SUCCESS) {
        rows_->set_cell(field.index, number);
        return SUCCESS;
      }
    }
    ondemand::json_type type;
    SIMDJSON_TRY(value.type().get(type));
    switch (type) {
      case ondemand::json_type::number: return take_number(value, field);
      case ondemand::json_type::string: {
        if (field.use == FieldUse::kIgnored || field.use == FieldUse::kUndecided) return SUCCESS;
        std::string_view text;
        SIMDJSON_TRY(value.get_string().get(text));
        rows_->text(field, text);
        return SUCCESS;
      }
      case ondemand::json_type::boolean: return take_boolean(value, field);
      case ondemand::json_type::null: return SUCCESS;
      case ondemand::json_type::object: return take_object(value, member, prefix, depth);
      case ondemand::json_type::array: return take_array(value, member, prefix, depth);
    }
    return SUCCESS;
  }

  error_code take_number(ondemand::value& value, Field& field) {
    switch (field.use) {
      case FieldUse::kIgnored: return SUCCESS;
      case FieldUse::kSeries:
      case FieldUse::kChannelName: rows_->text(field, trimmed(value.raw_json_token())); break;
      case FieldUse::kTime: {
        ondemand::number number;
        SIMDJSON_TRY(value.get_number().get(number));
        if (number.is_int64()) {
          rows_->integer(field, number.get_int64());
        } else {
          rows_->number(field, number.as_double());
        }
        break;
      }
      case FieldUse::kUndecided:
      case FieldUse::kChannel:
      case FieldUse::kChannelValue: {
        double number = 0;
        SIMDJSON_TRY(value.get_double().get(number));
        rows_->number(field, number);
        break;
      }
    }
    return SUCCESS;
  }

  // A listed channel may be a switch; nobody else wants a truth value.
  error_code take_boolean(ondemand::value& value, Field& field) {
    bool on = false;
    SIMDJSON_TRY(value.get_bool().get(on));
    if (field.use == FieldUse::kChannel || field.use == FieldUse::kChannelValue) {
      rows_->number(field, on ? 1 : 0);
    } else {
      rows_->other(field, on ? "true" : "false");
    }
    return SUCCESS;
  }

  error_code take_object(ondemand::value& value, Member& member, const std::string& prefix,
                         int depth) {
    rows_->other(member.field, "an object");
    const bool wanted = member.field.has_parts || member.field.use == FieldUse::kUndecided;
    if (!wanted || depth >= kMaxDepth) return SUCCESS;
    if (!member.inside) member.inside.reset(new Object{prefix + member.name + ".", {}});
    ondemand::object object;
    SIMDJSON_TRY(value.get_object().get(object));
    return walk(object, *member.inside, depth + 1);
  }

  // Elements are fields only where one is configured ("/temps/0"): arrays differ in length, so
  // their elements are poor columns.
  error_code take_array(ondemand::value& value, Member& member, const std::string& prefix,
                        int depth) {
    rows_->other(member.field, "an array");
    if (!member.field.has_parts || depth >= kMaxDepth) return SUCCESS;
    if (!member.inside) member.inside.reset(new Object{prefix + member.name + ".", {}});
    ondemand::array array;
    SIMDJSON_TRY(value.get_array().get(array));
    Object& elements = *member.inside;
    elements.members.rewind();
    std::size_t index = 0;
    for (auto entry : array) {
      ondemand::value element;
      SIMDJSON_TRY(entry.get(element));
      if (index == kMaxElements) break;
      Member* found = find_or_add(elements, std::to_string(index++));
      if (found->field.use == FieldUse::kUndecided && !found->field.has_parts) continue;
      SIMDJSON_TRY(take(element, *found, elements.prefix, depth + 1));
    }
    return SUCCESS;
  }

  const SampleDecoder::Options& options_;
  ondemand::parser parser_;
  std::vector<char> buffer_;    // the record, padded as the parser wants it
  const char* end_ = nullptr;   // of the document being read
  RowBuilder* rows_ = nullptr;  // of the record being read
  Object root_;
  std::size_t num_names_ = 0;
  Member surplus_;  // stands for every name beyond the limit: ignored
};

}  // namespace

std::unique_ptr<FormatReader> make_json_reader(const SampleDecoder::Options& options) {
  return std::make_unique<JsonReader>(options);
}

}  // namespace anomalyd::connectors
