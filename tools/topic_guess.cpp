#include "tools/topic_guess.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include "connectors/codec/time_reader.hpp"

namespace anomalyd::tools {
namespace {

using connectors::SampleDecoder;
using connectors::TimeReader;
using Format = SampleDecoder::Format;
using Cell = FieldTable::Cell;
using Names = std::span<const std::string_view>;

// Names that people give to such fields, the most telling first.
constexpr std::string_view kTimeNames[] = {"ts",         "time",       "timestamp", "@timestamp",
                                           "event_time", "eventtime",  "datetime",  "date",
                                           "t",          "sampled_at", "created_at"};
constexpr std::string_view kSeriesNames[] = {
    "series", "host", "hostname", "instance", "machine",   "device",   "sensor", "asset",
    "entity", "node", "server",   "unit",     "equipment", "location", "id",     "name"};
constexpr std::string_view kLongChannelNames[] = {"metric", "channel",  "measurement", "sensor",
                                                  "name",   "variable", "field",       "tag",
                                                  "key",    "parameter"};
constexpr std::string_view kLongValueNames[] = {"value", "val", "v", "reading", "measurement"};

/// The last part of a path, in lower case: "tags.Host" is called "host".
std::string plain_name(const std::string& path) {
  std::string name = path.substr(path.rfind('.') + 1);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

/// Position of a name in a list of telling ones; the length of the list if it is not in.
std::size_t rank(const std::string& path, Names names) {
  return static_cast<std::size_t>(std::ranges::find(names, plain_name(path)) - names.begin());
}

bool is_sane(EventTime time, Clock& clock) {
  constexpr EventTime kOldest = std::chrono::sys_days{std::chrono::January / 1 / 1990};
  return time > kOldest && time < clock.wall() + std::chrono::days{1};
}

/// The time in a cell, if it holds a sane one.
std::optional<EventTime> time_in(const Cell& cell, Clock& clock) {
  if (cell.kind != Cell::Kind::kNumber && cell.kind != Cell::Kind::kText) return std::nullopt;
  TimeReader reader{TimeReader::Unit::kAuto};
  const auto time = reader.from_text(cell.text);
  return time && is_sane(*time, clock) ? time : std::nullopt;
}

/// The part of a guess that is found by looking at fields.
class FieldGuess {
 public:
  FieldGuess(const FieldTable& table, const std::vector<SampledRecord>& records, Clock& clock,
             TopicGuess& guess)
      : table_{table}, records_{records}, clock_{clock}, guess_{guess} {
    used_.resize(table.names.size(), false);
  }

  void guess_time();
  void guess_long_format();
  void guess_series();
  void choose_channels();

 private:
  using Ids = std::vector<std::string>;

  [[nodiscard]] double share(std::size_t column, const std::function<bool(const Cell&)>& is) const;
  [[nodiscard]] std::size_t num_numeric() const;
  [[nodiscard]] Ids ids_of(const std::vector<std::size_t>& columns) const;
  [[nodiscard]] std::optional<std::string> series_evidence(const Ids& ids) const;
  void use_series(std::vector<std::string> from, const std::string& evidence);

  const FieldTable& table_;
  const std::vector<SampledRecord>& records_;
  Clock& clock_;
  TopicGuess& guess_;
  std::vector<bool> used_;                       // columns that have a role already
  std::vector<std::optional<EventTime>> times_;  // of each row
  std::optional<std::size_t> long_channel_;
};

double FieldGuess::share(std::size_t column, const std::function<bool(const Cell&)>& is) const {
  const auto& cells = table_.columns[column];
  return static_cast<double>(std::ranges::count_if(cells, is)) /
         static_cast<double>(std::max<std::size_t>(cells.size(), 1));
}

void FieldGuess::guess_time() {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < table_.names.size(); ++i) {
    const bool named = rank(table_.names[i], kTimeNames) < std::size(kTimeNames);
    const double fitting =
        share(i, [&](const Cell& cell) { return time_in(cell, clock_).has_value(); });
    // A large count may look like a time by accident; a number needs a name that says so, a text
    // that is RFC 3339 does not.
    const bool text = share(i, [](const Cell& c) { return !c.numeric; }) > 0.9;
    if (fitting < 0.9 || (!named && !text)) continue;
    const auto key = [&](std::size_t c) { return rank(table_.names[c], kTimeNames); };
    if (!best || key(i) < key(*best)) best = i;
  }
  times_.resize(table_.num_rows());
  if (!best) {
    guess_.input.time.field = "record";
    guess_.findings.push_back({"time", "record timestamp", "no field holds a plausible time"});
    for (std::size_t row = 0; row < times_.size(); ++row) {
      times_[row] = records_[table_.record_of_row[row]].timestamp;
    }
    return;
  }
  used_[*best] = true;
  TimeReader reader{TimeReader::Unit::kAuto};
  for (std::size_t row = 0; row < times_.size(); ++row) {
    times_[row] = time_in(table_.columns[*best][row], clock_);
    if (times_[row]) (void)reader.from_text(table_.columns[*best][row].text);
  }
  guess_.input.time = {.field = table_.names[*best], .unit = reader.unit()};
  guess_.findings.push_back(
      {"time", fmt::format("{}, {}", table_.names[*best], to_string(reader.unit())),
       fmt::format("for example {} is {}", table_.columns[*best].front().text,
                   times_.front() ? to_rfc3339(*times_.front()) : "no time")});
}

std::size_t FieldGuess::num_numeric() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < table_.names.size(); ++i) {
    if (!used_[i] && share(i, [](const Cell& c) { return c.numeric; }) > 0.5) ++count;
  }
  return count;
}

