#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/ports.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::connectors {

/// Turns JSON, CSV and Influx line protocol records into rows.
///
/// A record may hold several rows: a JSON array, JSON lines, CSV lines, protocol lines. Fields are
/// named by their path: nested ones joined with dots ("cpu.user"), or as a JSON pointer
/// ("/cpu/user", "/temps/0"). `null`, "", "NaN", "N/A" and absent fields are missing cells; a
/// number inside a string is that number.
///
/// The fast path is a flat JSON object whose keys come in the same order in every record. It
/// allocates nothing once the columns and the series are known.
///
/// Runs on   one thread, as every Decoder. Reads `clock` only when a time looks too new.
class SampleDecoder final : public Decoder {
 public:
  enum class Format : std::uint8_t {
    kJson,      ///< Wide: many channels in one object.
    kJsonLong,  ///< One channel in each object: its name in one field, its value in another.
    kCsv,       ///< One row per line; the columns are configured, or named by a header line.
    kInflux,    ///< Influx line protocol: measurement and tags are the series.
  };
  enum class TimeUnit : std::uint8_t {
    kAuto,  ///< Text is RFC 3339; a number's unit follows from its magnitude, once per topic.
    kSeconds,
    kMillis,
    kMicros,
    kNanos,
    kRfc3339,
  };
  /// A channel to take from the records.
  struct ChannelSpec {
    std::string field;   ///< Name, dotted path or JSON pointer. Long format: the channel's name.
    std::string name{};  ///< Plain name; empty = `field`.
    std::string unit{};  ///< For people only.
  };
  /// Where the id of a series comes from.
  struct SeriesSpec {
    /// "key", "topic", "header:<name>" or a field, joined in this order; write "/key" for a field
    /// called key. Influx: "measurement" or a tag. Empty: the field `series`, else the record's
    /// key; Influx: measurement and all tags.
    std::vector<std::string> from{};
    std::string join = ".";
  };
  /// Where the time of a row comes from.
  struct TimeSpec {
    /// Empty: the first of ts, time, timestamp, @timestamp in the record, else the record's own
    /// timestamp. "record": always the latter. Influx has it in the line.
    std::string field{};
    TimeUnit unit = TimeUnit::kAuto;
  };
  /// For Format::kJsonLong.
  struct LongSpec {
    std::string channel = "metric";  ///< Field with the name of the channel.
    std::string value = "value";     ///< Field with its value.
  };
  /// For Format::kCsv.
  struct CsvSpec {
    /// Names of the columns; empty: the first line of each topic is a header, and so is every later
    /// line equal to it.
    std::vector<std::string> columns{};
    char delimiter = ',';
  };
  struct Options {
    Format format = Format::kJson;
    std::string unwrap{};  ///< JSON pointer to the object or array of objects inside an envelope.
    SeriesSpec series{};
    TimeSpec time{};
    std::vector<ChannelSpec> channels{};  ///< Empty: every field that holds a number.
    LongSpec long_format{};
    CsvSpec csv{};
    std::size_t max_record_bytes = 1 << 20;  ///< 64..67108864 bytes.
    std::size_t max_channels = 1024;         ///< 1..16384 columns of one input.
    std::size_t max_series = 200'000;        ///< 1..10000000 different ids within a day.
    std::chrono::seconds max_future{std::chrono::hours{24}};  ///< 0..365 d ahead of this host.
  };

  /// `clock` must outlive the decoder. Errors: kInvalid, naming the option and what it expects.
  [[nodiscard]] static Result<std::unique_ptr<SampleDecoder>> create(Options options, Clock& clock);
  ~SampleDecoder() override;

  [[nodiscard]] const std::shared_ptr<const Schema>& schema() const override;
  /// Rows that come before a fault in a record of many rows have been handed over by then.
  void decode(const Record& record, const RowFn& row, const RejectFn& reject) override;

  /// Takes over columns known from an earlier run, in their order, before the first record.
  void adopt(const Schema& known);
  /// The unit found for each topic whose times are numbers, while `time.unit` is kAuto.
  [[nodiscard]] const std::vector<std::pair<std::string, TimeUnit>>& time_units() const;
  /// True if several rows of one series and time are parts of one row, to be joined downstream.
  [[nodiscard]] static bool gives_partial_rows(const Options& options);

 private:
  struct Impl;
  explicit SampleDecoder(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// As in the configuration: "json", "json_long", "csv", "influx".
[[nodiscard]] std::string_view to_string(SampleDecoder::Format format);
/// As in the configuration: "auto", "s", "ms", "us", "ns", "rfc3339".
[[nodiscard]] std::string_view to_string(SampleDecoder::TimeUnit unit);

}  // namespace anomalyd::connectors
