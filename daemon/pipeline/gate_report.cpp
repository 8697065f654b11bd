#include <fmt/format.h>

#include <algorithm>

#include "daemon/pipeline/gate.hpp"

namespace anomalyd::pipeline {
namespace {

std::string figure_text(const std::optional<double>& value) {
  return value ? fmt::format("{:.4g}", *value) : "-";
}

}  // namespace

std::string_view to_string(GateReason reason) {
  switch (reason) {
    case GateReason::kNone: return "none";
    case GateReason::kUnreadable: return "unreadable";
    case GateReason::kTooLarge: return "too_large";
    case GateReason::kTruncated: return "truncated";
    case GateReason::kDamaged: return "damaged";
    case GateReason::kIncompatible: return "incompatible";
    case GateReason::kBadCalibration: return "bad_calibration";
    case GateReason::kTooSlow: return "too_slow";
    case GateReason::kOtherSchema: return "other_schema";
    case GateReason::kLostSeries: return "lost_series";
    case GateReason::kWrongShape: return "wrong_shape";
    case GateReason::kNotFinite: return "not_finite";
    case GateReason::kScoringFailed: return "scoring_failed";
    case GateReason::kTooFewRows: return "too_few_rows";
    case GateReason::kConstant: return "constant";
    case GateReason::kTooFewUnseenRows: return "too_few_unseen_rows";
    case GateReason::kWorseLoss: return "worse_loss";
    case GateReason::kLearnedNothing: return "learned_nothing";
    case GateReason::kOtherLevel: return "other_level";
    case GateReason::kAlarmHappy: return "alarm_happy";
    case GateReason::kLowerRecall: return "lower_recall";
    case GateReason::kBlind: return "blind";
  }
  return "";
}

std::string_view to_string(GateCheck::State state) {
  switch (state) {
    case GateCheck::State::kPassed: return "passed";
    case GateCheck::State::kFailed: return "failed";
    case GateCheck::State::kNotReached: return "not reached";
  }
  return "";
}

std::string_view to_string(GateOutcome outcome) {
  switch (outcome) {
    case GateOutcome::kPassed: return "passed";
    case GateOutcome::kRefused: return "refused";
    case GateOutcome::kNotEnoughData: return "not_enough_data";
    case GateOutcome::kStopped: return "stopped";
  }
  return "";
}

std::string_view to_string(GateRuling ruling) {
  switch (ruling) {
    case GateRuling::kPromote: return "promote";
    case GateRuling::kKeepChampion: return "keep_champion";
    case GateRuling::kWait: return "wait";
  }
  return "";
}

const GateCheck* GateReport::failed() const noexcept {
  const auto found = std::ranges::find(checks, GateCheck::State::kFailed, &GateCheck::state);
  return found == checks.end() ? nullptr : &*found;
}

GateReason GateReport::reason() const noexcept {
  const GateCheck* check = failed();
  return check == nullptr ? GateReason::kNone : check->reason;
}

std::string GateReport::sentence() const {
  const GateCheck* check = failed();
  return check == nullptr ? std::string{to_string(outcome)} : check->sentence;
}

std::string gate_table(const GateReport& report) {
  const auto named = [](const std::string& version) { return version.empty() ? "-" : version; };
  std::string text =
      fmt::format("challenger {}, champion {}: {} on {} rows of {} series in {:.1f} s\n",
                  named(report.challenger), named(report.champion), to_string(report.outcome),
                  report.rows, report.series, report.seconds);
  text += fmt::format("{:<11}{:<20}{:>11}{:>11}{:>11}{:>8}  {}\n", "check", "result", "challenger",
                      "champion", "bound", "s", "");
  for (const GateCheck& check : report.checks) {
    const bool failed = check.state == GateCheck::State::kFailed;
    text += fmt::format("{:<11}{:<20}{:>11}{:>11}{:>11}{:>8.2f}  {}\n", check.name,
                        failed ? to_string(check.reason) : to_string(check.state),
                        figure_text(check.challenger), figure_text(check.champion),
                        figure_text(check.bound), check.seconds, check.sentence);
  }
  if (report.recall.empty()) return text;
  text += fmt::format("{:<31}{:>11}{:>11}{:>11}\n", "faults found", "challenger", "champion", "of");
  for (const FaultRecall& recall : report.recall) {
    text +=
        fmt::format("  {:<29}{:>11}{:>11}{:>11}\n", to_string(recall.type), recall.challenger,
                    report.champion.empty() ? "-" : std::to_string(recall.champion), recall.faults);
  }
  return text;
}

}  // namespace anomalyd::pipeline
