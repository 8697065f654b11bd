#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/time.hpp"
#include "daemon/pipeline/group_facts.hpp"
#include "daemon/pipeline/retraining_options.hpp"

namespace anomalyd::pipeline {

/// What a training was started for. The names are in the audit trail and in metrics.
enum class Trigger : std::uint8_t {
  kSchedule,      ///< The interval has passed, or the time of the calendar.
  kNewRows,       ///< Enough normal rows have come.
  kDrift,         ///< Scores of normal rows are distributed otherwise than they were.
  kGovernor,      ///< Governors hold back alerts at their clamp.
  kSchema,        ///< Series have other channels than the model.
  kCommand,       ///< A person asked for it.
  kControlTopic,  ///< A record asked for it.
};
inline constexpr std::size_t kNumTriggers = 7;
/// In snake case: "new_rows".
[[nodiscard]] std::string_view to_string(Trigger trigger);

/// Where the weights of a training begin.
enum class TrainingStart : std::uint8_t {
  kWarm,  ///< The champion's.
  kCold,  ///< New ones.
};
/// "warm", "cold".
[[nodiscard]] std::string_view to_string(TrainingStart start);

/// Decides when a model group is trained again, and how.
///
/// Stateless: holds are in the facts, which snapshots keep, and the past is in the audit trail; so
/// a restart neither forgets a reason nor repeats one. Pure: `now` is the wall clock, for the
/// schedule and cool-downs; all else goes by event time.
class RetrainPolicy {
 public:
  explicit RetrainPolicy(const RetrainingOptions& options) : options_{options} {}

  /// What became of the trainings of one group, as far as it matters.
  struct Past {
    EventTime last{};  ///< Wall clock: end of the last training, or when the first model came.
    std::uint64_t trainings = 0;    ///< After the first model.
    std::uint64_t since_cold = 0;   ///< Warm ones since weights were new.
    std::uint64_t fruitless = 0;    ///< The last ones in succession that gave no new champion.
    bool warm_lost = false;         ///< The last one began warm and gave no new champion.
    std::uint64_t normal_rows = 0;  ///< GroupFacts::normal_rows at its end.
  };
  /// How a training ended.
  struct Outcome {
    EventTime end{};  ///< Wall clock.
    TrainingStart start = TrainingStart::kWarm;
    bool promoted = false;
    std::uint64_t normal_rows = 0;  ///< GroupFacts::normal_rows then; a new champion counts anew.
  };
  [[nodiscard]] static Past after(Past past, const Outcome& outcome);

  /// What a person or a record asks for: a reason of its own, whatever the others say.
  struct Request {
    Trigger trigger = Trigger::kCommand;  ///< kCommand or kControlTopic.
    std::string by;                       ///< Who, for the audit trail. May be empty.
  };

  /// A reason to train now.
  struct Due {
    Trigger trigger = Trigger::kSchedule;  ///< The weightiest of those that hold.
    /// A sentence for the audit trail: "drift: KS 0.31 (floor 0.20), ..."; all that hold.
    std::string why;
    TrainingStart start = TrainingStart::kWarm;
  };
  /// Whether the group is to be trained at `now`; the caller does not ask while it is.
  ///
  /// A request waits no longer than a minute behind the last training, nothing else longer than
  /// its cool-down. A request is not lost by being early: pass it again.
  [[nodiscard]] std::optional<Due> due(EventTime now, std::string_view group,
                                       const GroupFacts& facts, const Past& past,
                                       const std::optional<Request>& request = {}) const;

  /// When the schedule is due next; nullopt if never. For `status`.
  [[nodiscard]] std::optional<EventTime> scheduled(std::string_view group, const Past& past) const;
  /// When the cool-down after the last training ends, for reasons other than the schedule.
  [[nodiscard]] EventTime cooled_down(const Past& past) const;
  /// How the next training begins: cold every `cold_every`th time, and after a warm one lost.
  [[nodiscard]] TrainingStart start(const Past& past) const;

  /// Says with figures why the champion is unfit: nearly all of its series have been far above
  /// their budget for long. nullopt while it is not.
  [[nodiscard]] std::optional<std::string> unfit(const GroupFacts& facts) const;

 private:
  [[nodiscard]] std::optional<std::string> schedule(EventTime now, std::string_view group,
                                                    const Past& past) const;
  [[nodiscard]] std::optional<std::string> new_rows(const GroupFacts& facts,
                                                    const Past& past) const;
  [[nodiscard]] std::optional<std::string> drift(const GroupFacts& facts) const;
  [[nodiscard]] std::optional<std::string> governor(const GroupFacts& facts) const;
  [[nodiscard]] std::optional<std::string> schema(const GroupFacts& facts) const;

  RetrainingOptions options_;
};

}  // namespace anomalyd::pipeline
