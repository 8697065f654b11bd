#include "daemon/runtime/retrainer.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <xxhash.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <filesystem>
#include <utility>

#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/model_loader.hpp"

namespace anomalyd::runtime {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using pipeline::LearnedGroup;
using pipeline::ShadowRuling;

namespace {

constexpr auto kSwapLimit = 30s;   // partitions have that long to come to rest
constexpr auto kKeepScorer = 60s;  // of a replaced champion: a partition may just be starting on it

/// The calibration of a version as it was when it was replaced, beside its checkpoint: the bytes
/// and their 64-bit xxHash.
fs::path state_path(fs::path checkpoint) { return checkpoint.replace_extension(".state"); }

std::string sealed(std::string bytes) {
  const XXH64_hash_t hash = XXH3_64bits(bytes.data(), bytes.size());
  return bytes.append(reinterpret_cast<const char*>(&hash), sizeof hash);
}

/// nullptr if there is none or it is damaged: the calibration in the checkpoint then has to do.
std::shared_ptr<const LearnedGroup> read_state(const fs::path& path, const ModelInfo& info) {
  constexpr std::uintmax_t kLargest = std::uintmax_t{4} << 30U;
  const auto bytes = read_whole(path, kLargest);
  if (!bytes || bytes->size() < sizeof(XXH64_hash_t)) return nullptr;
  const std::string content = bytes->substr(0, bytes->size() - sizeof(XXH64_hash_t));
  if (sealed(content) != *bytes) return nullptr;
  auto group = LearnedGroup::from_calibration(info, std::as_bytes(std::span{content}));
  return group ? *std::move(group) : nullptr;
}

}  // namespace

std::string_view to_string(Retrainer::Phase phase) {
  switch (phase) {
    case Retrainer::Phase::kIdle: return "idle";
    case Retrainer::Phase::kTraining: return "training";
    case Retrainer::Phase::kGate: return "gate";
    case Retrainer::Phase::kShadow: return "shadow";
    case Retrainer::Phase::kSwap: return "swap";
  }
  return "idle";
}

/// One challenger, from the request to its end.
struct Retrainer::Run {
  Request request;
  std::shared_ptr<const LearnedGroup> champion;
  std::map<std::string, PartitionId> partition_of;  // of the series
  std::size_t answers = 0;                          // of partitions, about that
  MonotonicTime phase_began{};
  std::shared_ptr<const LearnedGroup> challenger;
  std::vector<pipeline::Label> labels;
  pipeline::TrainingStart start = pipeline::TrainingStart::kCold;
  bool overdue = false;
};

/// Partitions come to rest one by one; then all go on with another champion, or with the same.
struct Retrainer::Swap {
  std::shared_ptr<const LearnedGroup> group;
  ModelRegistry::Promotion promotion;
  std::string event;
  std::function<void(Status)> done;
  std::vector<std::shared_ptr<PartitionTask>> tasks;
  std::size_t held = 0;
  std::unordered_map<std::string, LearnedGroup::Known> known;  // of the outgoing champion
  MonotonicTime began{};
};

Retrainer::Retrainer(Options options, Outside outside)
    : options_{std::move(options)}, outside_{std::move(outside)} {}

Retrainer::~Retrainer() = default;  // the jthread asks to stop and joins

Retrainer::Progress Retrainer::progress() const {
  const std::lock_guard lock{mutex_};
  return progress_;
}

std::shared_ptr<const LearnedGroup> Retrainer::challenger() const {
  const std::lock_guard lock{mutex_};
  return challenger_;
}

pipeline::RetrainPolicy::Past Retrainer::past(const std::string& group) const {
  if (const auto known = pasts_.find(group); known != pasts_.end()) return known->second;
  const auto of = outside_.registry.group(group);
  return of ? past_of(*of) : pipeline::RetrainPolicy::Past{};
}

void Retrainer::enter(Phase phase) {
  if (run_ != nullptr) run_->phase_began = outside_.clock.monotonic();
  const std::lock_guard lock{mutex_};
  progress_.phase = phase;
  progress_.share = 0;
}

void Retrainer::note(std::string event, std::string reason, std::string details) const {
  const Progress now = progress();
  outside_.registry.note({std::move(event), now.group, now.version, std::move(reason),
                          run_ == nullptr ? "anomalyd" : run_->request.by, std::move(details)});
}

void Retrainer::request(Request request) {
  const auto same = [&](const Request& other) { return other.group == request.group; };
  if (std::ranges::any_of(waiting_, same)) return;
  waiting_.push_back(std::move(request));
  consider();
}

void Retrainer::consider() {
  const MonotonicTime now = outside_.clock.monotonic();
  while (!replaced_.empty() && now - replaced_.front().at > kKeepScorer) {
    outside_.scoring.remove(*replaced_.front().group);
    replaced_.pop_front();
  }
  if (swap_ != nullptr) {
    if (now - swap_->began > kSwapLimit) {
      finish_swap(fail(ErrorKind::kUnavailable, "the partitions did not come to rest"));
    }
    return;
  }
  switch (progress().phase) {
    case Phase::kTraining:
    case Phase::kGate:
      if (now - run_->phase_began > options_.pipeline.retraining.training_deadline) {
        run_->overdue = true;
        thread_.request_stop();
      }
      return;
    case Phase::kShadow: return watch_shadow();
    case Phase::kSwap: return;
    case Phase::kIdle: break;
  }
  if (waiting_.empty()) return;
  Request next = std::move(waiting_.front());
  waiting_.pop_front();
  start(std::move(next));
}

/// Asks the partitions which series they have, then trains.
void Retrainer::start(Request request) {
  auto run = std::make_shared<Run>();
  run->champion = outside_.champion(request.group);
  run->labels = outside_.feedback();
  run->start = pipeline::RetrainPolicy{options_.pipeline.retraining}.start(past(request.group));
  run->request = std::move(request);
  run_ = run;
  {
    const std::lock_guard lock{mutex_};
    const Progress before = std::move(progress_);
    progress_ = {};
    progress_.group = run->request.group;
    progress_.trigger = run->request.trigger;
    progress_.runs = before.runs + 1;
    progress_.promoted = before.promoted;
    progress_.refused = before.refused;
    progress_.postponed = before.postponed;
    progress_.failed = before.failed;
  }
  enter(Phase::kTraining);
  spdlog::info("retraining the model of {}: {}", run->request.group, run->request.why);
  note("retraining", run->request.why);
  const auto begin = [this, run] {
    outside_.flush_reservoir([this, run] {
      asio::post(outside_.control, [this, run] {
        thread_ = std::jthread{[this, run](std::stop_token stop) { train(run, std::move(stop)); }};
      });
    });
  };
  const auto tasks = outside_.tasks();
  if (tasks.empty()) return begin();
  for (const auto& task : tasks) {
    task->inspect([this, run, begin, expected = tasks.size()](
                      const pipeline::PartitionPipeline& pipeline, const auto&) {
      asio::post(outside_.control, [run, begin, expected, partition = pipeline.partition(),
                                    series = pipeline.series_of(run->request.group)] {
        for (const std::string& id : series) run->partition_of.emplace(id, partition);
        if (++run->answers == expected) begin();
      });
    });
  }
}

void Retrainer::train(std::shared_ptr<Run> run, std::stop_token stop) {
  pthread_setname_np(pthread_self(), "anomalyd-retrain");
  setpriority(PRIO_PROCESS, 0, 19);  // this thread and those it starts; harmless where refused
  auto trained = std::make_shared<Result<Challenger>>(train_challenger(*run, stop));
  asio::post(outside_.control, [this, run, trained] { on_trained(run, std::move(*trained)); });
}

/// A challenger that has been through the gate and is a version of the registry.
Result<Challenger> Retrainer::train_challenger(Run& run, const std::stop_token& stop) {
  const std::string& key = run.request.group;
  auto read = ReservoirReader{outside_.reservoir}.read(
      key, {.max_series = options_.pipeline.retraining.max_series});
  if (!read) return fail(std::move(read.error()), "reading the reservoir");
  std::vector<std::vector<pipeline::JudgedRows>> series;
  for (auto& [id, chunks] : read->series) series.push_back(std::move(chunks));
  Challenge challenge;
  challenge.champion.group = run.champion;
  challenge.rows = pipeline::retraining_rows(series, run.labels, run.request.excluded,
                                             options_.pipeline, faults_for(run.champion->info));
  challenge.labels = run.labels;
  challenge.excluded = run.request.excluded;
  challenge.partition_of = run.partition_of;
  challenge.start = run.start;
  challenge.trigger = run.request.trigger;
  challenge.why = run.request.why;
  series.clear();
  auto champion =
      outside_.factory.load(outside_.registry.checkpoint_path(key, run.champion->info.version));
  if (champion) {
    challenge.champion.scorer = champion->scorer.get();
  } else {
    spdlog::warn("the champion cannot be compared with: {}", champion.error().message);
    run.start = pipeline::TrainingStart::kCold;
  }
  const auto show = [this](const TrainingProgress& progress) {
    const std::lock_guard lock{mutex_};
    progress_.stage = progress.stage;
    progress_.share = progress.share;
    progress_.loss = progress.loss;
  };
  const auto on_trained = [this](const ModelInfo& info) {
    const std::lock_guard lock{mutex_};
    progress_.phase = Phase::kGate;
    progress_.version = info.version;
  };
  auto draft = outside_.registry.begin();
  if (!draft) return Failure{std::move(draft.error())};
  auto made = make_challenger(std::move(challenge), **draft,
                              {outside_.factory, options_.pipeline, options_.gate, options_.origin,
                               outside_.clock, show, on_trained, stop});
  if (!made) return made;
  made->champion = {};  // its scorer goes with this function
  auto added = outside_.registry.add(std::move(*draft), made->manifest, run.request.by);
  if (!added) return fail(std::move(added.error()), "keeping the challenger");
  return made;
}

void Retrainer::on_trained(const std::shared_ptr<Run>& run, Result<Challenger> trained) {
  if (run_ != run) return;
  if (!trained) {
    if (run->overdue) {
      return end("failed", "training_deadline",
                 fmt::format("training took longer than {} s",
                             options_.pipeline.retraining.training_deadline.count() / 1000));
    }
    return end("failed", "training_failed", trained.error().message);
  }
  const std::string& version = trained->manifest.version;
  const pipeline::GateReport& gate = trained->report.gate;
  spdlog::info("the gate of {}:\n{}", version, gate_table(gate));
  {
    const std::lock_guard lock{mutex_};
    progress_.version = version;
    progress_.report = std::make_shared<const ChallengerReport>(trained->report);
  }
  const pipeline::GateRuling ruling = rule(gate);
  if (ruling != pipeline::GateRuling::kPromote) {
    return end(ruling == pipeline::GateRuling::kWait ? "postponed" : "refused",
               std::string{to_string(gate.reason())}, gate.sentence());
  }
  const auto now = outside_.champion(run->request.group);
  if (now != run->champion) {
    return end("refused", "champion_changed", "another version became champion meanwhile");
  }
  run->challenger = trained->group;
  outside_.scoring.install(trained->group, std::move(trained->scorer));
  const bool unproven = gate.outcome != pipeline::GateOutcome::kPassed;
  if (unproven || (options_.pipeline.retraining.promote_unfit && !run->request.unfit.empty())) {
    return replace_champion((unproven ? "not proven, without a shadow: " : "without a shadow: ") +
                            run->request.unfit);
  }
  begin_shadow();
}

/// What to do after the gate. A challenger that could not be judged for want of rows is dropped,
/// and the next one is trained when the cool-down is over; the waiting goes on from the first one.
pipeline::GateRuling Retrainer::rule(const pipeline::GateReport& report) {
  const std::string& group = run_->request.group;
  const MonotonicTime now = outside_.clock.monotonic();
  if (report.outcome != pipeline::GateOutcome::kNotEnoughData) short_of_rows_.erase(group);
  const auto since = report.outcome == pipeline::GateOutcome::kNotEnoughData
                         ? short_of_rows_.try_emplace(group, now).first->second
                         : now;
  return pipeline::rule(report, {now - since, !run_->request.unfit.empty()}, options_.gate);
}

void Retrainer::begin_shadow() {
  {
    const std::lock_guard lock{mutex_};
    challenger_ = run_->challenger;
  }
  enter(Phase::kShadow);
  note("shadow",
       fmt::format("judges {} rows beside the champion", options_.pipeline.retraining.shadow_rows));
  for (const auto& task : outside_.tasks()) {
    task->change([challenger = run_->challenger](pipeline::PartitionPipeline& pipeline) {
      pipeline.challenge(challenger);
    });
  }
}

void Retrainer::watch_shadow() {
  struct Answers {
    std::size_t expected;
    pipeline::PartitionPipeline::ShadowReport report;
  };
  const auto tasks = outside_.tasks();
  auto answers = std::make_shared<Answers>(Answers{tasks.size(), {}});
  if (tasks.empty()) return on_shadow(answers->report);
  for (const auto& task : tasks) {
    task->inspect(
        [this, run = run_, answers](const pipeline::PartitionPipeline& pipeline, const auto&) {
          asio::post(outside_.control,
                     [this, run, answers, report = pipeline.shadow_report(run->request.group)] {
                       answers->report += report;
                       if (--answers->expected > 0 || run_ != run) return;
                       if (progress().phase == Phase::kShadow && swap_ == nullptr)
                         on_shadow(answers->report);
                     });
        });
  }
}

void Retrainer::on_shadow(const pipeline::PartitionPipeline::ShadowReport& report) {
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
      outside_.clock.monotonic() - run_->phase_began);
  const LearnedGroup& challenger = *run_->challenger;
  const pipeline::Pace pace = pipeline::pace_of(challenger, options_.pipeline);
  const ShadowRuling ruling =
      pipeline::rule_shadow(report, elapsed, pace.budget_per_row, options_.pipeline.retraining);
  {
    const std::lock_guard lock{mutex_};
    progress_.share =
        std::min(1.0, static_cast<double>(report.rows) /
                          static_cast<double>(options_.pipeline.retraining.shadow_rows));
  }
  if (ruling.outcome == ShadowRuling::Outcome::kGoesOn) return;
  auto ended = std::make_shared<ChallengerReport>(*progress().report);
  ended->incidents = pipeline::incident_diff(report, pace.slack);
  const std::string sentence = fmt::format("{}; {}", ruling.sentence, to_text(*ended->incidents));
  {
    const std::lock_guard lock{mutex_};
    progress_.report = std::move(ended);
  }
  if (ruling.outcome != ShadowRuling::Outcome::kPromote) {
    return end("refused", std::string{to_string(ruling.outcome)}, sentence);
  }
  replace_champion(sentence);
}