void FieldGuess::guess_long_format() {
  if (num_numeric() != 1) return;
  std::optional<std::size_t> channel;
  std::optional<std::size_t> value;
  for (std::size_t i = 0; i < table_.names.size(); ++i) {
    if (used_[i]) continue;
    const bool numeric = share(i, [](const Cell& c) { return c.numeric; }) > 0.5;
    if (numeric && rank(table_.names[i], kLongValueNames) < std::size(kLongValueNames)) value = i;
    const auto key = [&](std::size_t c) { return rank(table_.names[c], kLongChannelNames); };
    if (numeric || key(i) == std::size(kLongChannelNames)) continue;
    if (!channel || key(i) < key(*channel)) channel = i;
  }
  if (!channel || !value) return;
  const Ids ids = ids_of({*channel});
  const std::set<std::string> names{ids.begin(), ids.end()};
  if (names.size() < 2) return;
  used_[*channel] = used_[*value] = true;
  long_channel_ = channel;
  guess_.input.format = Format::kJsonLong;
  guess_.input.long_format = {.channel = table_.names[*channel], .value = table_.names[*value]};
  guess_.findings.push_back(
      {"channels", fmt::format("one per record, named by {}", table_.names[*channel]),
       fmt::format("{} names, and {} is the only number", names.size(), table_.names[*value])});
}

FieldGuess::Ids FieldGuess::ids_of(const std::vector<std::size_t>& columns) const {
  Ids ids(table_.num_rows());
  for (std::size_t row = 0; row < ids.size(); ++row) {
    for (const std::size_t column : columns) {
      if (!ids[row].empty()) ids[row] += '.';
      ids[row] += table_.columns[column][row].text;
    }
  }
  return ids;
}

/// Says why these could be ids of series: a series has several rows, and no two at one time.
/// nullopt if they cannot.
std::optional<std::string> FieldGuess::series_evidence(const Ids& ids) const {
  std::set<std::string> series;
  std::set<std::tuple<std::string, std::string, EventTime>> seen;
  std::size_t timed = 0;
  std::size_t doubled = 0;
  for (std::size_t row = 0; row < ids.size(); ++row) {
    if (ids[row].empty()) return std::nullopt;
    series.insert(ids[row]);
    if (!times_[row]) continue;
    const std::string channel =
        long_channel_ ? table_.columns[*long_channel_][row].text : std::string{};
    ++timed;
    if (!seen.emplace(ids[row], channel, *times_[row]).second) ++doubled;
  }
  constexpr std::size_t kRowsPerSeries = 2;
  if (ids.size() < kRowsPerSeries * series.size() || doubled * 50 > timed) return std::nullopt;
  return fmt::format("{} series in {} rows; {} rows share series and time with another",
                     series.size(), ids.size(), doubled == 0 ? "no" : fmt::to_string(doubled));
}

void FieldGuess::use_series(std::vector<std::string> from, const std::string& evidence) {
  guess_.findings.push_back({"series id", fmt::format("{}", fmt::join(from, " + ")), evidence});
  guess_.input.series.from = std::move(from);
}

