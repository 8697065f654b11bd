#include "connectors/codec/row_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "connectors/codec/number_text.hpp"

namespace anomalyd::connectors {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kMaxSeriesBytes = 512;
constexpr EventTime kEarliest = std::chrono::sys_days{std::chrono::year{1990} / 1 / 1};
constexpr std::array<std::string_view, 4> kTimeNames{"ts", "time", "timestamp", "@timestamp"};

// "/cpu/user" -> "cpu.user"; a name or dotted path stays as it is.
std::string flattened(std::string_view field) {
  if (!field.starts_with('/')) return std::string{field};
  std::string path;
  for (std::size_t i = 1; i < field.size(); ++i) {
    const bool escaped = field[i] == '~' && i + 1 < field.size();
    if (escaped) {
      path += field[++i] == '1' ? '/' : '~';
    } else {
      path += field[i] == '/' ? '.' : field[i];
    }
  }
  return path;
}

// Enough of a value to recognise it in a log line.
std::string excerpt(std::string_view text) {
  constexpr std::size_t kShown = 40;
  return fmt::format("'{}{}'", text.substr(0, kShown), text.size() > kShown ? "..." : "");
}

std::string shown(EventTime time) {
  const auto year = time.time_since_epoch() / std::chrono::years{1};
  if (year > -1970 && year < 8000) return to_rfc3339(time);
  return fmt::format("a time in about the year {}", 1970 + year);
}

}  // namespace

RowBuilder::RowBuilder(const SampleDecoder::Options& options, Clock& clock)
    : options_{options},
      clock_{clock},
      times_{options.time.unit},
      series_limit_{options.max_series, clock},
      schema_{std::make_shared<Schema>()} {
  using Format = SampleDecoder::Format;
  add_channels();
  if (options.format == Format::kJsonLong) {
    configured_[flattened(options.long_format.channel)] = {"", FieldUse::kChannelName, false, 0};
    configured_[flattened(options.long_format.value)] = {"", FieldUse::kChannelValue, false, 0};
  }
  if (options.time.field.empty()) {
    for (const auto name : kTimeNames) configured_[std::string{name}].use = FieldUse::kTime;
  } else if (options.time.field != "record") {
    configured_[flattened(options.time.field)].use = FieldUse::kTime;
  }
  if (!options.series.from.empty()) {
    for (const std::string& from : options.series.from) add_part(from);
  } else {
    add_part(options.format == Format::kInflux ? "measurement" : "series");
  }
}

void RowBuilder::add_part(const std::string& from) {
  using From = SeriesPart::From;
  constexpr std::string_view kHeader = "header:";
  if (from == "key") {
    parts_.push_back({From::kKey, "key"});
  } else if (from == "topic") {
    parts_.push_back({From::kTopic, "topic"});
  } else if (from.starts_with(kHeader)) {
    parts_.push_back({From::kHeader, from.substr(kHeader.size())});
  } else {
    const auto index = static_cast<std::uint32_t>(parts_.size());
    configured_[flattened(from)] = {"", FieldUse::kSeries, false, index};
    parts_.push_back({From::kField, flattened(from)});
  }
}

void RowBuilder::add_channels() {
  const bool wide = options_.format != SampleDecoder::Format::kJsonLong;
  for (const auto& spec : options_.channels) {
    const auto column = static_cast<std::uint32_t>(columns_.size());
    columns_.push_back({spec.name.empty() ? spec.field : spec.name, spec.unit});
    Field field{wide ? flattened(spec.field) : spec.field, FieldUse::kChannel, false, column};
    if (wide) {
      configured_[field.name] = field;
    } else {
      long_channels_.add(field);
    }
  }
  schema_ = std::make_shared<const Schema>(Schema{columns_});
  values_.assign(columns_.size(), kMissing);
}

void RowBuilder::adopt(const Schema& known) {
  if (!discovers()) return;
  for (const Channel& channel : known.channels) (void)add_column(channel.name);
  schema_ = std::make_shared<const Schema>(Schema{columns_});
}

