#pragma once

#include <memory>

#include "connectors/codec/row_builder.hpp"
#include "connectors/codec/sample_decoder.hpp"

namespace anomalyd::connectors {

/// Takes a record apart and passes what is in it to a RowBuilder. One per format.
class FormatReader {
 public:
  virtual ~FormatReader() = default;
  /// `record.value` is not empty. The builder has been told of the record.
  virtual void read(const Record& record, RowBuilder& rows) = 0;
};

// `options` must outlive the reader.
[[nodiscard]] std::unique_ptr<FormatReader> make_json_reader(const SampleDecoder::Options& options);
[[nodiscard]] std::unique_ptr<FormatReader> make_csv_reader(const SampleDecoder::Options& options);
[[nodiscard]] std::unique_ptr<FormatReader> make_influx_reader(
    const SampleDecoder::Options& options);

}  // namespace anomalyd::connectors