void Retrainer::replace_champion(const std::string& why) {
  enter(Phase::kSwap);
  begin_swap(run_->challenger, {why, run_->request.by, {}}, "promoted", [this, why](Status status) {
    if (run_ == nullptr) return;
    if (status) return end("promoted", "", why);
    end("failed", "swap_failed", status.error().message);
  });
}

/// Ends the run, whatever came of it; the challenger judges no more unless it is the champion now.
void Retrainer::end(std::string outcome, std::string reason, std::string sentence) {
  const std::shared_ptr<Run> run = run_;
  if (run->challenger != nullptr && outcome != "promoted") {
    for (const auto& task : outside_.tasks()) {
      task->change([key = run->request.group](pipeline::PartitionPipeline& pipeline) {
        pipeline.dismiss(key);
      });
    }
    replaced_.push_back({run->challenger, outside_.clock.monotonic()});
  }
  pasts_[run->request.group] = pipeline::RetrainPolicy::after(
      past(run->request.group), {.end = outside_.clock.wall(),
                                 .start = run->start,
                                 .promoted = outcome == "promoted",
                                 .normal_rows = run->request.normal_rows});
  {
    const std::lock_guard lock{mutex_};
    challenger_ = nullptr;
    progress_.phase = Phase::kIdle;
    progress_.outcome = outcome;
    progress_.reason = reason;
    progress_.sentence = sentence;
    progress_.promoted += outcome == "promoted" ? 1 : 0;
    progress_.refused += outcome == "refused" ? 1 : 0;
    progress_.postponed += outcome == "postponed" ? 1 : 0;
    progress_.failed += outcome == "failed" ? 1 : 0;
  }
  spdlog::info("retraining the model of {}: {}{}{}; {}", run->request.group, outcome,
               reason.empty() ? "" : ", ", reason, sentence);
  if (outcome != "promoted") note(outcome, reason + ": " + sentence);
  if (const auto kept =
          outside_.registry.keep(run->request.group, options_.pipeline.retraining.keep_versions);
      !kept) {
    spdlog::error("{}", kept.error().message);
  }
  run_ = nullptr;
}

