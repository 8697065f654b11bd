#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/result.hpp"
#include "tools/row_source.hpp"

namespace anomalyd::tools {

/// Writes rows as records in the formats that the daemon reads with its defaults.
///
/// Times are milliseconds since 1970 (nanoseconds in line protocol); missing cells are `null` in
/// JSON, empty in CSV, absent elsewhere. Numbers are written shortest, so they read back exactly.
class RowEncoder {
 public:
  enum class Format {
    kJson,      ///< {"ts":..,"series":"..","cpu":..,"memory":..}
    kJsonLong,  ///< One record per cell: {"ts":..,"series":"..","metric":"cpu","value":..}
    kCsv,       ///< A header line and one line, so that any record can be read on its own.
    kInflux,    ///< <series> cpu=..,memory=.. <ns>
  };
  /// Reads "json", "json_long", "csv" or "influx". Errors: kInvalid.
  [[nodiscard]] static Result<Format> parse_format(std::string_view name);

  explicit RowEncoder(Format format) : format_{format} {}

  using EmitFn = std::function<void(std::string_view value)>;
  /// Calls `emit` once per record; the view dies with the call.
  void encode(const SourceRow& row, const EmitFn& emit);

 private:
  void adopt(std::span<const Channel> channels);

  Format format_;
  const Channel* known_ = nullptr;  // channels that prefixes_ were made from
  std::size_t num_known_ = 0;
  std::vector<std::string> prefixes_;  // what stands before the value of each channel
  std::string header_;                 // kCsv
  std::string text_;
};

}  // namespace anomalyd::tools
