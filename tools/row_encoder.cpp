#include "tools/row_encoder.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace anomalyd::tools {
namespace {

void append_number(std::string& out, double value) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end);
}

void append_integer(std::string& out, std::int64_t value) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end);
}

void append_quoted(std::string& out, std::string_view text) {
  const bool plain = text.find_first_of("\"\\\n\r\t") == std::string_view::npos;
  if (plain) {
    out.append("\"").append(text).append("\"");
  } else {
    out += nlohmann::json(text).dump();
  }
}

std::string csv_quoted(std::string_view text) {
  if (text.find_first_of("\",\n") == std::string_view::npos) return std::string{text};
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

/// Line protocol gives blanks, commas and equal signs a meaning.
std::string influx_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ' ' || c == ',' || c == '=') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::int64_t millis(EventTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<RowEncoder::Format> RowEncoder::parse_format(std::string_view name) {
  if (name == "json") return Format::kJson;
  if (name == "json_long") return Format::kJsonLong;
  if (name == "csv") return Format::kCsv;
  if (name == "influx") return Format::kInflux;
  return fail(ErrorKind::kInvalid,
              fmt::format("format '{}'; expected json, json_long, csv or influx", name));
}

void RowEncoder::adopt(std::span<const Channel> channels) {
  if (known_ == channels.data() && num_known_ == channels.size()) return;
  known_ = channels.data();
  num_known_ = channels.size();
  prefixes_.clear();
  header_ = "ts,series";
  for (const Channel& channel : channels) {
    const std::string quoted = nlohmann::json(channel.name).dump();
    switch (format_) {
      case Format::kJson: prefixes_.push_back("," + quoted + ":"); break;
      case Format::kJsonLong: prefixes_.push_back(",\"metric\":" + quoted + ",\"value\":"); break;
      case Format::kCsv: prefixes_.emplace_back(","); break;
      case Format::kInflux: prefixes_.push_back(influx_escaped(channel.name) + "="); break;
    }
    header_ += "," + csv_quoted(channel.name);
  }
  header_ += '\n';
}

void RowEncoder::encode(const SourceRow& row, const EmitFn& emit) {
  adopt(row.channels);
  text_.clear();
  const auto begin_json = [&] {
    text_ = "{\"ts\":";
    append_integer(text_, millis(row.time));
    text_ += ",\"series\":";
    append_quoted(text_, row.series);
  };
  switch (format_) {
    case Format::kJson:
      begin_json();
      for (std::size_t i = 0; i < row.values.size(); ++i) {
        text_ += prefixes_[i];
        if (std::isfinite(row.values[i])) {
          append_number(text_, row.values[i]);
        } else {
          text_ += "null";
        }
      }
      text_ += '}';
      break;
    case Format::kJsonLong:
      for (std::size_t i = 0; i < row.values.size(); ++i) {
        if (!std::isfinite(row.values[i])) continue;
        begin_json();
        text_ += prefixes_[i];
        append_number(text_, row.values[i]);
        text_ += '}';
        emit(text_);
      }
      return;
    case Format::kCsv:
      text_ = header_;
      append_integer(text_, millis(row.time));
      text_ += "," + csv_quoted(row.series);
      for (const double value : row.values) {
        text_ += ',';
        if (std::isfinite(value)) append_number(text_, value);
      }
      break;
    case Format::kInflux: {
      text_ = influx_escaped(row.series);
      char separator = ' ';
      for (std::size_t i = 0; i < row.values.size(); ++i) {
        if (!std::isfinite(row.values[i])) continue;
        text_ += separator;
        text_ += prefixes_[i];
        append_number(text_, row.values[i]);
        separator = ',';
      }
      if (separator == ' ') return;  // line protocol has no row without fields
      text_ += ' ';
      append_integer(text_, millis(row.time) * 1'000'000);
      break;
    }
  }
  emit(text_);
}

}  // namespace anomalyd::tools
