#include "daemon/pipeline/score_drift.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

namespace anomalyd::pipeline {
namespace {

using std::chrono::microseconds;

// Bins of log(score): an ordinary score is about 0.7, so 0.012 to 7.4 holds what normal rows have.
constexpr double kLowest = -4.4;
constexpr double kBinsPerUnit = 10;
constexpr std::int64_t kShortestSlot = 1'000'000;  // microseconds
constexpr std::uint64_t kEnoughRows = 200;         // of a reference
constexpr std::int64_t kMostCycles = 7;            // that it may take
constexpr std::uint64_t kFewestRows = 10;          // that a sample is tested with
constexpr double kOwnExcess = 2.5;  // of the reference from itself: the floor of a stretch

}  // namespace

/// Rows of several slots.
struct ScoreDrift::Sample {
  std::array<double, kBins> counts{};
  double rows = 0;

  void add(const Histogram& histogram) {
    for (std::size_t i = 0; i < kBins; ++i) {
      counts[i] += histogram[i];
      rows += histogram[i];
    }
  }
  /// By how much larger these scores are than the other's.
  [[nodiscard]] double excess(const Sample& other) const {
    double mine = 0, others = 0, largest = 0;
    for (std::size_t i = 0; i < kBins; ++i) {
      mine += counts[i] / rows;
      others += other.counts[i] / other.rows;
      largest = std::max(largest, others - mine);
    }
    return largest;
  }
  [[nodiscard]] double p_value(const Sample& other, double excess) const {
    const double root = std::sqrt(rows * other.rows / (rows + other.rows));
    const double x = (root + 0.12 + 0.11 / root) * excess;
    return std::exp(-2 * x * x);
  }
};

std::int64_t ScoreDrift::slot_of(EventTime time) const noexcept {
  return time.time_since_epoch().count() / slot_length_;
}

bool ScoreDrift::is_kept(std::int64_t slot) const noexcept {
  return slot >= reference_end_ && slot <= newest_slot_ &&
         slot > newest_slot_ - static_cast<std::int64_t>(kKept);
}

void ScoreDrift::add(double score, EventTime time, const DriftOptions& options) {
  const std::int64_t length = microseconds{options.cycle}.count() / std::int64_t{kSlots};
  if (length != slot_length_) {
    *this = {};
    slot_length_ = length;
    begin(slot_of(time));
  }
  const std::int64_t slot = slot_of(time);
  if (slot > newest_slot_) advance(slot);
  const double place = score > 0 ? (std::log(score) - kLowest) * kBinsPerUnit : 0;
  const auto bin = static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1.0));
  if (slot >= first_slot_ && slot < reference_end_) {
    ++reference_[static_cast<std::size_t>(slot) % kSlots][bin];
    ++reference_rows_;
  } else if (is_kept(slot)) {
    ++recent_[static_cast<std::size_t>(slot) % kKept][bin];
  }
}

void ScoreDrift::begin(std::int64_t slot) {
  first_slot_ = newest_slot_ = slot;
  reference_end_ = slot + std::int64_t{kSlots};
  reference_.assign(kSlots, {});
  recent_.assign(kKept, {});
}

void ScoreDrift::advance(std::int64_t slot) {
  for (std::int64_t s = std::max(newest_slot_ + 1, slot - std::int64_t{kKept} + 1); s <= slot;
       ++s) {
    recent_[static_cast<std::size_t>(s) % kKept] = {};
  }
  newest_slot_ = slot;
  // Whole cycles, so that no hour of the day counts more than others.
  while (!complete_ && slot >= reference_end_) {
    const std::int64_t most = first_slot_ + kMostCycles * std::int64_t{kSlots};
    complete_ = reference_rows_ >= kEnoughRows || reference_end_ >= most;
    if (!complete_) reference_end_ += std::int64_t{kSlots};
  }
}

ScoreDrift& ScoreDrift::operator+=(const ScoreDrift& other) {
  if (other.slot_length_ == 0) return *this;
  const bool alike = slot_length_ == other.slot_length_;
  if (!alike || other.complete_ != complete_) {
    if (slot_length_ == 0 || (alike && other.complete_)) *this = other;
    return *this;
  }
  if (other.newest_slot_ > newest_slot_) {
    ScoreDrift newer = other;
    newer += *this;
    return *this = std::move(newer);
  }
  for (std::size_t i = 0; i < kSlots; ++i) {
    for (std::size_t bin = 0; bin < kBins; ++bin) reference_[i][bin] += other.reference_[i][bin];
  }
  first_slot_ = std::min(first_slot_, other.first_slot_);
  reference_rows_ += other.reference_rows_;
  for (std::int64_t s = newest_slot_ - std::int64_t{kKept} + 1; s <= newest_slot_; ++s) {
    if (!other.is_kept(s)) continue;
    const std::size_t at = static_cast<std::size_t>(s) % kKept;
    for (std::size_t bin = 0; bin < kBins; ++bin) recent_[at][bin] += other.recent_[at][bin];
  }
  reference_end_ = std::max(reference_end_, other.reference_end_);
  return *this;
}

ScoreDrift::Sample ScoreDrift::reference() const {
  Sample sample;
  for (const Histogram& histogram : reference_) sample.add(histogram);
  return sample;
}

