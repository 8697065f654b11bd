#include "daemon/core/sample.hpp"

namespace anomalyd {

void SampleBlock::append(std::string_view series, EventTime time, Offset offset,
                         std::span<const double> values) {
  // Runs of one series are common (long format, batched producers); they share one name.
  const bool same =
      !rows_.empty() &&
      std::string_view{names_}.substr(rows_.back().name_begin, rows_.back().name_size) == series;
  if (!same) names_.append(series);
  rows_.push_back(
      {time, offset,
       same ? rows_.back().name_begin : static_cast<std::uint32_t>(names_.size() - series.size()),
       static_cast<std::uint32_t>(series.size())});
  values_.insert(values_.end(), values.begin(), values.end());
}

Sample SampleBlock::operator[](std::size_t i) const noexcept {
  const Row& row = rows_[i];
  const std::size_t width = schema_->width();
  return {std::string_view{names_}.substr(row.name_begin, row.name_size), row.time, row.offset,
          std::span{values_}.subspan(i * width, width)};
}

std::size_t SampleBlock::byte_size() const noexcept {
  return sizeof *this + rows_.capacity() * sizeof(Row) + names_.capacity() +
         values_.capacity() * sizeof(double);
}

std::string_view to_string(RejectReason reason) {
  switch (reason) {
    case RejectReason::kMalformed: return "malformed";
    case RejectReason::kWrongType: return "wrong_type";
    case RejectReason::kNoSeries: return "no_series";
    case RejectReason::kNoTime: return "no_time";
    case RejectReason::kTimeAbsurd: return "time_absurd";
    case RejectReason::kNoChannels: return "no_channels";
    case RejectReason::kTooLong: return "too_long";
    case RejectReason::kTooManySeries: return "too_many_series";
    case RejectReason::kTooManyChannels: return "too_many_channels";
  }
  return "unknown";
}

}  // namespace anomalyd
