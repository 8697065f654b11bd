#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "connectors/codec/format_reader.hpp"
#include "connectors/codec/number_text.hpp"

namespace anomalyd::connectors {
namespace {

/// Influx line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
///
/// Without `series.from` the series is the measurement with its tags in the order of their names.
/// Channels are called as their fields; where the measurement is not part of the series, several
/// measurements make up one row, so channels are called "<measurement>.<field>".
class InfluxReader final : public FormatReader {
 public:
  explicit InfluxReader(const SampleDecoder::Options& options)
      : options_{options},
        whole_series_{options.series.from.empty()},
        qualifies_{SampleDecoder::gives_partial_rows(options)} {}

  void read(const Record& record, RowBuilder& rows) override {
    std::string_view text = record.value;
    for (std::size_t number = 1; !text.empty(); ++number) {
      const std::size_t end = line_end(text);
      const auto line = trimmed(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.empty() || line.starts_with('#')) continue;
      rows.begin_row();
      tags_.rewind();
      fields_.rewind();
      if (const char* expected = read_line(line, rows)) {
        rows.reject(RejectReason::kMalformed, fmt::format("line {}: found '{}'; expected {}",
                                                          number, line.substr(0, 60), expected));
      } else {
        rows.finish_row();
      }
    }
  }

 private:
  struct Tag {
    std::string key;
    std::string value;
  };

  // A line ends at a newline outside of quoted text.
  static std::size_t line_end(std::string_view text) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '"') {
        quoted = !quoted;
      } else if (text[i] == '\n' && !quoted) {
        return i;
      }
    }
    return std::min(text.find('\n'), text.size());  // quotes that do not close: one bad line
  }

  // Takes text up to one of `ends` off the front, without its escapes.
  static std::string take_name(std::string_view& text, std::string_view ends) {
    std::string name;
    while (!text.empty() && ends.find(text.front()) == std::string_view::npos) {
      const bool escape = text.size() > 1 && text[0] == '\\' &&
                          std::string_view{",= \\"}.find(text[1]) != std::string_view::npos;
      if (escape) text.remove_prefix(1);
      name += text.front();
      text.remove_prefix(1);
    }
    return name;
  }

  static bool take(std::string_view& text, char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
  }

  static void skip_blanks(std::string_view& text) {
    while (take(text, ' ')) {
    }
  }

  // Returns what was expected where the line is wrong, or null.
  const char* read_line(std::string_view text, RowBuilder& rows) {
    measurement_ = take_name(text, ", ");
    if (measurement_.empty()) return "a measurement first";
    if (const char* expected = read_tags(text)) return expected;
    pass_series(rows);
    skip_blanks(text);
    if (text.empty()) return "fields after the tags";
    do {
      if (const char* expected = read_field(text, rows)) return expected;
    } while (take(text, ','));
    if (!text.empty() && text.front() != ' ') return "',' or ' ' after a field";
    skip_blanks(text);
    return read_time(text, rows);
  }

  const char* read_tags(std::string_view& text) {
    line_tags_.clear();
    while (take(text, ',')) {
      Tag tag;
      tag.key = take_name(text, "=, ");
      if (tag.key.empty() || !take(text, '=')) return "tag=value after ','";
      tag.value = take_name(text, ", ");
      line_tags_.push_back(std::move(tag));
    }
    return nullptr;
  }

  void pass_series(RowBuilder& rows) {
    if (whole_series_) {
      std::ranges::sort(line_tags_, {}, &Tag::key);
      series_ = measurement_;
      for (const Tag& tag : line_tags_)
        series_.append(",").append(tag.key).append("=").append(tag.value);
      return rows.text(find(tags_, "measurement", rows), series_);
    }
    rows.text(find(tags_, "measurement", rows), measurement_);
    for (const Tag& tag : line_tags_) {
      Field& field = find(tags_, tag.key, rows);
      if (field.use == FieldUse::kSeries) rows.text(field, tag.value);
    }
  }

  const char* read_field(std::string_view& text, RowBuilder& rows) {
    std::string name = take_name(text, "=, ");
    if (name.empty() || !take(text, '=')) return "field=value";
    if (qualifies_) name = measurement_ + "." + name;
    if (take(text, '"')) return skip_text(text);
    const std::size_t size = std::min(text.find_first_of(", "), text.size());
    std::string_view value = text.substr(0, size);
    text.remove_prefix(size);
    if (is_truth(value)) return nullptr;
    if (value.ends_with('i') || value.ends_with('u')) value.remove_suffix(1);
    const auto number = parse_number(value);
    if (!number) return "a number, true, false or quoted text as the value of a field";
    Field& field = find(fields_, name, rows);
    if (field.use == FieldUse::kChannel || field.use == FieldUse::kUndecided) {
      rows.number(field, *number);
    }
    return nullptr;
  }

  static bool is_truth(std::string_view value) {
    constexpr std::string_view kWords[] = {"t", "T", "true",  "True",  "TRUE",
                                           "f", "F", "false", "False", "FALSE"};
    return std::ranges::find(kWords, value) != std::end(kWords);
  }

  static const char* skip_text(std::string_view& text) {
    while (!text.empty() && text.front() != '"') {
      text.remove_prefix(text.front() == '\\' && text.size() > 1 ? 2 : 1);
    }
    return take(text, '"') ? nullptr : "'\"' at the end of a text";
  }

  const char* read_time(std::string_view text, RowBuilder& rows) {
    if (text.empty()) return nullptr;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
      return "a whole number as the time";
    if (options_.time.field != "record") rows.integer(time_, value);
    return nullptr;
  }

  Field& find(NameSequence<Field>& known, const std::string& name, RowBuilder& rows) {
    if (Field* found = known.find(name)) return *found;
    if (num_names_ >= rows.max_names()) return surplus_;
    ++num_names_;
    return known.add(rows.make_field(name));
  }

  const SampleDecoder::Options& options_;
  bool whole_series_;
  bool qualifies_;
  NameSequence<Field> tags_;
  NameSequence<Field> fields_;
  std::size_t num_names_ = 0;
  Field time_{"time", FieldUse::kTime, false, 0};
  Field surplus_{};

  // Of the line being read.
  std::string measurement_;
  std::string series_;
  std::vector<Tag> line_tags_;
};

}  // namespace

std::unique_ptr<FormatReader> make_influx_reader(const SampleDecoder::Options& options) {
  return std::make_unique<InfluxReader>(options);
}

}  // namespace anomalyd::connectors
