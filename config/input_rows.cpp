#include <chrono>

#include "config/option_rows.hpp"

namespace anomalyd::config {
namespace {

using namespace std::chrono_literals;
using connectors::SampleDecoder;

void add_kafka(Schema& schema) {
  schema.section("kafka", "The brokers, and how to reach them.");
  schema.option("kafka.brokers", FIELD(kafka.brokers))
      .form("a list of host:port")
      .required()
      .help("Some of the brokers of the cluster; the others are found through them.");
  schema.option("kafka.group", FIELD(kafka.group))
      .help("Consumer group. Daemons of one group share the partitions of the input.");
  schema.option("kafka.client_id", FIELD(kafka.client_id))
      .help("How the brokers name this client in their logs and quotas.");
  schema.option("kafka.properties", FIELD(kafka.properties))
      .help("Any property of librdkafka, passed on as it is: TLS, SASL, tuning.");
}

void add_input(Schema& schema) {
  schema.section("input", "Which records are read, and how they become samples.");
  schema.option("input.topics", FIELD(input.topics))
      .form("a list of topics, or of patterns that begin with ^")
      .required()
      .help("Topics to read. A pattern such as ^metrics-.* follows topics that appear later.");
  schema
      .choice(
          "input.start", FIELD(input.start),
          {{"earliest", InputOptions::Start::kEarliest}, {"latest", InputOptions::Start::kLatest}})
      .help("Where to begin in a partition that the group has never committed.");
  schema.option("input.dead_letter_topic", FIELD(input.dead_letter_topic))
      .help("Topic for records that cannot be used, as they came. Empty: they are only counted.");
  schema
      .choice("input.format", FIELD(input.records.format),
              {{"json", SampleDecoder::Format::kJson},
               {"json_long", SampleDecoder::Format::kJsonLong},
               {"csv", SampleDecoder::Format::kCsv},
               {"influx", SampleDecoder::Format::kInflux}})
      .help("How records are written. json has many channels in one object, json_long one.");
  schema.option("input.unwrap", FIELD(input.records.unwrap))
      .help("JSON pointer to the samples inside an envelope, such as /payload. Empty: none.");
  schema
      .records("input.channels", FIELD(input.records.channels),
               std::vector<std::pair<RecordField, std::string SampleDecoder::ChannelSpec::*>>{
                   {{"field", "Name, dotted path or JSON pointer of the value."},
                    &SampleDecoder::ChannelSpec::field},
                   {{"name", "Plain name in alerts; the field when left out."},
                    &SampleDecoder::ChannelSpec::name},
                   {{"unit", "Unit, shown to people only."}, &SampleDecoder::ChannelSpec::unit}})
      .help("What to take from the records. Empty: every field that holds a number.");
}

void add_limits(Schema& schema) {
  schema.option("input.max_record_bytes", FIELD(input.records.max_record_bytes))
      .bytes()
      .range(64, 64 << 20)
      .help("Longer records are rejected.");
  schema.option("input.max_series", FIELD(input.records.max_series))
      .unit("series")
      .range(1, 10'000'000)
      .help("Different series within a day; records of further ones are rejected.");
  schema.option("input.max_channels", FIELD(input.records.max_channels))
      .unit("channels")
      .range(1, 16'384)
      .help("Different channels of one input; records with further ones are rejected.");
}

void add_series(Schema& schema) {
  schema.section("input.series", "Which series a record belongs to.");
  schema.option("input.series.from", FIELD(input.records.series.from))
      .form("a list of fields, or of key, topic, header:NAME")
      .help(
          "Parts of the series id. Empty: the field `series`, else the record's key; Influx: "
          "measurement and tags.");
  schema.option("input.series.join", FIELD(input.records.series.join))
      .help("Text between the parts of the series id.");
}

void add_time(Schema& schema) {
  schema.section("input.time", "When a sample was taken.");
  schema.option("input.time.field", FIELD(input.records.time.field))
      .help(
          "Field with the time; `record`: the record's timestamp. Empty: ts, time, timestamp or "
          "@timestamp, else the record's.");
  schema
      .choice("input.time.unit", FIELD(input.records.time.unit),
              {{"auto", SampleDecoder::TimeUnit::kAuto},
               {"s", SampleDecoder::TimeUnit::kSeconds},
               {"ms", SampleDecoder::TimeUnit::kMillis},
               {"us", SampleDecoder::TimeUnit::kMicros},
               {"ns", SampleDecoder::TimeUnit::kNanos},
               {"rfc3339", SampleDecoder::TimeUnit::kRfc3339}})
      .help("Unit of a time that is a number since 1970; auto goes by its size, once per topic.");
  schema.option("input.time.max_future", FIELD(input.records.max_future))
      .range(0s, std::chrono::days{365})
      .help("How far a time may be ahead of this host before its record is rejected.");
}

void add_formats(Schema& schema) {
  schema.section("input.long", "Fields of the format json_long.");
  schema.option("input.long.channel", FIELD(input.records.long_format.channel))
      .help("Field with the name of the channel.");
  schema.option("input.long.value", FIELD(input.records.long_format.value))
      .help("Field with its value.");
  schema.section("input.csv", "Shape of the format csv.");
  schema.option("input.csv.columns", FIELD(input.records.csv.columns))
      .form("a list of column names")
      .help("Names of the columns. Empty: the first line of each topic is a header.");
  schema.option("input.csv.delimiter", FIELD(input.records.csv.delimiter))
      .form("one character")
      .help("Character between two columns.");
}

}  // namespace

void add_input_rows(Schema& schema) {
  add_kafka(schema);
  add_input(schema);
  add_limits(schema);
  add_series(schema);
  add_time(schema);
  add_formats(schema);
  schema.check({"input.csv.columns", "input.format"},
               [](const Options& o) -> std::optional<std::string> {
                 if (o.input.records.csv.columns.empty() ||
                     o.input.records.format == SampleDecoder::Format::kCsv)
                   return {};
                 return "column names for another format; expected input.format: csv";
               });
}

}  // namespace anomalyd::config
