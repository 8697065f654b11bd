#include "daemon/pipeline/retrain_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace anomalyd::pipeline {
namespace {

using std::chrono::microseconds;

constexpr microseconds kRequestCoolDown = std::chrono::minutes{1};
constexpr std::uint64_t kMostDoublings = 4;

constexpr std::array<std::string_view, kNumTriggers> kNames = {
    "schedule", "new_rows", "drift", "governor", "schema", "command", "control_topic"};

/// Whether `part` of a group is at least `share` of it, and at least one.
bool reaches(std::size_t part, std::size_t whole, double share) {
  return part > 0 && static_cast<double>(part) >= share * static_cast<double>(whole);
}

std::string percent(std::size_t part, std::size_t whole) {
  return fmt::format("{:.0f} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

std::string_view to_string(Trigger trigger) { return kNames.at(static_cast<std::size_t>(trigger)); }

std::string_view to_string(TrainingStart start) {
  return start == TrainingStart::kWarm ? "warm" : "cold";
}

RetrainPolicy::Past RetrainPolicy::after(Past past, const Outcome& outcome) {
  const bool warm = outcome.start == TrainingStart::kWarm;
  past.last = outcome.end;
  ++past.trainings;
  past.since_cold = warm ? past.since_cold + 1 : 0;
  past.fruitless = outcome.promoted ? 0 : past.fruitless + 1;
  past.warm_lost = warm && !outcome.promoted;
  past.normal_rows = outcome.promoted ? 0 : outcome.normal_rows;
  return past;
}

std::optional<RetrainPolicy::Due> RetrainPolicy::due(EventTime now, std::string_view group,
                                                     const GroupFacts& facts, const Past& past,
                                                     const std::optional<Request>& request) const {
  if (!options_.enabled) return {};
  // Weightiest first.
  std::vector<std::pair<Trigger, std::string>> reasons;
  const auto add = [&](Trigger trigger, std::optional<std::string> why) {
    if (why) reasons.emplace_back(trigger, *std::move(why));
  };
  if (request && now >= past.last + kRequestCoolDown) {
    add(request->trigger, request->by.empty() ? "asked for" : "asked for by " + request->by);
  }
  if (now >= cooled_down(past)) {
    add(Trigger::kSchema, schema(facts));
    add(Trigger::kGovernor, governor(facts));
    add(Trigger::kDrift, drift(facts));
    add(Trigger::kNewRows, new_rows(facts, past));
  }
  if (now >= past.last + options_.cool_down) {
    add(Trigger::kSchedule, schedule(now, group, past));
  }
  if (reasons.empty()) return {};
  Due due{.trigger = reasons.front().first, .why = {}, .start = start(past)};
  for (const auto& [trigger, why] : reasons) {
    due.why += fmt::format("{}{}: {}", due.why.empty() ? "" : "; also ", to_string(trigger), why);
  }
  return due;
}

EventTime RetrainPolicy::cooled_down(const Past& past) const {
  const auto times = std::int64_t{1} << std::min(past.fruitless, kMostDoublings);
  return past.last + options_.cool_down * times;
}

TrainingStart RetrainPolicy::start(const Past& past) const {
  const bool cold = past.warm_lost || past.since_cold + 1 >= options_.cold_every;
  return cold ? TrainingStart::kCold : TrainingStart::kWarm;
}

std::optional<EventTime> RetrainPolicy::scheduled(std::string_view group, const Past& past) const {
  const auto next = options_.schedule.next_after(past.last);
  if (!next) return {};
  return *next + jitter_of(group, options_.jitter);
}

std::optional<std::string> RetrainPolicy::schedule(EventTime now, std::string_view group,
                                                   const Past& past) const {
  const auto time = scheduled(group, past);
  if (!time || now < *time) return {};
  return fmt::format("{} was due at {}, {} of it jitter", options_.schedule.text(),
                     to_rfc3339(std::chrono::floor<std::chrono::seconds>(*time)),
                     in_words(jitter_of(group, options_.jitter)));
}

std::optional<std::string> RetrainPolicy::new_rows(const GroupFacts& facts,
                                                   const Past& past) const {
  // Partitions come and go with their counts.
  const std::uint64_t rows = facts.normal_rows - std::min(facts.normal_rows, past.normal_rows);
  if (options_.new_rows == 0 || rows < options_.new_rows) return {};
  return fmt::format("{} normal rows since the last training (floor {})", rows, options_.new_rows);
}

std::optional<std::string> RetrainPolicy::drift(const GroupFacts& facts) const {
  if (!options_.drift.enabled) return {};
  const ScoreDrift::Finding finding = facts.drift.look(facts.watermark, options_.drift);
  if (!finding.drifted) return {};
  return finding.text();
}

std::optional<std::string> RetrainPolicy::governor(const GroupFacts& facts) const {
  const GovernorTriggerOptions& options = options_.governor;
  if (!options.enabled || !reaches(facts.pressed_long, facts.series, options.share)) return {};
  return fmt::format(
      "{} of {} series ({}, floor {:.0f} %) have been at the clamp of their governor for {} or "
      "longer",
      facts.pressed_long, facts.series, percent(facts.pressed_long, facts.series),
      100 * options.share, in_words(options.hold));
}

std::optional<std::string> RetrainPolicy::schema(const GroupFacts& facts) const {
  const SchemaTriggerOptions& options = options_.schema;
  const std::size_t changed = std::max(facts.with_new_channels, facts.lacking_channels);
  if (!options.enabled || !reaches(changed, facts.series, options.share)) return {};
  std::vector<std::string> changes;
  if (facts.with_new_channels > 0) {
    changes.push_back(fmt::format("{} carry channels that the model does not know ({})",
                                  facts.with_new_channels, fmt::join(facts.new_channels, ", ")));
  }
  if (facts.lacking_channels > 0) {
    changes.push_back(fmt::format("{} lack channels that it knows", facts.lacking_channels));
  }
  return fmt::format("of {} series (floor {:.0f} %), {}", facts.series, 100 * options.share,
                     fmt::join(changes, " and "));
}

std::optional<std::string> RetrainPolicy::unfit(const GroupFacts& facts) const {
  const UnfitOptions& options = options_.unfit;
  if (!reaches(facts.pressed_unfit, facts.series, options.share)) return {};
  return fmt::format(
      "{} of {} series ({}, floor {:.0f} %) have been far above their budget for {} or longer",
      facts.pressed_unfit, facts.series, percent(facts.pressed_unfit, facts.series),
      100 * options.share, in_words(options.hold));
}

}  // namespace anomalyd::pipeline