void FieldGuess::guess_series() {
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < table_.names.size(); ++i) {
    if (used_[i]) continue;
    const bool named = rank(table_.names[i], kSeriesNames) < std::size(kSeriesNames);
    const bool text = share(i, [](const Cell& c) { return !c.text.empty() && !c.numeric; }) > 0.99;
    if (text || (named && share(i, [](const Cell& c) { return !c.text.empty(); }) > 0.99)) {
      candidates.push_back(i);
    }
  }
  std::ranges::stable_sort(candidates, {},
                           [&](std::size_t i) { return rank(table_.names[i], kSeriesNames); });
  const auto mark = [&](std::size_t column) { used_[column] = true; };
  for (const std::size_t i : candidates) {
    const auto evidence = series_evidence(ids_of({i}));
    if (!evidence) continue;
    mark(i);
    return use_series({table_.names[i]}, *evidence);
  }
  Ids keys(table_.num_rows());
  for (std::size_t row = 0; row < keys.size(); ++row) {
    keys[row] = records_[table_.record_of_row[row]].key;
  }
  if (const auto evidence = series_evidence(keys)) return use_series({"key"}, *evidence);
  for (const std::size_t a : candidates) {
    for (const std::size_t b : candidates) {
      if (a >= b) continue;
      const auto evidence = series_evidence(ids_of({a, b}));
      if (!evidence) continue;
      mark(a);
      mark(b);
      return use_series({table_.names[a], table_.names[b]}, *evidence);
    }
  }
  const auto alone = series_evidence(Ids(table_.num_rows(), "topic"));
  use_series({"topic"}, alone ? "the times of all records rise, as those of one series do"
                              : "no field or key tells series apart: please check");
}

void FieldGuess::choose_channels() {
  if (guess_.input.format == Format::kJsonLong) return;
  for (std::size_t i = 0; i < table_.names.size(); ++i) {
    const bool numeric =
        share(i, [](const Cell& c) { return c.numeric; }) > 0 &&
        share(i, [](const Cell& c) { return c.kind == Cell::Kind::kText && !c.numeric; }) == 0;
    if (used_[i] || !numeric) continue;
    guess_.input.channels.push_back({.field = table_.names[i], .name = "", .unit = ""});
  }
}

/// Reads the sample as the daemon would, and reports what came out.
class Trial {
 public:
  Trial(const std::vector<SampledRecord>& records, Clock& clock)
      : records_{records}, clock_{clock} {}

  Status run(TopicGuess& guess);

 private:
  struct Track {
    EventTime time;
    std::vector<double> last;
  };
  void on_row(std::string_view series, EventTime time, std::span<const double> values);
  void report(TopicGuess& guess, const Schema& schema);

  struct Column {
    double min = std::numeric_limits<double>::infinity();
    double max = -std::numeric_limits<double>::infinity();
    std::size_t present = 0;
    std::size_t rises = 0;
    std::size_t falls = 0;
  };
  const std::vector<SampledRecord>& records_;
  Clock& clock_;
  std::unordered_map<std::string, Track> series_;
  std::vector<Column> columns_;
  std::vector<std::int64_t> deltas_;
  std::size_t num_rows_ = 0;
};

Status Trial::run(TopicGuess& guess) {
  auto decoder = SampleDecoder::create(guess.input, clock_);
  if (!decoder) return Failure{decoder.error()};
  Offset offset = 0;
  for (const SampledRecord& record : records_) {
    (*decoder)->decode(
        {.partition = 0,
         .topic = "sample",
         .offset = offset++,
         .timestamp = record.timestamp,
         .key = record.key,
         .value = record.value},
        [this](auto series, auto time, auto values) { on_row(series, time, values); },
        [&](const Rejected&) { ++guess.num_rejected; });
  }
  report(guess, *(*decoder)->schema());
  return {};
}

void Trial::on_row(std::string_view series, EventTime time, std::span<const double> values) {
  ++num_rows_;
  columns_.resize(std::max(columns_.size(), values.size()));
  auto [place, added] = series_.try_emplace(std::string{series}, Track{time, {}});
  Track& track = place->second;
  track.last.resize(values.size(), std::numeric_limits<double>::quiet_NaN());
  if (time > track.time) deltas_.push_back((time - track.time).count());
  track.time = std::max(track.time, time);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    Column& column = columns_[i];
    ++column.present;
    column.min = std::min(column.min, values[i]);
    column.max = std::max(column.max, values[i]);
    if (values[i] > track.last[i]) ++column.rises;
    if (values[i] < track.last[i]) ++column.falls;
    track.last[i] = values[i];
  }
}

