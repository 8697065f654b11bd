#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/result.hpp"
#include "daemon/pipeline/gate.hpp"
#include "daemon/pipeline/gate_statistics.hpp"
#include "daemon/pipeline/replay.hpp"

namespace anomalyd::pipeline {

/// The rows that all candidates are tried on, and the faults that go into them.
struct GateRows {
  struct Series {
    History rows;          ///< Which no candidate has seen.
    Scaler scaler;         ///< Fitted to them: the unit of the faults.
    std::size_t warm = 0;  ///< Rows that fill the window and are not judged.
  };
  struct PlacedFault {
    std::size_t series = 0;
    InjectedFault fault;
  };
  std::vector<Series> series;
  std::vector<PlacedFault> faults;
  std::size_t judged = 0;  ///< Rows behind the warm ones.
};

/// Takes from the block the newest rows that neither candidate was trained on, of series that all
/// of them know, and draws the faults. `champion` may be null.
[[nodiscard]] GateRows choose_rows(const LearnedGroup& challenger, const LearnedGroup* champion,
                                   const UnseenBlock& block, const PipelineOptions& pipeline,
                                   const GateOptions& gate);

/// One candidate on its way through the rows.
class GateTrial {
 public:
  /// `rows`, `pipeline` and the candidate's scorer outlive the trial.
  GateTrial(Candidate candidate, const GateRows& rows, const PipelineOptions& pipeline);

  /// Scores the first windows of some series: enough to see that the model answers at all.
  [[nodiscard]] Status probe(const std::function<Status()>& may_go_on);
  /// Runs the rows as they are. Once, before what follows. Errors: those of `replay`.
  [[nodiscard]] Status run(const std::function<Status()>& may_go_on);
  /// Runs each fault, from where the rows had come to. Errors: those of `replay`.
  [[nodiscard]] Status run_faults(const std::function<Status()>& may_go_on);

  /// A residual was NaN or infinite.
  [[nodiscard]] bool saw_bad_values() const noexcept { return bad_values_; }
  [[nodiscard]] const ModelInfo& model() const noexcept { return candidate_.group->info; }
  [[nodiscard]] const Candidate& candidate() const noexcept { return candidate_; }

  [[nodiscard]] std::size_t judged_rows() const noexcept { return judged_; }
  /// Incidents that opened, and alerts that the governors held back.
  [[nodiscard]] std::size_t onsets() const noexcept { return onsets_; }
  [[nodiscard]] std::size_t condition_rows() const noexcept { return condition_rows_; }
  /// Onsets that the budget allows in these rows.
  [[nodiscard]] double budget() const noexcept { return budget_; }

  /// Signed residuals of members `members`, [rows x members x channels] for each series, in units
  /// of the input over `unit`'s scale of the channel; NaN where a row was not judged or a cell is
  /// missing. What was clipped on the way into the model counts in full.
  [[nodiscard]] std::vector<float> residuals(std::size_t series,
                                             std::span<const std::size_t> members,
                                             const Candidate& unit) const;

  /// Whether nothing went on around the fault without it, so that what is found is the fault.
  [[nodiscard]] bool is_quiet_around(const GateRows::PlacedFault& fault) const;
  [[nodiscard]] bool found(std::size_t fault) const { return found_[fault] != 0; }

 private:
  struct Record {
    std::vector<float> residuals;  // [rows x members x channels]; NaN where not judged
    std::vector<char> busy;        // [rows]: under a condition
    std::size_t judged = 0;
  };
  struct Place {
    std::size_t series;
    std::size_t row;
    auto operator<=>(const Place&) const = default;
  };

  Candidate candidate_;
  const GateRows& rows_;
  const PipelineOptions& pipeline_;
  std::vector<Record> records_;
  std::map<Place, ReplayTrack> snapshots_;  // before each row that a fault begins at
  std::vector<char> found_;                 // [faults]
  bool bad_values_ = false;
  std::size_t judged_ = 0;
  std::size_t onsets_ = 0;
  std::size_t condition_rows_ = 0;
  double budget_ = 0;
};

}  // namespace anomalyd::pipeline
