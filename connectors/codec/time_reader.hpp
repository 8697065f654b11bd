#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/codec/sample_decoder.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd::connectors {

/// Reads "2026-11-20T22:15:04.120Z"; also with an offset "+02:00", a blank for the T, any number
/// of decimals, or no zone at all, which means UTC. Nullopt if it is anything else.
[[nodiscard]] std::optional<EventTime> parse_rfc3339(std::string_view text);

/// Turns the times of records into event times.
///
/// While the unit is kAuto, the magnitude of a number gives it: the limits between s, ms, us and ns
/// are 1e11, 1e14 and 1e17, so each unit is right from 1973 to 5138. `confirm` freezes the unit of
/// the topic, so that a damaged time later is refused instead of being read in another unit.
class TimeReader {
 public:
  using Unit = SampleDecoder::TimeUnit;
  explicit TimeReader(Unit unit) : configured_{unit} {}

  /// The times to come belong to this topic.
  void select(std::string_view topic);

  /// Nullopt if the unit asks for text, or the number is beyond what an EventTime holds.
  [[nodiscard]] std::optional<EventTime> from_integer(std::int64_t value);
  [[nodiscard]] std::optional<EventTime> from_real(double value);
  /// A number in text counts as that number. Nullopt if it cannot be read.
  [[nodiscard]] std::optional<EventTime> from_text(std::string_view text);
  /// The last time that was read is a sane one.
  void confirm();

  /// How numbers of the selected topic are read now, for messages.
  [[nodiscard]] Unit unit() const noexcept { return last_unit_; }
  [[nodiscard]] const std::vector<std::pair<std::string, Unit>>& units() const noexcept {
    return frozen_;
  }

 private:
  [[nodiscard]] Unit unit_for(double value) const;

  Unit configured_;
  Unit selected_ = Unit::kAuto;   // frozen unit of the selected topic; kAuto until it is frozen
  Unit last_unit_ = Unit::kAuto;  // with which the last number was read
  std::string topic_;
  std::vector<std::pair<std::string, Unit>> frozen_;
};

}  // namespace anomalyd::connectors
