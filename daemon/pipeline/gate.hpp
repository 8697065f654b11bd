#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/gate_options.hpp"
#include "daemon/pipeline/injection.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/pipeline_options.hpp"

namespace anomalyd::pipeline {

/// Why a check was not passed. The names are metric labels and part of messages: see to_string.
enum class GateReason : std::uint8_t {
  kNone,
  // load
  kUnreadable,      ///< There is no such file, or it cannot be read.
  kTooLarge,        ///< The file, or what it asks for, is larger than allowed.
  kTruncated,       ///< The file is not as long as it was written.
  kDamaged,         ///< Its bytes are not those that were written.
  kIncompatible,    ///< What it says makes no model: format, shapes, or a wrong checksum.
  kBadCalibration,  ///< The weights are whole; scalers and thresholds are missing or do not fit.
  kTooSlow,         ///< The check took longer than it may. Of any check.
  // shape
  kOtherSchema,    ///< It was trained with other channels.
  kLostSeries,     ///< It does not know series that the champion knows.
  kWrongShape,     ///< Residuals are of another shape than its description says.
  kNotFinite,      ///< Weights or residuals are NaN or infinite.
  kScoringFailed,  ///< The scorer returned an error.
  // training
  kTooFewRows,  ///< It was calibrated on too few rows.
  kConstant,    ///< Channels that move rested in all rows that it was trained on.
  // rows
  kTooFewUnseenRows,  ///< Too few rows that neither model has seen. Not a fault of the challenger.
  // loss
  kWorseLoss,       ///< Its loss is larger, beyond the margin and beyond chance.
  kLearnedNothing,  ///< The same, and it expects no more of a row than a constant would.
  kOtherLevel,      ///< The same, by a constant error: what it takes for normal lies elsewhere.
  // alert_rate
  kAlarmHappy,  ///< It alerts on normal rows beyond the budget and beyond chance.
  // recall
  kLowerRecall,  ///< It finds fewer of the injected faults, beyond the margin and beyond chance.
  kBlind,        ///< There is no champion to compare with, and it finds next to none.
};
/// In snake case: "worse_loss"; "none" for kNone.
[[nodiscard]] std::string_view to_string(GateReason reason);

/// One thing that the challenger had to prove.
struct GateCheck {
  enum class State : std::uint8_t { kPassed, kFailed, kNotReached };

  std::string_view name;  ///< "load", "shape", "training", "rows", "loss", "alert_rate", "recall".
  State state = State::kNotReached;
  GateReason reason = GateReason::kNone;
  /// What was compared, as a report shows it: "loss / champion's", "alerts on normal rows".
  std::string_view figure{};
  std::optional<double> challenger{};
  std::optional<double> champion{};
  std::optional<double> bound{};  ///< What the challenger's figure may be at worst.
  double seconds = 0;             ///< That the check took.
  std::string sentence{};         ///< For people, no trailing period.
};
[[nodiscard]] std::string_view to_string(GateCheck::State state);

/// What became of the injected faults of one type.
struct FaultRecall {
  FaultType type = FaultType::kSpike;
  std::size_t faults = 0;  ///< That could be judged by both.
  std::size_t challenger = 0;
  std::size_t champion = 0;  ///< Found by each; 0 without a champion.
};

enum class GateOutcome : std::uint8_t {
  kPassed,         ///< It may go on to shadow the champion.
  kRefused,        ///< A check failed.
  kNotEnoughData,  ///< Nothing speaks against it, but there are too few rows to judge by.
  kStopped,        ///< The caller asked to stop.
};
[[nodiscard]] std::string_view to_string(GateOutcome outcome);

/// All that was found about a challenger.
struct GateReport {
  GateOutcome outcome = GateOutcome::kNotEnoughData;
  std::string challenger;           ///< Model version; empty if it did not load.
  std::string champion;             ///< Empty without one.
  std::size_t series = 0;           ///< Of the block that were judged.
  std::size_t rows = 0;             ///< Of it that both judged.
  std::vector<GateCheck> checks;    ///< All of them, in order; those behind a failed one unreached.
  std::vector<FaultRecall> recall;  ///< By type of fault, as far as the rows allow such faults.
  double seconds = 0;

