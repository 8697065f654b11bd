#include "connectors/codec/sample_decoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "connectors/codec/format_reader.hpp"
#include "connectors/codec/row_builder.hpp"

namespace anomalyd::connectors {
namespace {

using Format = SampleDecoder::Format;
using Options = SampleDecoder::Options;

std::unique_ptr<FormatReader> make_reader(const Options& options) {
  switch (options.format) {
    case Format::kJson:
    case Format::kJsonLong: return make_json_reader(options);
    case Format::kCsv: return make_csv_reader(options);
    case Format::kInflux: return make_influx_reader(options);
  }
  return nullptr;
}

/// `field` may be a name or a dotted path as well; a JSON pointer begins with a slash.
Status check_pointer(std::string_view option, std::string_view field) {
  if (!field.starts_with('/')) return {};
  for (auto at = field.find('~'); at != field.npos; at = field.find('~', at + 1)) {
    const auto escape = field.substr(at, 2);
    if (escape == "~0" || escape == "~1") continue;
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: found '{}'; expected a JSON pointer, with ~0 for ~ and ~1 for /",
                            option, field));
  }
  return {};
}

Status check_pointers(const Options& options) {
  std::vector<std::pair<std::string_view, std::string_view>> fields{
      {"input.unwrap", options.unwrap},
      {"input.time.field", options.time.field},
      {"input.long.channel", options.long_format.channel},
      {"input.long.value", options.long_format.value}};
  for (const auto& part : options.series.from) fields.emplace_back("input.series.from", part);
  if (options.format != Format::kJsonLong) {  // there they are names of channels
    for (const auto& channel : options.channels) {
      fields.emplace_back("input.channels", channel.field);
    }
  }
  for (const auto& [option, field] : fields) {
    if (auto ok = check_pointer(option, field); !ok) return ok;
  }
  return {};
}

Status check_channels(const Options& options) {
  if (options.channels.size() > options.max_channels) {
    return fail(ErrorKind::kInvalid,
                fmt::format("input.channels: found {} entries; expected at most "
                            "input.max_channels, {}",
                            options.channels.size(), options.max_channels));
  }
  std::unordered_set<std::string> names;
  for (const auto& channel : options.channels) {
    if (channel.field.empty()) {
      return fail(ErrorKind::kInvalid,
                  "input.channels: found an entry without field; expected one");
    }
    if (!names.insert(channel.name.empty() ? channel.field : channel.name).second) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("input.channels: '{}' is there twice; expected different names",
                              channel.name.empty() ? channel.field : channel.name));
    }
  }
  return {};
}

Status check(const Options& options) {
  const auto& from = options.series.from;
  if (std::ranges::find(from, "") != from.end()) {
    return fail(ErrorKind::kInvalid, "input.series.from: found an empty name; expected a field");
  }
  if (!options.unwrap.empty() && !options.unwrap.starts_with('/')) {
    return fail(ErrorKind::kInvalid,
                fmt::format("input.unwrap: found '{}'; expected a JSON pointer such as '/payload'",
                            options.unwrap));
  }
  if (auto ok = check_pointers(options); !ok) return ok;
  const auto& fields = options.long_format;
  if (options.format == Format::kJsonLong &&
      (fields.channel.empty() || fields.value.empty() || fields.channel == fields.value)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("input.long: found channel '{}' and value '{}'; expected two fields",
                            fields.channel, fields.value));
  }
  const char delimiter = options.csv.delimiter;
  if (delimiter == '"' || delimiter == '\n' || delimiter == '\r' || delimiter == '\0') {
    return fail(ErrorKind::kInvalid,
                "input.csv.delimiter: found a quote or line end; expected one other character");
  }
  return check_channels(options);
}

}  // namespace

struct SampleDecoder::Impl {
  Impl(Options chosen, Clock& clock)
      : options{std::move(chosen)}, rows{options, clock}, reader{make_reader(options)} {}

  Options options;
  RowBuilder rows;
  std::unique_ptr<FormatReader> reader;
};

Result<std::unique_ptr<SampleDecoder>> SampleDecoder::create(Options options, Clock& clock) {
  if (auto ok = check(options); !ok) return Failure{std::move(ok.error())};
  return std::unique_ptr<SampleDecoder>{
      new SampleDecoder{std::make_unique<Impl>(std::move(options), clock)}};
}

SampleDecoder::SampleDecoder(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}
SampleDecoder::~SampleDecoder() = default;

const std::shared_ptr<const Schema>& SampleDecoder::schema() const { return impl_->rows.schema(); }

void SampleDecoder::decode(const Record& record, const RowFn& row, const RejectFn& reject) {
  if (record.value.size() > impl_->options.max_record_bytes) {
    return reject({RejectReason::kTooLong,
                   fmt::format("record of {} bytes; expected at most input.max_record_bytes, {}",
                               record.value.size(), impl_->options.max_record_bytes)});
  }
  if (record.value.empty()) {
    return reject({RejectReason::kMalformed, fmt::format("found an empty record; expected {}",
                                                         to_string(impl_->options.format))});
  }
  impl_->rows.begin_record(record, row, reject);
  impl_->reader->read(record, impl_->rows);
}

void SampleDecoder::adopt(const Schema& known) { impl_->rows.adopt(known); }

const std::vector<std::pair<std::string, SampleDecoder::TimeUnit>>& SampleDecoder::time_units()
    const {
  return impl_->rows.times().units();
}

bool SampleDecoder::gives_partial_rows(const Options& options) {
  if (options.format == Format::kJsonLong) return true;
  const auto& from = options.series.from;
  return options.format == Format::kInflux && !from.empty() &&
         std::ranges::find(from, "measurement") == from.end();
}

std::string_view to_string(SampleDecoder::Format format) {
  switch (format) {
    case Format::kJson: return "json";
    case Format::kJsonLong: return "json_long";
    case Format::kCsv: return "csv";
    case Format::kInflux: return "influx";
  }
  return "unknown";
}

std::string_view to_string(SampleDecoder::TimeUnit unit) {
  switch (unit) {
    case SampleDecoder::TimeUnit::kAuto: return "auto";
    case SampleDecoder::TimeUnit::kSeconds: return "s";
    case SampleDecoder::TimeUnit::kMillis: return "ms";
    case SampleDecoder::TimeUnit::kMicros: return "us";
    case SampleDecoder::TimeUnit::kNanos: return "ns";
    case SampleDecoder::TimeUnit::kRfc3339: return "rfc3339";
  }
  return "unknown";
}

}  // namespace anomalyd::connectors
