#include "daemon/pipeline/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "daemon/pipeline/gate_statistics.hpp"
#include "daemon/pipeline/gate_trial.hpp"

namespace anomalyd::pipeline {
namespace {

using State = GateCheck::State;

constexpr std::size_t kLeastCalibrationRows = 200;  // with fewer a tail is hardly more than a guess
constexpr double kMostResting = 0.5;        // of the cells that move, that rested while learning
constexpr double kConstantMargin = 1.25;    // a loss without a champion, in that of a constant
constexpr double kLearnedLittle = 0.95;     // of that of a constant: nothing to speak of
constexpr double kMostConditionRows = 0.1;  // of all; a few incidents are an onset each
constexpr double kLeastRecall = 0.05;       // without a champion; chance alone finds under 1 %
constexpr std::size_t kLeastFaults = 8;     // that a recall is told of

constexpr std::string_view kNames[] = {"load", "shape",      "training", "rows",
                                       "loss", "alert_rate", "recall"};

/// What a check found: nothing to object to, or why not.
struct Finding {
  GateReason reason = GateReason::kNone;
  std::string sentence{};
  std::string_view figure{};
  std::optional<double> challenger{};
  std::optional<double> champion{};
  std::optional<double> bound{};
};

class Examiner {
 public:
  Examiner(const Candidate* champion, const UnseenBlock& block, const GateContext& context)
      : champion_{champion}, block_{block}, context_{context}, began_{context.clock.monotonic()} {
    for (const std::string_view name : kNames) report_.checks.push_back({.name = name});
    if (champion_ != nullptr) report_.champion = champion_->group->info.version;
  }

  GateReport finish() {
    report_.seconds = since(began_);
    return std::move(report_);
  }

  /// The check `load`. False if the examination is over.
  bool load(const StoredChallenger& stored, ModelFactory& factory, Examination& result);
  void skip_load() {
    report_.checks[0].state = State::kPassed;
    report_.checks[0].sentence = "it is in memory";
  }
  /// All the others.
  void examine(const Candidate& challenger);

 private:
  [[nodiscard]] double since(MonotonicTime time) const {
    return std::chrono::duration<double>(context_.clock.monotonic() - time).count();
  }
  /// Runs a check within its time and takes down what it found. False if it failed.
  bool check(std::size_t index, std::chrono::milliseconds limit,
             const std::function<Finding()>& finding);
  [[nodiscard]] Status may_go_on() const;
  /// What the failure of a replay means.
  [[nodiscard]] Finding refusal(const Error& error) const;

  [[nodiscard]] Finding read(const StoredChallenger& stored, ModelFactory& factory,
                             Examination& result) const;
  [[nodiscard]] Finding shape(const Candidate& challenger);
  [[nodiscard]] Finding training(const Candidate& challenger) const;
  [[nodiscard]] Finding enough_rows() const;
  [[nodiscard]] Finding loss();
  [[nodiscard]] Finding loss_without_champion() const;
  [[nodiscard]] Finding why_worse(Finding finding) const;
  [[nodiscard]] Finding alert_rate() const;
  [[nodiscard]] Finding recall();

  /// How the challenger's loss compares with that of the best constant, for members that expect
  /// values.
  [[nodiscard]] LossRatio against_constant() const;
  [[nodiscard]] std::vector<PairedLosses> paired(const std::vector<std::size_t>& challenger,
                                                 const std::vector<std::size_t>& champion,
                                                 bool without_bias) const;
  [[nodiscard]] bool recalls(std::size_t member) const {
    return std::ranges::find(trial_->model().recalling, member) != trial_->model().recalling.end();
  }