void Retrainer::on_challenger_failed(const Error& error) {
  asio::post(outside_.control, [this, message = error.message] {
    if (run_ == nullptr || progress().phase != Phase::kShadow || swap_ != nullptr) return;
    end("refused", "scoring_failed", message);
  });
}

void Retrainer::promote(const std::string& group, const std::string& version,
                        ModelRegistry::Promotion promotion, std::string event,
                        std::function<void(Status)> done) {
  asio::post(outside_.disk, [this, group, version, promotion = std::move(promotion),
                             event = std::move(event), done = std::move(done)]() mutable {
    const auto load = [&]() -> Result<ServiceableModel> {
      const auto of = outside_.registry.group(group);
      if (!of) return Failure{of.error()};
      auto model = load_version(outside_.registry, outside_.factory, *of, version);
      if (!model) return model;
      const fs::path path = outside_.registry.checkpoint_path(group, version);
      if (auto as_it_was = read_state(state_path(path), model->scorer->info())) {
        model->group = std::move(as_it_was);
      }
      return model;
    };
    auto loaded = std::make_shared<decltype(load())>(load());
    asio::post(outside_.control, [this, loaded, group, version, promotion = std::move(promotion),
                                  event = std::move(event), done = std::move(done)]() mutable {
      if (!*loaded) {
        outside_.registry.note(
            {"refused", group, version, loaded->error().message, promotion.by, ""});
        return done(Failure{loaded->error()});
      }
      if (swap_ != nullptr) return done(fail(ErrorKind::kUnavailable, "another swap is under way"));
      ServiceableModel& model = **loaded;
      if (run_ != nullptr && progress().phase == Phase::kShadow) {
        end("refused", "champion_changed", "another version was made champion by hand");
      }
      outside_.scoring.install(model.group, std::move(model.scorer));
      begin_swap(model.group, std::move(promotion), std::move(event), std::move(done));
    });
  });
}