ScoreDrift::Sample ScoreDrift::recent(std::int64_t last_slot, std::size_t slots) const {
  Sample sample;
  for (std::int64_t s = last_slot - static_cast<std::int64_t>(slots) + 1; s <= last_slot; ++s) {
    if (is_kept(s)) sample.add(recent_[static_cast<std::size_t>(s) % kKept]);
  }
  return sample;
}

/// By how much any stretch of the reference exceeds all of it.
double ScoreDrift::own_excess(const Sample& reference) const {
  double largest = 0;
  for (std::size_t i = 0; i < kSlots; ++i) {
    Sample stretch;
    for (std::size_t k = 0; k < kStretch; ++k) stretch.add(reference_[(i + k) % kSlots]);
    if (stretch.rows >= kFewestRows) largest = std::max(largest, stretch.excess(reference));
  }
  return largest;
}

ScoreDrift::Finding ScoreDrift::look(EventTime now, const DriftOptions& options) const {
  if (!complete_ || reference_rows_ < kFewestRows) return {};
  const Sample all = reference();
  const double floor = std::max(options.effect, kOwnExcess * own_excess(all));
  const Finding cycle = look_at(kSlots, now, all, options.effect, options);
  const Finding stretch = look_at(kStretch, now, all, floor, options);
  if (cycle.drifted != stretch.drifted) return cycle.drifted ? cycle : stretch;
  return cycle.effect / cycle.floor >= stretch.effect / stretch.floor ? cycle : stretch;
}

/// Tests the rows up to now and, while those have drifted, those up to the end of each slot before.
ScoreDrift::Finding ScoreDrift::look_at(std::size_t slots, EventTime now, const Sample& reference,
                                        double floor, const DriftOptions& options) const {
  Finding finding{.ready = true,
                  .floor = floor,
                  .span = microseconds{slot_length_ * static_cast<std::int64_t>(slots)},
                  .reference_rows = reference_rows_};
  const std::int64_t newest = slot_of(now);
  const auto length = static_cast<std::int64_t>(slots);
  const std::int64_t oldest =
      std::max(reference_end_ + length - 1, newest_slot_ - std::int64_t{kKept} + length);
  for (std::int64_t last = newest; last >= oldest; --last) {
    const Sample sample = recent(last, slots);
    if (last == newest) finding.recent_rows = static_cast<std::uint64_t>(sample.rows);
    if (sample.rows < kFewestRows) break;
    const double effect = sample.excess(reference);
    const double p_value = sample.p_value(reference, effect);
    if (last == newest) {
      finding.effect = effect;
      finding.p_value = p_value;
    }
    if (effect <= floor || p_value >= options.p_value) break;
    if (last < newest) {
      finding.held = now - EventTime{microseconds{(last + 1) * slot_length_}};
    }
    finding.drifted = finding.held >= options.hold;
  }
  return finding;
}

std::string ScoreDrift::Finding::text() const {
  return fmt::format(
      "KS {:.2f} (floor {:.2f}), p {:.1g}, held {}; {} rows of the last {} against {}", effect,
      floor, p_value, in_words(held), recent_rows, in_words(span), reference_rows);
}

void ScoreDrift::save(StateWriter& out) const {
  for (const std::int64_t value : {slot_length_, first_slot_, reference_end_, newest_slot_}) {
    out.put(value);
  }
  out.put(reference_rows_);
  out.put(complete_);
  out.put_all(reference_);
  out.put_all(recent_);
}

bool ScoreDrift::load(StateReader& in) {
  for (std::int64_t* value : {&slot_length_, &first_slot_, &reference_end_, &newest_slot_}) {
    if (!in.get(*value)) return false;
  }
  if (!in.get(reference_rows_) || !in.get(complete_) || !in.get_all(reference_) ||
      !in.get_all(recent_)) {
    return false;
  }
  if (slot_length_ == 0) return reference_.empty() && recent_.empty();
  if (slot_length_ < kShortestSlot || reference_.size() != kSlots || recent_.size() != kKept) {
    return false;
  }
  // Slots of any time there is, so that sums of them cannot overflow.
  const std::int64_t farthest = INT64_MAX / slot_length_;
  return first_slot_ >= -farthest && first_slot_ < reference_end_ &&
         reference_end_ <= first_slot_ + kMostCycles * std::int64_t{kSlots} &&
         newest_slot_ >= first_slot_ && newest_slot_ <= farthest &&
         static_cast<double>(reference_rows_) == reference().rows;
}

std::string in_words(microseconds duration) {
  static constexpr struct {
    std::int64_t seconds;
    std::string_view name;
  } kUnits[] = {{86'400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
  const std::int64_t seconds = std::chrono::round<std::chrono::seconds>(duration).count();
  std::size_t i = 0;
  while (i + 1 < std::size(kUnits) && seconds < kUnits[i].seconds) ++i;
  std::string text = fmt::format("{} {}", seconds / kUnits[i].seconds, kUnits[i].name);
  if (i + 1 == std::size(kUnits)) return text;
  const std::int64_t rest = seconds % kUnits[i].seconds / kUnits[i + 1].seconds;
  return rest == 0 ? text : text + fmt::format(" {} {}", rest, kUnits[i + 1].name);
}

}  // namespace anomalyd::pipeline