  /// The check that failed, or nullptr.
  [[nodiscard]] const GateCheck* failed() const noexcept;
  /// "none" if all passed.
  [[nodiscard]] GateReason reason() const noexcept;
  /// Of the check that failed; the outcome where none did.
  [[nodiscard]] std::string sentence() const;
};

/// The report as lines for a terminal or a log, one for each check and each type of fault.
[[nodiscard]] std::string gate_table(const GateReport& report);

/// A trained model and what it was calibrated to.
///
/// The scorer is used by the examination alone while that lasts: what scores the live stream needs
/// one of its own. A champion is compared fairly after `calibrate` on the rows that the challenger
/// was trained on, so that its memory and tail are as fresh.
struct Candidate {
  Scorer* scorer = nullptr;
  std::shared_ptr<const LearnedGroup> group;
};

/// The newest normal rows, which no candidate was trained on.
struct UnseenBlock {
  std::vector<Channel> channels;       ///< Of the model group.
  std::span<const History> histories;  ///< Of just these channels, one per series.
};

/// What an examination needs beside the models.
struct GateContext {
  const PipelineOptions& pipeline;
  const GateOptions& gate;
  Clock& clock;  ///< For the time limits of the checks.
  std::stop_token stop{};
};

/// A checkpoint that wants to become champion.
struct StoredChallenger {
  std::filesystem::path path;
  std::uintmax_t bytes = 0;  ///< Size of the file now.
  std::string digest{};      ///< Of its bytes now, such as a sha256; empty if not taken.
  /// The same when it was written, as far as that is known. Without them a file that was cut short
  /// or damaged is incompatible: its own checksum tells.
  std::optional<std::uintmax_t> written_bytes{};
  std::string written_digest{};
};

/// A report and, if the checkpoint loaded, the model that it is about.
struct Examination {
  GateReport report;
  std::unique_ptr<Scorer> scorer;
  std::shared_ptr<const LearnedGroup> group;
};

/// Puts a challenger to all checks, from its own checkpoint on, and stops at the first that fails:
///
///   load        it can be read back, whole, within limits of size and time
///   shape       its channels and series are those of the block, residuals are finite
///   training    it was calibrated on enough rows, and they moved
///   rows        the block has enough rows that no candidate has seen
///   loss        the residuals of those rows are not larger than the champion's
///   alert_rate  it alerts on them within the budget
///   recall      it finds as many faults injected into them as the champion does
///
/// Rows run through copies of the candidates' tracks as live rows do. Statistics, formulae and
/// defaults: docs/retraining.md, "The gate".
///
/// `champion` may be null: then the loss is compared with that of a constant, and recall has a
/// floor. Pure but for the factory. Never throws; every way to end has an outcome.
[[nodiscard]] Examination examine(const StoredChallenger& challenger, ModelFactory& factory,
                                  const Candidate* champion, const UnseenBlock& block,
                                  const GateContext& context);

/// The same without `load`, for a challenger that is in memory already.
[[nodiscard]] GateReport examine(const Candidate& challenger, const Candidate* champion,
                                 const UnseenBlock& block, const GateContext& context);

/// What follows from a report: there is always an answer, so nothing waits forever.
enum class GateRuling : std::uint8_t {
  kPromote,       ///< Go on: to shadow if it passed, or live if it is to replace an unfit champion.
  kKeepChampion,  ///< The challenger is dropped.
  kWait,          ///< Examine it again when there are more rows.
};
[[nodiscard]] std::string_view to_string(GateRuling ruling);

/// What speaks for waiting or not.
struct GateSituation {
  MonotonicTime::duration waited{};  ///< Since the challenger was ready.
  bool champion_unfit = false;       ///< There is none, or it no longer fits the data.
};
[[nodiscard]] GateRuling rule(const GateReport& report, const GateSituation& situation,
                              const GateOptions& options);

}  // namespace anomalyd::pipeline