  const Candidate* champion_;
  const UnseenBlock& block_;
  const GateContext& context_;
  MonotonicTime began_;
  MonotonicTime limit_{};  // of the present check
  GateReport report_;
  GateRows rows_;
  std::optional<GateTrial> trial_;
  std::optional<GateTrial> champion_trial_;
};

bool Examiner::check(std::size_t index, std::chrono::milliseconds limit,
                     const std::function<Finding()>& finding) {
  GateCheck& check = report_.checks[index];
  const MonotonicTime start = context_.clock.monotonic();
  limit_ = start + limit;
  Finding found = finding();
  check.seconds = since(start);
  if (found.reason == GateReason::kNone && context_.clock.monotonic() > limit_) {
    found.reason = GateReason::kTooSlow;
  }
  if (context_.stop.stop_requested()) {
    report_.outcome = GateOutcome::kStopped;
    return false;
  }
  if (found.reason == GateReason::kTooSlow) {
    found.sentence = fmt::format("it took {:.1f} s; expected at most {:.1f} s", check.seconds,
                                 std::chrono::duration<double>(limit).count());
  }
  check.state = found.reason == GateReason::kNone ? State::kPassed : State::kFailed;
  check.reason = found.reason;
  check.figure = found.figure;
  check.challenger = found.challenger;
  check.champion = found.champion;
  check.bound = found.bound;
  check.sentence = std::move(found.sentence);
  if (check.state == State::kPassed) return true;
  report_.outcome = found.reason == GateReason::kTooFewUnseenRows ? GateOutcome::kNotEnoughData
                                                                  : GateOutcome::kRefused;
  return false;
}

Status Examiner::may_go_on() const {
  if (context_.stop.stop_requested()) return fail(ErrorKind::kCancelled, "stopped");
  if (context_.clock.monotonic() > limit_) return fail(ErrorKind::kCancelled, "too slow");
  return {};
}

Finding Examiner::refusal(const Error& error) const {
  if (error.kind == ErrorKind::kCancelled) return {GateReason::kTooSlow};
  return {
      error.kind == ErrorKind::kIncompatible ? GateReason::kWrongShape : GateReason::kScoringFailed,
      error.message};
}

bool Examiner::load(const StoredChallenger& stored, ModelFactory& factory, Examination& result) {
  return check(0, context_.gate.load_limit, [&] { return read(stored, factory, result); });
}

Finding Examiner::read(const StoredChallenger& stored, ModelFactory& factory,
                       Examination& result) const {
  const std::string name = stored.path.filename().string();
  Finding finding{.figure = "bytes",
                  .challenger = static_cast<double>(stored.bytes),
                  .bound = static_cast<double>(context_.gate.max_bytes)};
  const auto refuse = [&](GateReason reason, std::string sentence) {
    finding.reason = reason;
    finding.sentence = std::move(sentence);
    return finding;
  };
  if (stored.bytes > context_.gate.max_bytes) {
    return refuse(GateReason::kTooLarge, fmt::format("{}: found {} bytes; expected at most {}",
                                                     name, stored.bytes, context_.gate.max_bytes));
  }
  if (stored.written_bytes && stored.bytes != *stored.written_bytes) {
    return refuse(GateReason::kTruncated, fmt::format("{}: found {} bytes; expected {} as written",
                                                      name, stored.bytes, *stored.written_bytes));
  }
  if (!stored.digest.empty() && !stored.written_digest.empty() &&
      stored.digest != stored.written_digest) {
    return refuse(GateReason::kDamaged,
                  fmt::format("{}: found digest {:.12}; expected {:.12} as written", name,
                              stored.digest, stored.written_digest));
  }
  auto loaded = factory.load(stored.path);
  if (!loaded) {
    switch (loaded.error().kind) {
      case ErrorKind::kIncompatible:
        return refuse(GateReason::kIncompatible, std::move(loaded.error().message));
      case ErrorKind::kNotFinite:
        return refuse(GateReason::kNotFinite, std::move(loaded.error().message));
      case ErrorKind::kExhausted:
        return refuse(GateReason::kTooLarge, std::move(loaded.error().message));
      default: return refuse(GateReason::kUnreadable, std::move(loaded.error().message));
    }
  }
  auto group = LearnedGroup::from_calibration(loaded->scorer->info(), loaded->extras.calibration);
  if (!group) return refuse(GateReason::kBadCalibration, std::move(group.error().message));
  result.scorer = std::move(loaded->scorer);
  result.group = *std::move(group);
  finding.sentence = fmt::format("{}: read back whole", name);
  return finding;
}

void Examiner::examine(const Candidate& challenger) {
  report_.challenger = challenger.group->info.version;
  const auto limit = context_.gate.check_limit;
  const bool passed =
      check(1, limit, [&] { return shape(challenger); }) &&
      check(2, limit, [&] { return training(challenger); }) &&
      check(3, limit, [&] { return enough_rows(); }) && check(4, limit, [&] { return loss(); }) &&
      check(5, limit, [&] { return alert_rate(); }) && check(6, limit, [&] { return recall(); });
  if (passed) report_.outcome = GateOutcome::kPassed;
}

Finding Examiner::shape(const Candidate& challenger) {
  const ModelInfo& info = challenger.group->info;
  const auto names = [](const std::vector<Channel>& channels) {
    std::string text;
    for (const Channel& channel : channels) text += (text.empty() ? "" : ", ") + channel.name;
    return text;
  };
  if (!std::ranges::equal(info.channels, block_.channels, {}, &Channel::name, &Channel::name)) {
    return {GateReason::kOtherSchema, fmt::format("channels: found {}; expected {}",
                                                  names(info.channels), names(block_.channels))};
  }
  std::size_t lost = 0;
  for (const History& history : block_.histories) {
    if (champion_ == nullptr || champion_->group->find(history.series) == nullptr) continue;
    lost += challenger.group->find(history.series) == nullptr ? 1 : 0;
  }
  if (lost > 0) {
    return {
        GateReason::kLostSeries,
        fmt::format("{} series that the champion knows are unknown to it; expected none", lost)};
  }
  rows_ = choose_rows(*challenger.group, champion_ == nullptr ? nullptr : champion_->group.get(),
                      block_, context_.pipeline, context_.gate);
  report_.series = rows_.series.size();
  trial_.emplace(challenger, rows_, context_.pipeline);
  if (champion_ != nullptr) champion_trial_.emplace(*champion_, rows_, context_.pipeline);
  if (const Status status = trial_->probe([this] { return may_go_on(); }); !status) {
    return refusal(status.error());
  }
  if (trial_->saw_bad_values()) {
    return {GateReason::kNotFinite, "found residuals that are not finite; expected numbers"};
  }
  return {.sentence = fmt::format("{} channels, {} members, finite residuals", info.channels.size(),
                                  info.members.size())};
}

Finding Examiner::training(const Candidate& challenger) const {
  std::vector<std::size_t> calibrated;
  double moving = 0, rested = 0, rested_for_champion = 0;
  for (const auto& [rows, scaler, warm] : rows_.series) {
    const auto& track = challenger.group->find(rows.series)->track;
    calibrated.push_back(track.detector.calibration_rows());
    const DataFaults now{rows.rows, rows.width, context_.pipeline.faults};
    for (std::size_t c = 0; c < rows.width; ++c) {
      if (now.rests_by_nature(c)) continue;
      moving += 1;
      rested += track.faults.rests_by_nature(c) ? 1 : 0;
      if (champion_ == nullptr) continue;
      const auto& other = champion_->group->find(rows.series)->track;
      rested_for_champion += other.faults.rests_by_nature(c) ? 1 : 0;
    }
  }
  if (calibrated.empty()) return {};
  const auto& training = context_.pipeline.training;
  const auto least =
      std::min(kLeastCalibrationRows, static_cast<std::size_t>(0.5 * training.calibration_share *
                                                               static_cast<double>(training.rows)));
  const auto middle = calibrated.begin() + static_cast<std::ptrdiff_t>(calibrated.size() / 2);
  std::ranges::nth_element(calibrated, middle);
  Finding finding{.figure = "rows of calibration, median over series",
                  .challenger = static_cast<double>(*middle),
                  .bound = static_cast<double>(least)};
  finding.sentence = fmt::format("calibrated on {} rows of each series", *middle);
  if (*middle < least) {
    finding.reason = GateReason::kTooFewRows;
    finding.sentence += fmt::format("; expected at least {}", least);
  } else if (moving > 0 && rested > kMostResting * moving &&
             rested_for_champion <= kMostResting * moving) {
    finding.reason = GateReason::kConstant;
    finding.sentence =
        fmt::format("{:.0f} of {:.0f} channels that move now rested in the rows it was trained on",
                    rested, moving);
  }
  return finding;
}

Finding Examiner::enough_rows() const {
  Finding finding{.figure = "unseen rows",
                  .challenger = static_cast<double>(rows_.judged),
                  .bound = static_cast<double>(context_.gate.min_rows)};
  finding.sentence =
      fmt::format("{} rows of {} series, unseen by either", rows_.judged, rows_.series.size());
  if (rows_.judged < context_.gate.min_rows) {
    finding.reason = GateReason::kTooFewUnseenRows;
    finding.sentence += fmt::format("; expected at least {}", context_.gate.min_rows);
  }
  return finding;
}

std::vector<PairedLosses> Examiner::paired(const std::vector<std::size_t>& challenger,
                                           const std::vector<std::size_t>& champion,
                                           bool without_bias) const {
  std::vector<PairedLosses> all;
  const std::size_t channels = block_.channels.size();
  const std::size_t stride = challenger.size() * channels;
  for (std::size_t s = 0; s < rows_.series.size(); ++s) {
    PairedLosses losses{challenger.size(), channels, trial_->residuals(s, challenger, *champion_),
                        champion_trial_->residuals(s, champion, *champion_)};
    for (std::size_t cell = 0; without_bias && cell < stride; ++cell) {
      std::vector<float> values;
      for (std::size_t i = cell; i < losses.challenger.size(); i += stride) {
        if (!std::isnan(losses.challenger[i])) values.push_back(losses.challenger[i]);
      }
      if (values.empty()) continue;
      const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
      std::ranges::nth_element(values, middle);
      for (std::size_t i = cell; i < losses.challenger.size(); i += stride) {
        losses.challenger[i] -= *middle;
      }
    }
    for (float& value : losses.challenger) value = std::abs(value);
    for (float& value : losses.champion) value = std::abs(value);
    all.push_back(std::move(losses));
  }
  return all;
}

LossRatio Examiner::against_constant() const {
  std::vector<std::size_t> members;
  for (std::size_t m = 0; m < trial_->model().members.size(); ++m) {
    if (!recalls(m)) members.push_back(m);
  }
  if (members.empty()) return {};
  const std::size_t channels = block_.channels.size();
  std::vector<PairedLosses> all;
  for (std::size_t s = 0; s < rows_.series.size(); ++s) {
    const auto& [rows, scaler, warm] = rows_.series[s];
    PairedLosses losses{
        members.size(), channels, trial_->residuals(s, members, trial_->candidate()), {}};
    losses.champion.assign(losses.challenger.size(), NAN);
    for (float& value : losses.challenger) value = std::abs(value);
    const Scaler& unit = trial_->candidate().group->find(rows.series)->track.scaler;
    for (std::size_t c = 0; c < channels; ++c) {
      if (unit.is_counter(c)) continue;  // no constant rate is worth comparing with
      std::vector<double> values;
      for (std::size_t i = c; i < rows.rows.size(); i += channels) {
        if (!std::isnan(rows.rows[i])) values.push_back(rows.rows[i]);
      }
      if (values.empty()) continue;
      const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
      std::ranges::nth_element(values, middle);
      const double scale = unit.restore(c, 1) - unit.restore(c, 0);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const double off = std::abs(rows.rows[i * channels + c] - *middle) / scale;
        for (std::size_t m = 0; m < members.size(); ++m) {
          losses.champion[(i * members.size() + m) * channels + c] = static_cast<float>(off);
        }
      }
    }
    all.push_back(std::move(losses));
  }
  return compare_losses(all, context_.gate.confidence, context_.gate.seed);
}

Finding Examiner::loss() {
  const auto go_on = [this] { return may_go_on(); };
  if (const Status status = trial_->run(go_on); !status) return refusal(status.error());
  if (trial_->saw_bad_values()) {
    return {GateReason::kNotFinite, "found residuals that are not finite; expected numbers"};
  }
  report_.rows = trial_->judged_rows();
  if (champion_ == nullptr) return loss_without_champion();
  if (const Status status = champion_trial_->run(go_on); !status) {
    // No fault of the challenger: it is not compared with a champion that cannot score.
    return {.sentence = "the champion could not score the rows: " + status.error().message};
  }

  // Members of one name are alike; a reconstruction and a prediction are not to be compared.
  std::vector<std::size_t> ours, theirs;
  for (std::size_t m = 0; m < trial_->model().members.size(); ++m) {
    const auto& others = champion_trial_->model().members;
    const auto same = std::ranges::find(others, trial_->model().members[m]);
    if (same == others.end()) continue;
    ours.push_back(m);
    theirs.push_back(static_cast<std::size_t>(same - others.begin()));
  }
  const LossRatio ratio =
      compare_losses(paired(ours, theirs, false), context_.gate.confidence, context_.gate.seed);
  if (ratio.rows == 0) {
    return {.sentence = "nothing to compare: the two have no member in common"};
  }
  report_.rows = ratio.rows;
  if (ratio.rows < context_.gate.min_rows / 2) {
    return {GateReason::kTooFewUnseenRows,
            fmt::format("{} rows that both could judge; expected at least {}", ratio.rows,
                        context_.gate.min_rows / 2)};
  }
  const double bound = 1 + context_.gate.loss_margin;
  Finding finding{.figure = "loss, the champion's is 1",
                  .challenger = ratio.ratio,
                  .champion = 1,
                  .bound = bound};
  finding.sentence = fmt::format(
      "{:.3f} of the champion's, {:.3f} to {:.3f} with {:.4g} % confidence, over {} of "
      "{} members",
      ratio.ratio, ratio.low, ratio.high, 100 * context_.gate.confidence, ours.size(),
      trial_->model().members.size());
  return ratio.low > bound ? why_worse(std::move(finding)) : finding;
}

Finding Examiner::loss_without_champion() const {
  const LossRatio ratio = against_constant();
  if (ratio.rows == 0) return {.sentence = "nothing to compare: it expects no values"};
  Finding finding{.figure = "loss, that of a constant is 1",
                  .challenger = ratio.ratio,
                  .bound = kConstantMargin};
  finding.sentence =
      fmt::format("{:.3f} of that of the best constant; there is no champion", ratio.ratio);
  if (ratio.low > kConstantMargin) finding.reason = GateReason::kLearnedNothing;
  return finding;
}

Finding Examiner::why_worse(Finding finding) const {
  finding.reason = GateReason::kWorseLoss;
  std::vector<std::size_t> ours, theirs;
  for (std::size_t m = 0; m < trial_->model().members.size(); ++m) {
    const auto& others = champion_trial_->model().members;
    const auto same = std::ranges::find(others, trial_->model().members[m]);
    if (same == others.end() || recalls(m)) continue;
    ours.push_back(m);
    theirs.push_back(static_cast<std::size_t>(same - others.begin()));
  }
  if (ours.empty()) return finding;
  const auto& gate = context_.gate;
  const LossRatio biased = compare_losses(paired(ours, theirs, false), gate.confidence, gate.seed);
  const LossRatio centred = compare_losses(paired(ours, theirs, true), gate.confidence, gate.seed);
  if (biased.ratio > 1 + gate.loss_margin && centred.ratio - 1 < 0.5 * (biased.ratio - 1)) {
    finding.reason = GateReason::kOtherLevel;
    finding.sentence += fmt::format("; without its constant error {:.3f} instead of {:.3f}",
                                    centred.ratio, biased.ratio);
    return finding;
  }
  const LossRatio constant = against_constant();
  const auto idle = static_cast<std::size_t>(std::ranges::count_if(
      constant.by_member, [](double ratio) { return ratio >= kLearnedLittle; }));
  if (constant.rows > 0 && 2 * idle >= constant.by_member.size()) {
    finding.reason = GateReason::kLearnedNothing;
    finding.sentence += fmt::format("; {} of {} members expect no more than a constant does", idle,
                                    constant.by_member.size());
  }
  return finding;
}

Finding Examiner::alert_rate() const {
  const double allowed = context_.gate.budget_multiple * trial_->budget();
  std::size_t bound = poisson_bound(allowed, context_.gate.confidence);
  Finding finding{.figure = "alerts on normal rows",
                  .challenger = static_cast<double>(trial_->onsets())};
  double most_busy = kMostConditionRows;
  const auto share = [](const GateTrial& trial) {
    return static_cast<double>(trial.condition_rows()) /
           static_cast<double>(std::max<std::size_t>(1, trial.judged_rows()));
  };
  if (champion_trial_ && champion_trial_->judged_rows() > 0) {
    // The rows may be less normal than they should be; then they are so for both.
    finding.champion = static_cast<double>(champion_trial_->onsets());
    bound = std::max(bound, champion_trial_->onsets());
    most_busy = std::max(most_busy, 2 * share(*champion_trial_));
  }
  finding.bound = static_cast<double>(bound);
  const double busy = share(*trial_);
  finding.sentence =
      fmt::format("{} alerts in {} rows, {:.2g} % of them abnormal; the budget is {:.2g}",
                  trial_->onsets(), trial_->judged_rows(), 100 * busy, trial_->budget());
  if (trial_->onsets() > bound) {
    finding.reason = GateReason::kAlarmHappy;
    finding.sentence += fmt::format(", expected at most {}", bound);
  } else if (busy > most_busy) {
    finding.reason = GateReason::kAlarmHappy;
    finding.sentence += fmt::format(", expected at most {:.2g} % abnormal", 100 * most_busy);
  }
  return finding;
}

Finding Examiner::recall() {
  const auto go_on = [this] { return may_go_on(); };
  if (const Status status = trial_->run_faults(go_on); !status) return refusal(status.error());
  const bool compares = champion_trial_ && champion_trial_->judged_rows() > 0;
  if (compares) {
    if (const Status status = champion_trial_->run_faults(go_on); !status) {
      return {.sentence = "the champion could not score the faults: " + status.error().message};
    }
  }
  struct Counts {
    std::size_t faults = 0, ours = 0, theirs = 0, worse = 0, better = 0;

    void add(bool we, bool they) {
      ++faults;
      ours += we ? 1 : 0;
      theirs += they ? 1 : 0;
      worse += they && !we ? 1 : 0;
      better += we && !they ? 1 : 0;
    }
    [[nodiscard]] double lead() const {
      return (static_cast<double>(theirs) - static_cast<double>(ours)) /
             static_cast<double>(std::max<std::size_t>(1, faults));
    }
  };
  Counts all;
  std::array<Counts, kFaultTypes.size()> by_type{};
  for (std::size_t i = 0; i < rows_.faults.size(); ++i) {
    const auto& fault = rows_.faults[i];
    if (!trial_->is_quiet_around(fault)) continue;
    if (compares && !champion_trial_->is_quiet_around(fault)) continue;
    const bool we = trial_->found(i), they = compares && champion_trial_->found(i);
    all.add(we, they);
    by_type[static_cast<std::size_t>(fault.fault.type)].add(we, they);
  }
  for (const FaultType type : kFaultTypes) {
    const Counts& counts = by_type[static_cast<std::size_t>(type)];
    if (counts.faults > 0) {
      report_.recall.push_back({type, counts.faults, counts.ours, counts.theirs});
    }
  }
  if (all.faults < kLeastFaults) {
    return {.sentence =
                fmt::format("only {} faults could be injected: nothing to compare", all.faults)};
  }
  const auto faults = static_cast<double>(all.faults);
  Finding finding{.figure = "injected faults found",
                  .challenger = static_cast<double>(all.ours) / faults};
  finding.sentence = fmt::format("{} of {} faults", all.ours, all.faults);
  if (!compares) {
    finding.bound = kLeastRecall;
    if (*finding.challenger < kLeastRecall) finding.reason = GateReason::kBlind;
    return finding;
  }
  const double margin = context_.gate.recall_margin, chance = 1 - context_.gate.confidence;
  finding.champion = static_cast<double>(all.theirs) / faults;
  finding.bound = *finding.champion - margin;
  finding.sentence += fmt::format(", the champion {}", all.theirs);
  if (all.lead() > margin && sign_test(all.worse, all.better) < chance) {
    finding.reason = GateReason::kLowerRecall;
    return finding;
  }
  for (const FaultType type : kFaultTypes) {
    const Counts& counts = by_type[static_cast<std::size_t>(type)];
    if (counts.lead() <= margin) continue;
    if (sign_test(counts.worse, counts.better) >= chance / kFaultTypes.size()) continue;
    finding.reason = GateReason::kLowerRecall;
    finding.sentence += fmt::format("; of {}, {} where the champion found {} of {}",
                                    to_string(type), counts.ours, counts.theirs, counts.faults);
  }
  return finding;
}

}  // namespace

Examination examine(const StoredChallenger& challenger, ModelFactory& factory,
                    const Candidate* champion, const UnseenBlock& block,
                    const GateContext& context) {
  Examination result;
  Examiner examiner{champion, block, context};
  if (examiner.load(challenger, factory, result)) {
    examiner.examine({result.scorer.get(), result.group});
  }
  result.report = examiner.finish();
  return result;
}

GateReport examine(const Candidate& challenger, const Candidate* champion, const UnseenBlock& block,
                   const GateContext& context) {
  Examiner examiner{champion, block, context};
  examiner.skip_load();
  examiner.examine(challenger);
  return examiner.finish();
}

GateRuling rule(const GateReport& report, const GateSituation& situation,
                const GateOptions& options) {
  switch (report.outcome) {
    case GateOutcome::kPassed: return GateRuling::kPromote;
    case GateOutcome::kRefused:
    case GateOutcome::kStopped: return GateRuling::kKeepChampion;
    case GateOutcome::kNotEnoughData: break;
  }
  if (situation.waited < options.data_limit) return GateRuling::kWait;
  return situation.champion_unfit && options.promote_unproven ? GateRuling::kPromote
                                                              : GateRuling::kKeepChampion;
}

}  // namespace anomalyd::pipeline
