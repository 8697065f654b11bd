#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connectors/codec/name_sequence.hpp"
#include "connectors/codec/sample_decoder.hpp"
#include "connectors/codec/series_limit.hpp"
#include "connectors/codec/time_reader.hpp"

namespace anomalyd::connectors {

/// What a field of a record is for.
enum class FieldUse : std::uint8_t {
  kIgnored,
  kUndecided,  ///< Becomes a channel when a number is found in it.
  kSeries,
  kTime,
  kChannel,
  kChannelName,   ///< Long format.
  kChannelValue,  ///< Long format.
};

/// A field, known by its path flattened with dots: "cpu.user".
struct Field {
  std::string name;
  FieldUse use = FieldUse::kIgnored;
  bool has_parts = false;   ///< A configured field may lie inside it.
  std::uint32_t index = 0;  ///< kSeries: which part of the id; kChannel: the column.
};

/// Collects the cells, the series id and the time of one row for the reader of a format, and
/// enforces what is the same for all formats: the columns, the limits, and which rows are usable.
///
/// Use   begin_record, then for each row: begin_row, the values in any order, finish_row. After the
///       first fault in a row the rest of it is ignored, and finish_row rejects it.
class RowBuilder {
 public:
  RowBuilder(const SampleDecoder::Options& options, Clock& clock);

  /// What `name` is for. The caller keeps the field and passes it with each of its values.
  [[nodiscard]] Field make_field(std::string name) const;

  void begin_record(const Record& record, const Decoder::RowFn& row,
                    const Decoder::RejectFn& reject);
  void begin_row();
  void number(Field& field, double value);
  /// The same for a field that is a channel: `column` is its index.
  void set_cell(std::uint32_t column, double value) {
    if (!std::isfinite(value)) return;
    if (std::isnan(values_[column])) ++num_cells_;
    values_[column] = value;
  }
  void integer(Field& field, std::int64_t value);
  void text(Field& field, std::string_view text);
  /// A value that is neither number nor text: `what` it is.
  void other(const Field& field, std::string_view what);
  void fault(RejectReason reason, std::string detail);
  void finish_row();
  /// Rejects what is left of the record.
  void reject(RejectReason reason, std::string detail) const;

  void adopt(const Schema& known);
  [[nodiscard]] const std::shared_ptr<const Schema>& schema() const noexcept { return schema_; }
  [[nodiscard]] const TimeReader& times() const noexcept { return times_; }
  /// How many different names a reader keeps; it ignores later ones, so memory is bounded.
  [[nodiscard]] std::size_t max_names() const noexcept { return 2 * options_.max_channels + 256; }

 private:
  /// One part of the series id, in the configured order.
  struct SeriesPart {
    enum class From : std::uint8_t { kField, kKey, kTopic, kHeader } from = From::kField;
    std::string name;  // of the field or header
    std::string_view text{};
  };

  [[nodiscard]] bool discovers() const noexcept { return options_.channels.empty(); }
  void add_part(const std::string& from);
  void add_channels();
  [[nodiscard]] std::optional<std::uint32_t> add_column(std::string_view name);
  template <typename Found>
  void set_time(std::optional<EventTime> time, const Found& found);
  void place_long_value();
  [[nodiscard]] std::optional<std::string_view> series_id();
  [[nodiscard]] std::optional<EventTime> row_time();
  [[nodiscard]] bool is_sane(EventTime time);

  const SampleDecoder::Options& options_;
  Clock& clock_;
  TimeReader times_;
  SeriesLimit series_limit_;
  std::shared_ptr<const Schema> schema_;
  std::vector<Channel> columns_;  // grows before schema_ does, while a row brings new channels
  std::unordered_map<std::string, Field> configured_;     // by flattened path
  std::unordered_map<std::string, std::uint32_t> known_;  // discovered columns by path
  NameSequence<Field> long_channels_;
  EventTime latest_{};  // times up to here are sane; moves with the clock when one is beyond it

  // Of the record.
  const Record* record_ = nullptr;
  const Decoder::RowFn* row_ = nullptr;
  const Decoder::RejectFn* reject_ = nullptr;

  // Of the row.
  std::vector<SeriesPart> parts_;
  std::vector<double> values_;
  std::size_t num_cells_ = 0;
  std::optional<EventTime> time_;
  std::optional<Rejected> fault_;
  std::string series_;  // joined from several parts
  std::string long_name_;
  std::optional<double> long_value_;
};

}  // namespace anomalyd::connectors