Field RowBuilder::make_field(std::string name) const {
  Field field;
  const std::string inside = name + ".";
  field.has_parts = std::ranges::any_of(
      configured_, [&](const auto& entry) { return entry.first.starts_with(inside); });
  if (const auto found = configured_.find(name); found != configured_.end()) {
    field.use = found->second.use;
    field.index = found->second.index;
  } else if (discovers() && options_.format != SampleDecoder::Format::kJsonLong) {
    field.use = FieldUse::kUndecided;
  }
  field.name = std::move(name);
  return field;
}

void RowBuilder::begin_record(const Record& record, const Decoder::RowFn& row,
                              const Decoder::RejectFn& reject) {
  record_ = &record;
  row_ = &row;
  reject_ = &reject;
  times_.select(record.topic);
}

void RowBuilder::begin_row() {
  std::ranges::fill(values_, kMissing);
  for (SeriesPart& part : parts_) part.text = {};
  num_cells_ = 0;
  time_.reset();
  fault_.reset();
  long_name_.clear();
  long_value_.reset();
}

void RowBuilder::number(Field& field, double value) {
  switch (field.use) {
    case FieldUse::kChannel: return set_cell(field.index, value);
    case FieldUse::kChannelValue: long_value_ = value; return;
    case FieldUse::kTime: return set_time(times_.from_real(value), value);
    case FieldUse::kUndecided:
      if (const auto column = add_column(field.name)) {
        field.use = FieldUse::kChannel;
        field.index = *column;
        set_cell(*column, value);
      }
      return;
    case FieldUse::kSeries:
    case FieldUse::kChannelName:
    case FieldUse::kIgnored: return;
  }
}

void RowBuilder::integer(Field& field, std::int64_t value) {
  if (field.use == FieldUse::kTime) return set_time(times_.from_integer(value), value);
  number(field, static_cast<double>(value));
}

void RowBuilder::text(Field& field, std::string_view text) {
  switch (field.use) {
    case FieldUse::kSeries: parts_[field.index].text = text; return;
    case FieldUse::kChannelName: long_name_ = text; return;
    case FieldUse::kTime:
      if (is_missing_text(text)) return;
      return set_time(times_.from_text(text), text);
    case FieldUse::kChannel:
    case FieldUse::kChannelValue:
      if (const auto value = parse_number(text)) return number(field, *value);
      // A discovered channel may well turn into text: then it is missing. A listed one may not.
      if (is_missing_text(text) || discovers()) return;
      return fault(
          RejectReason::kWrongType,
          fmt::format("channel '{}': found {}; expected a number", field.name, excerpt(text)));
    case FieldUse::kUndecided:
    case FieldUse::kIgnored: return;
  }
}

void RowBuilder::other(const Field& field, std::string_view what) {
  const bool optional = field.use == FieldUse::kIgnored || field.use == FieldUse::kUndecided ||
                        (field.use == FieldUse::kChannel && discovers());
  if (optional || field.has_parts) return;
  const bool named = field.use == FieldUse::kSeries || field.use == FieldUse::kChannelName;
  const std::string_view expected = named                          ? "text or a number"
                                    : field.use == FieldUse::kTime ? "a time"
                                                                   : "a number";
  fault(RejectReason::kWrongType,
        fmt::format("field '{}': found {}; expected {}", field.name, what, expected));
}

template <typename Found>
void RowBuilder::set_time(std::optional<EventTime> time, const Found& found) {
  if (time_) return;  // the first time field of a row counts
  time_ = time;
  if (time) return;
  fault(RejectReason::kWrongType,
        fmt::format("time: found {}; expected a time with input.time.unit '{}'",
                    excerpt(fmt::format("{}", found)), to_string(options_.time.unit)));
}

void RowBuilder::fault(RejectReason reason, std::string detail) {
  if (!fault_) fault_ = Rejected{reason, std::move(detail)};
}

void RowBuilder::reject(RejectReason reason, std::string detail) const {
  (*reject_)({reason, std::move(detail)});
}

std::optional<std::uint32_t> RowBuilder::add_column(std::string_view name) {
  if (const auto known = known_.find(std::string{name}); known != known_.end()) {
    return known->second;
  }
  if (columns_.size() >= options_.max_channels) {
    fault(RejectReason::kTooManyChannels,
          fmt::format("channel '{}' is new beyond {} known ones; expected at most "
                      "input.max_channels",
                      name, columns_.size()));
    return std::nullopt;
  }
  const auto column = static_cast<std::uint32_t>(columns_.size());
  columns_.push_back({std::string{name}, ""});
  values_.push_back(kMissing);
  known_.emplace(name, column);
  return column;
}