void Retrainer::begin_swap(std::shared_ptr<const LearnedGroup> group,
                           ModelRegistry::Promotion promotion, std::string event,
                           std::function<void(Status)> done) {
  auto swap = std::make_shared<Swap>();
  swap->group = std::move(group);
  swap->promotion = std::move(promotion);
  swap->event = std::move(event);
  swap->done = std::move(done);
  swap->tasks = outside_.tasks();
  swap->began = outside_.clock.monotonic();
  swap_ = swap;
  if (swap->tasks.empty()) return finish_swap({});
  const std::string key = pipeline::group_key(swap->group->info.channels);
  for (const auto& task : swap->tasks) {
    task->hold([this, swap, key](std::optional<Offset> offset,
                                 const pipeline::PartitionPipeline& pipeline) {
      asio::post(outside_.control, [this, swap, offset, partition = pipeline.partition(),
                                    known = pipeline.known_series(key)]() mutable {
        if (swap_ != swap) return;  // it took too long, and all went on
        if (offset) swap->promotion.since.push_back({partition, *offset});
        swap->known.merge(known);
        if (++swap->held == swap->tasks.size()) finish_swap({});
      });
    });
  }
}

/// Moves the champion on disk, if all is well, and lets the partitions go on.
void Retrainer::finish_swap(Status status) {
  const std::shared_ptr<Swap> swap = std::exchange(swap_, nullptr);
  const std::string key = pipeline::group_key(swap->group->info.channels);
  const auto outgoing = outside_.champion(key);
  if (status) {
    auto promoted =
        outside_.registry.promote(key, swap->group->info.version, swap->promotion, swap->event);
    if (!promoted) status = Failure{std::move(promoted.error())};
  }
  if (status) outside_.on_champion(swap->group);
  for (const auto& task : swap->tasks) task->go_on(status ? swap->group : nullptr);
  for (const auto& task : outside_.tasks()) {  // those that came meanwhile
    if (status && std::ranges::find(swap->tasks, task) == swap->tasks.end()) {
      task->install(swap->group);
    }
  }
  const auto now = outside_.clock.monotonic();
  if (!status) {
    replaced_.push_back({swap->group, now});
  } else if (outgoing != nullptr) {
    replaced_.push_back({outgoing, now});
    keep_state(*outgoing, std::move(swap->known));
  }
  swap->done(std::move(status));
}

/// So that a rollback finds the thresholds as they were.
void Retrainer::keep_state(const LearnedGroup& outgoing,
                           std::unordered_map<std::string, LearnedGroup::Known> known) {
  auto state = std::make_shared<LearnedGroup>();
  state->info = outgoing.info;
  state->pooled = outgoing.pooled;
  state->pooled_memory = outgoing.pooled_memory;
  state->series = std::move(known);
  const std::string key = pipeline::group_key(outgoing.info.channels);
  asio::post(outside_.disk, [state, path = state_path(outside_.registry.checkpoint_path(
                                        key, outgoing.info.version))] {
    const std::vector<std::byte> bytes = state->calibration();
    const auto written =
        write_durably(path, sealed({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    if (!written)
      spdlog::error("keeping the thresholds of {}: {}", state->info.version,
                    written.error().message);
  });
}

}  // namespace anomalyd::runtime