void Trial::report(TopicGuess& guess, const Schema& schema) {
  guess.num_rows = num_rows_;
  std::size_t whole = num_rows_;  // in the long format a row of a record is one cell of a row
  if (!columns_.empty() && SampleDecoder::gives_partial_rows(guess.input)) {
    whole = std::ranges::max(columns_, {}, &Column::present).present;
  }
  const auto share_of = [&](std::size_t part) {
    return static_cast<double>(part) / static_cast<double>(std::max<std::size_t>(whole, 1));
  };
  guess.num_series = series_.size();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    constexpr std::size_t kEnough = 20;
    guess.channels.push_back(
        {.name = schema.channels[i].name,
         .min = column.min,
         .max = column.max,
         .present = share_of(column.present),
         .counter = column.rises >= kEnough && column.falls * 200 < column.rises});
  }
  if (deltas_.size() < 8) {
    guess.findings.push_back({"period", "auto", "too few rows of each series to tell"});
    return;
  }
  const auto middle = deltas_.begin() + static_cast<std::ptrdiff_t>(deltas_.size() / 2);
  std::ranges::nth_element(deltas_, middle);
  const std::int64_t usual = *middle;
  const auto regular = std::ranges::count_if(
      deltas_, [&](std::int64_t delta) { return std::abs(delta - usual) * 10 <= usual; });
  const double part = static_cast<double>(regular) / static_cast<double>(deltas_.size());
  guess.period = std::chrono::microseconds{usual};
  guess.findings.push_back(
      {"period", fmt::format("{:g} s", static_cast<double>(usual) / 1e6),
       fmt::format("{:.0f} % of the steps between rows of a series", part * 100)});
}

void describe_format(TopicGuess& guess, std::size_t num_records, const std::string& detail) {
  guess.findings.insert(guess.findings.begin(),
                        {"format", std::string{to_string(guess.input.format)},
                         fmt::format("{} records looked at: {}", num_records, detail)});
}

bool reads_as_influx(const std::vector<SampledRecord>& records, Clock& clock) {
  TopicGuess guess;
  guess.input.format = Format::kInflux;
  return Trial{records, clock}.run(guess) && guess.num_rows > 0 &&
         guess.num_rejected * 10 <= records.size();
}

}  // namespace

Result<TopicGuess> guess_topic(const std::vector<SampledRecord>& records, Clock& clock) {
  if (records.empty()) {
    return fail(ErrorKind::kInvalid,
                "no record in the topic; expected some to learn its form from");
  }
  TopicGuess guess;
  const auto from_fields = [&](const FieldTable& table) {
    FieldGuess fields{table, records, clock, guess};
    fields.guess_time();
    if (guess.input.format == Format::kJson) fields.guess_long_format();
    fields.guess_series();
    fields.choose_channels();
  };
  if (const auto table = read_json(records)) {
    guess.input.format = Format::kJson;
    guess.input.unwrap = table->unwrap;
    from_fields(*table);
    describe_format(guess, records.size(),
                    table->unwrap.empty() ? "JSON objects" : "JSON, rows in " + table->unwrap);
  } else if (reads_as_influx(records, clock)) {
    guess.input.format = Format::kInflux;
    describe_format(guess, records.size(), "Influx line protocol");
    guess.findings.push_back({"series id", "measurement and tags", "as the format has it"});
    guess.findings.push_back({"time", "ns in each line", "as the format has it"});
  } else if (const auto csv = read_csv(records)) {
    guess.input.format = Format::kCsv;
    guess.input.csv.delimiter = csv->delimiter;
    if (!csv->has_header) guess.input.csv.columns = csv->table.names;
    from_fields(csv->table);
    describe_format(guess, records.size(),
                    csv->has_header ? "the first line is a header" : "there is no header line");
  } else {
    return fail(ErrorKind::kInvalid,
                fmt::format("the records are neither JSON nor CSV nor Influx lines, for example "
                            "'{:.60}'; expected one of them",
                            records.front().value));
  }
  if (auto tried = Trial{records, clock}.run(guess); !tried) return Failure{tried.error()};
  return guess;
}

}  // namespace anomalyd::tools
