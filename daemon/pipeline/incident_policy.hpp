#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/state_codec.hpp"
#include "daemon/pipeline/detector.hpp"

namespace anomalyd::pipeline {

/// Turns the verdicts of one series into incidents that open, are updated, and resolve.
///
/// An alert opens an incident once enough rows confirm it. It stays open while rows are nearly
/// rare and large enough, which is less than opening takes, so one fault is one incident. A new
/// alert soon after it was resolved opens the same incident again.
///
/// Rows not judged count neither way; an incident that has seen too many of them is resolved,
/// because nobody can tell any more. All that is decided follows from the rows since the incident
/// began, so a replay repeats every message.
class IncidentPolicy {
 public:
  struct Options {
    int confirm = 1;              ///< 1..confirm_rows. So many rows with the condition open it...
    int confirm_rows = 1;         ///< 1..64. ...among so many, one of them an alert.
    int resolve_rows = 10;        ///< >= 1. Quiet rows in succession that resolve it.
    int merge_rows = 20;          ///< >= 0. Rows after that in which an alert opens it again.
    int cool_down_rows = 0;       ///< >= 0. Rows after resolving in which no other one opens.
    int update_rows = 60;         ///< >= 1. While open, it is told of this often.
    int abandon_rows = 100;       ///< >= 1. Rows not judged in succession that resolve it.
    std::size_t worst_steps = 3;  ///< 0..20. Rows named in each message.
    std::size_t features = 5;     ///< 1..100. Channels named in each message.
  };

  /// One judged row.
  struct Row {
    EventTime time;
    Offset offset = 0;
    const Verdict& verdict;
    std::string_view window_class = {};  ///< What the model calls its window; empty: nothing.
  };

  /// Tells how each channel took part in the row, in any order. Called only for rows that a
  /// message will show, and at most once each.
  using Evidence = std::function<std::vector<Alert::Feature>()>;

  /// Whether a row with this verdict has to be observed. False for nearly all rows of a healthy
  /// series: nothing is open and nothing begins.
  [[nodiscard]] bool concerns(const Verdict& verdict) const noexcept {
    return verdict.condition || recent_conditions_ != 0 || incident_.has_value();
  }

  /// Takes in the next row. The message it causes lacks what only the caller knows: input
  /// partition, model kind and version.
  [[nodiscard]] std::optional<Alert> observe(std::string_view series, const Row& row,
                                             const Evidence& evidence, const Options& options);

  /// A row passes that could not be judged.
  [[nodiscard]] std::optional<Alert> skip(std::string_view series, EventTime time, Offset offset,
                                          const Options& options);

  /// Resolves what is open, because nothing more will come from the series.
  [[nodiscard]] std::optional<Alert> close(std::string_view series, EventTime time, Offset offset);

  [[nodiscard]] bool is_open() const noexcept { return incident_ && !incident_->resolved; }

  void save(StateWriter& out) const;
  [[nodiscard]] bool load(StateReader& in);

 private:
  struct Start {
    EventTime time;
    Offset offset = 0;
  };
  struct Incident {
    Start start;
    EventTime end{};  // of the last row that was not quiet
    bool resolved = false;
    std::int32_t rows = 0;           // that were not quiet
    std::int32_t quiet_rows = 0;     // in succession
    std::int32_t unjudged_rows = 0;  // in succession
    std::int32_t rows_since_message = 0;
    std::int32_t severity = 0;
    std::int32_t told_severity = 0;
    // The worst row so far:
    double score = -1;
    double threshold = 0;
    double p_value = 1;
    ThresholdRule rule = ThresholdRule::kTail;
    std::string window_class{};  // of the worst row that has one
    double class_score = -1;     // of that row
    std::vector<Alert::Feature> features{};
    std::vector<Alert::Step> worst_steps{};
  };

  void note_condition(const Row& row, const Options& options);
  [[nodiscard]] bool is_confirmed(const Options& options) const;
  [[nodiscard]] std::optional<Alert> follow(std::string_view series, const Row& row,
                                            const Evidence& evidence, const Options& options);
  [[nodiscard]] std::optional<Alert> open(std::string_view series, const Row& row,
                                          const Evidence& evidence, const Options& options);
  void absorb(const Row& row, const Evidence& evidence, const Options& options);
  [[nodiscard]] Alert message(std::string_view series, AlertState state, EventTime time,
                              Offset offset);

  // The last `confirm_rows` rows, newest in the lowest bit.
  std::uint64_t recent_conditions_ = 0;
  std::uint64_t recent_alerts_ = 0;
  Start first_condition_;             // of those rows
  std::optional<Incident> incident_;  // open, or resolved and not yet forgotten
};

}  // namespace anomalyd::pipeline