void RowBuilder::place_long_value() {
  if (long_name_.empty() || !long_value_) return;
  Field* field = long_channels_.find(long_name_);
  if (field == nullptr) {
    if (!discovers()) return;
    const auto column = add_column(long_name_);
    if (!column) return;
    field = &long_channels_.add({long_name_, FieldUse::kChannel, false, *column});
  }
  set_cell(field->index, *long_value_);
}

std::optional<std::string_view> RowBuilder::series_id() {
  for (SeriesPart& part : parts_) {
    switch (part.from) {
      case SeriesPart::From::kField: break;
      case SeriesPart::From::kKey: part.text = record_->key; break;
      case SeriesPart::From::kTopic: part.text = record_->topic; break;
      case SeriesPart::From::kHeader:
        for (const Header& header : record_->headers) {
          if (header.name == part.name) part.text = header.value;
        }
        break;
    }
    if (part.text.empty() && options_.series.from.empty()) part.text = record_->key;
    if (part.text.empty()) {
      fault(RejectReason::kNoSeries,
            options_.series.from.empty()
                ? "series: found no field 'series' and no key; expected one of them, or "
                  "input.series.from to name another"
                : fmt::format("series: '{}' is absent or empty; expected it for the series id",
                              part.name));
      return std::nullopt;
    }
  }
  if (parts_.size() == 1) return parts_.front().text;
  series_.clear();
  for (const SeriesPart& part : parts_) {
    if (&part != &parts_.front()) series_ += options_.series.join;
    series_ += part.text;
  }
  return series_;
}

std::optional<EventTime> RowBuilder::row_time() {
  const bool may_use_record = options_.time.field.empty() || options_.time.field == "record";
  if (!time_ && may_use_record) time_ = record_->timestamp;
  if (!time_) {
    fault(RejectReason::kNoTime,
          may_use_record ? "time: found no time field and no timestamp on the record; expected one"
                         : fmt::format("time: field '{}' is absent or null; expected a time",
                                       options_.time.field));
    return std::nullopt;
  }
  if (is_sane(*time_)) return time_;
  fault(RejectReason::kTimeAbsurd,
        fmt::format("time: found {} (read as {}); expected between 1990-01-01 and {} s from now",
                    shown(*time_), to_string(times_.unit()), options_.max_future.count()));
  return std::nullopt;
}

bool RowBuilder::is_sane(EventTime time) {
  if (time < kEarliest) return false;
  if (time <= latest_) return true;
  latest_ = clock_.wall() + options_.max_future;
  return time <= latest_;
}

void RowBuilder::finish_row() {
  if (options_.format == SampleDecoder::Format::kJsonLong) place_long_value();
  if (columns_.size() > schema_->width()) {
    schema_ = std::make_shared<const Schema>(Schema{columns_});
  }
  if (fault_) return (*reject_)(std::move(*fault_));
  const auto series = series_id();
  const auto time = series ? row_time() : std::nullopt;
  if (time && num_cells_ == 0) {
    const bool unlisted = !long_name_.empty() && long_value_ && !discovers();
    if (unlisted) return;  // a channel nobody asked for
    fault(RejectReason::kNoChannels,
          fmt::format("series '{}': found no value; expected a number in at least one channel",
                      *series));
  }
  if (time && series->size() > kMaxSeriesBytes) {
    fault(RejectReason::kTooLong, fmt::format("series id of {} bytes; expected at most {}",
                                              series->size(), kMaxSeriesBytes));
  }
  if (!fault_ && !series_limit_.admit(*series)) {
    fault(RejectReason::kTooManySeries,
          fmt::format("series '{}' is new beyond {} known ones; expected at most input.max_series",
                      *series, options_.max_series));
  }
  if (fault_) return (*reject_)(std::move(*fault_));
  times_.confirm();
  (*row_)(*series, *time, values_);
}

}  // namespace anomalyd::connectors
