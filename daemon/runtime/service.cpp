#include "daemon/runtime/service.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdlib>
#include <future>
#include <utility>

#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/systemd.hpp"

namespace anomalyd::runtime {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto kStall = 15s;  // a thread with work to do that has not moved for this long is stuck

std::size_t pool_threads(std::size_t asked) {
  if (asked > 0) return asked;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8);
}

}  // namespace

Result<std::unique_ptr<Service>> Service::create(Options options,
                                                 const pipeline::PipelineOptions& pipeline_options,
                                                 Parts parts, Clock& clock) {
  auto store = open_store(options, std::move(parts.lock), parts.audit.get(), clock);
  if (!store) return fail(std::move(store.error()), "opening the state folder");
  pipeline::PipelineOptions recording = pipeline_options;
  recording.training.record = recording.retraining.enabled;
  std::unique_ptr<Service> service{
      new Service{std::move(options), recording, std::move(parts), std::move(*store), clock}};
  service->make_retrainer();
  if (auto loaded = service->load_models(); !loaded) return Failure{std::move(loaded.error())};
  if (!service->options_.http.listen.empty()) {
    auto admin = AdminServer::listen(service->control_, service->options_.http, service->routes());
    if (!admin) return Failure{std::move(admin.error())};
    service->admin_ = std::move(*admin);
    spdlog::info("HTTP on {}", service->http_address());
    if (auto said = service->store_.lock->announce(service->http_address()); !said) {
      return Failure{std::move(said.error())};
    }
  }
  return service;
}

AdminServer::Routes Service::routes() {
  const auto health = [](bool good, const std::string& line) {
    return AdminServer::Page{good ? 200U : 503U, "text/plain; charset=utf-8", line + "\n"};
  };
  AdminServer::Routes routes = model_routes(model_control(pipeline::Trigger::kCommand));
  routes.pages["/healthz"] = [this, health] {
    const ServiceStatus now = status();
    return health(now.progressing, now.line());
  };
  routes.pages["/readyz"] = [this, health] {
    const ServiceStatus now = status();
    return health(now.phase == ServiceStatus::Phase::kReady, now.line());
  };
  routes.pages["/status"] = [this] {
    return AdminServer::Page{200, "application/json", status().json()};
  };
  routes.pages["/metrics"] = [this] {
    return AdminServer::Page{200, "text/plain; version=0.0.4; charset=utf-8",
                             metrics_.render(status())};
  };
  return routes;
}

Service::Service(Options options, const pipeline::PipelineOptions& pipeline_options, Parts parts,
                 Store store, Clock& clock)
    : options_{std::move(options)},
      pipeline_options_{pipeline_options},
      parts_{std::move(parts)},
      store_{std::move(store)},
      clock_{clock},
      started_{clock.monotonic()},
      signals_{control_, SIGTERM, SIGINT},
      status_timer_{control_},
      snapshot_timer_{control_},
      pool_{pool_threads(options_.threads)},
      disk_{1} {
  ScoringLoop::Events events;
  events.on_batch = [this](std::size_t windows, double seconds) {
    metrics_.on_batch(windows, seconds);
  };
  events.on_degraded = [this](const std::string& message) {
    if (message.empty())
      spdlog::info("the device is back; models have moved to it again");
    else
      spdlog::error("the device is lost, models go on on the CPU: {}", message);
    const std::lock_guard lock{mutex_};
    status_.device_trouble = message;
  };
  scoring_ = std::make_unique<ScoringLoop>(options_.batch, clock_, std::move(events));

  Learner::Outside learner{control_, *parts_.models, clock_, *store_.models, options_.origin, {},
                           {}};
  learner.on_model = [this](auto group, auto scorer, const TrainingReport& report) {
    spdlog::info("model {} {} is trained: {} windows, {:.1f} s; {} series calibrated",
                 group->info.kind, group->info.version, report.windows, report.seconds,
                 group->series.size());
    for (const std::string& note : report.notes)
      spdlog::info("model {}: {}", group->info.version, note);
    delete_old_versions(pipeline::group_key(group->info.channels));
    adopt(std::move(group), std::move(scorer));
  };
  learner.on_failure = [this](const Error& error) { note_error(error); };
  learner_ = std::make_unique<Learner>(pipeline_options_, std::move(learner));
  self_tester_ = std::make_unique<SelfTester>(
      pipeline_options_, options_.self_test,
      SelfTester::Outside{control_, *parts_.models, *store_.models, clock_});

  PollLoop::Outside polling{
      *parts_.source, *parts_.decoder, parts_.dead_letters.get(), clock_, {}, {}, {}};
  polling.make_task = [this](const PartitionId& partition) { return make_task(partition); };
  polling.on_gone = [this](const PartitionId& partition) {
    const std::lock_guard lock{mutex_};
    tasks_.erase(partition);
  };
  polling.on_source_status = [this](const Status& status) { note_brokers(status); };
  poll_ = std::make_unique<PollLoop>(options_.poll, std::move(polling));
}

Service::~Service() {
  poll_->stop();
  if (poll_thread_.joinable()) poll_thread_.join();
  learner_.reset();
  retrainer_.reset();
  scoring_->stop();
  pool_.join();
  disk_.join();
}

void Service::adopt(std::shared_ptr<const pipeline::LearnedGroup> group,
                    std::unique_ptr<Scorer> scorer) {
  scoring_->install(group, std::move(scorer));
  serve(group);
  for (const auto& task : tasks()) task->install(group);
}

/// `group` is what new partitions begin with, and what status shows.
void Service::serve(const std::shared_ptr<const pipeline::LearnedGroup>& group) {
  const std::lock_guard lock{mutex_};
  const std::string key = pipeline::group_key(group->info.channels);
  std::erase_if(groups_,
                [&](const auto& g) { return pipeline::group_key(g->info.channels) == key; });
  groups_.push_back(group);
  status_.models.clear();
  for (const auto& g : groups_) status_.models.push_back(g->info);
  if (!group->info.choice.empty()) {
    spdlog::info("model {} is {}", group->info.version, group->info.choice);
  }
}

PollLoop::Assigned Service::make_task(const PartitionId& partition) {
  pipeline::PartitionPipeline pipeline{partition, pipeline_options_};
  std::optional<Offset> begin;
  auto snapshot = store_.snapshots.read(partition);
  const std::lock_guard lock{mutex_};
  for (const auto& group : groups_) pipeline.install(group);
  if (snapshot && *snapshot) {
    StateReader in{(*snapshot)->state()};
    if (auto loaded = pipeline.load(in)) {
      begin = (*snapshot)->offset();
    } else {
      snapshot = Failure{std::move(loaded.error())};
      pipeline = pipeline::PartitionPipeline{partition, pipeline_options_};
      for (const auto& group : groups_) pipeline.install(group);
    }
  }
  if (!snapshot) {
    spdlog::error("{}; partition {}[{}] starts without state", snapshot.error().message,
                  partition.topic, partition.partition);
    status_.last_error = snapshot.error().message;
  }
  PartitionTask::Outside outside{
      *scoring_, *parts_.alerts, store_.snapshots, disk_.get_executor(), clock_, {}, {}, {}, {}};
  outside.on_position = [this](Position position) { poll_->commit(std::move(position)); };
  outside.on_trouble = [this](const Error& error) { note_error(error); };
  outside.on_fatal = [this](const Error& error) {
    note_error(error);
    failed_ = true;
    stop();
  };
  outside.on_alert = [this](const Alert& alert, double seconds) {
    metrics_.on_alert(std::string{to_string(severity_name(alert.severity))},
                      std::string{to_string(alert.type)}, seconds);
    spdlog::info("{} {} {} severity {}: {}", to_string(alert.type), to_string(alert.state),
                 alert.series, alert.severity, alert.summary);
    // The snapshot that goes past it is written by the same thread, later: none is forgotten.
    asio::post(disk_, [this, alert] {
      if (auto kept = IncidentLog{options_.state_dir}.add(alert); !kept) note_error(kept.error());
    });
  };
  outside.on_record = [this](std::vector<pipeline::JudgedRows> rows) {
    asio::post(disk_, [this, rows = std::move(rows)] {
      if (auto kept = store_.reservoir->append(rows); !kept) note_error(kept.error());
    });
  };
  outside.before_publishing = [this] { flush_reservoir(); };
  outside.on_sample = [this](pipeline::LiveSample sample) {
    self_tester_->submit(std::move(sample));
  };
  outside.on_challenger_failed = [this](const Error& error) {
    note_error(error);
    retrainer_->on_challenger_failed(error);
  };
  if (const auto challenger = retrainer_->challenger()) pipeline.challenge(challenger);
  auto task =
      std::make_shared<PartitionTask>(pool_.get_executor(), std::move(pipeline), begin, outside);
  tasks_[partition] = task;
  return {std::move(task), begin};
}

std::vector<std::shared_ptr<PartitionTask>> Service::tasks() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::shared_ptr<PartitionTask>> all;
  for (const auto& [partition, task] : tasks_) all.push_back(task);
  return all;
}

ServiceStatus Service::status() const {
  const std::lock_guard lock{mutex_};
  return status_;
}

void Service::flush_reservoir() {
  if (store_.reservoir == nullptr) return;
  if (auto flushed = store_.reservoir->flush(); !flushed) note_error(flushed.error());
}

void Service::note_error(const Error& error) {
  spdlog::error("{}", error.message);
  metrics_.on_error();
  const std::lock_guard lock{mutex_};
  status_.last_error = error.message;
}

void Service::note_brokers(const Status& status) {
  const std::lock_guard lock{mutex_};
  const bool was_well = status_.broker_trouble.empty();
  status_.broker_trouble = status ? "" : status.error().message;
  if (was_well && !status) spdlog::warn("{}; waiting, nothing is lost", status_.broker_trouble);
  if (!was_well && status) spdlog::info("the brokers answer again");
}

void Service::prepare_and_poll() {
  while (parts_.prepare && !poll_->stopping()) {
    const Status prepared = parts_.prepare();
    note_brokers(prepared);
    if (prepared) break;
    poll_->wait_to_retry(1s);
  }
  asio::post(control_, [this] { open_topics(); });  // they exist now
  poll_->run();
}

int Service::run() {
  {
    const std::lock_guard lock{mutex_};
    status_.budget = pipeline_options_.budget.text();
  }
  signals_.async_wait([this](boost::system::error_code error, int) {
    if (!error) on_signal();
  });
  status_timer_.expires_after(0s);
  every_status();
  every_snapshot();
  systemd::ready("starting");
  poll_thread_ = std::thread{[this] {
    pthread_setname_np(pthread_self(), "anomalyd-poll");
    prepare_and_poll();
    asio::post(control_, [this] { control_.stop(); });
  }};
  control_.run();

  topics_.clear();
  if (poll_thread_.joinable()) poll_thread_.join();
  const Status flushed = parts_.alerts->flush(options_.poll.drain_timeout);
  if (!flushed) spdlog::error("flushing alerts: {}", flushed.error().message);
  learner_.reset();
  retrainer_.reset();
  spdlog::info("stopped");
  return flushed && !failed_ ? EXIT_SUCCESS : EXIT_FAILURE;
}

void Service::stop() {
  asio::post(control_, [this] { begin_shutdown(); });
}

void Service::on_signal() {
  // A terminal or a supervisor may signal the whole group and the process: that is one request.
  if (stopping_ && clock_.monotonic() - stopping_since_ > 500ms) {
    spdlog::warn("second signal: exiting at once; what was not committed is read again");
    spdlog::shutdown();
    std::_Exit(EXIT_FAILURE);
  }
  begin_shutdown();
  signals_.async_wait([this](boost::system::error_code error, int) {
    if (!error) on_signal();
  });
}

void Service::begin_shutdown() {
  if (std::exchange(stopping_, true)) return;
  stopping_since_ = clock_.monotonic();
  spdlog::info("stopping: finishing what was read, at most {} s",
               options_.poll.drain_timeout.count() / 1000);
  systemd::stopping();
  systemd::extend_timeout(options_.poll.drain_timeout + 5s);
  {
    const std::lock_guard lock{mutex_};
    status_.phase = ServiceStatus::Phase::kDraining;
  }
  poll_->stop();
}

void Service::every_status() {
  status_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    check_progress();
    gather_status();
    status_timer_.expires_after(options_.status_interval);
    every_status();
  });
}

/// One partition after the other, spread over the interval: a snapshot holds its partition up.
void Service::every_snapshot() {
  const auto partitions = static_cast<std::int64_t>(std::max<std::size_t>(tasks().size(), 1));
  snapshot_timer_.expires_after(options_.snapshot_interval / partitions);
  snapshot_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    const auto all = tasks();
    if (!all.empty()) all[next_snapshot_++ % all.size()]->snapshot();
    every_snapshot();
  });
}

/// The watchdog is fed while polling and scoring move. Strands are left out: they may wait for a
/// broker that is away, which a restart would not mend.
void Service::check_progress() {
  const MonotonicTime now = clock_.monotonic();
  const MonotonicTime polled = poll_->figures().last_poll;
  const bool polling =
      polled == MonotonicTime{} || now - polled < options_.poll.drain_timeout + kStall;
  const bool scoring = scoring_->stuck_for(now) < kStall;
  if (polling && scoring)
    systemd::watchdog();
  else
    spdlog::error("the {} thread has not moved for long", polling ? "scoring" : "polling");
  const std::lock_guard lock{mutex_};
  status_.progressing = polling && scoring;
}

/// Asks every partition how it is; the last answer publishes the whole.
void Service::gather_status() {
  struct Answers {
    std::size_t expected;
    std::vector<PartitionTask::Status> partitions;
    std::map<std::string, pipeline::GroupFacts> facts;
  };
  const auto all = tasks();
  if (all.empty()) return publish_status({});
  auto answers = std::make_shared<Answers>(Answers{all.size(), {}, {}});
  for (const auto& task : all) {
    task->inspect([this, answers](const pipeline::PartitionPipeline& pipeline,
                                  const PartitionTask::Status& status) {
      asio::post(control_, [this, answers, status, facts = pipeline.group_facts()] {
        answers->partitions.push_back(status);
        for (const auto& [key, of_partition] : facts) answers->facts[key] += of_partition;
        if (answers->partitions.size() < answers->expected) return;
        if (!stopping_) consider_retraining(answers->facts);
        publish_status(std::move(answers->partitions));
      });
    });
  }
  using pipeline::Input;
  if (stopping_) return;
  self_tester_->consider(all);
  if (retrainer_->busy()) return;
  learner_->consider(all, input_ended_ ? Input::kHasEnded : Input::kGoesOn);
}

void Service::publish_status(std::vector<PartitionTask::Status> partitions) {
  std::sort(partitions.begin(), partitions.end(),
            [](const auto& a, const auto& b) { return a.partition < b.partition; });
  const PollLoop::Figures input = poll_->figures();
  const MonotonicTime now = clock_.monotonic();
  ServiceStatus copy;
  bool was_at_end = false;
  {
    const std::lock_guard lock{mutex_};
    const double uptime = std::chrono::duration<double>(now - started_).count();
    const double elapsed = std::max(uptime - status_.uptime_seconds, 1e-3);
    status_.samples_per_second =
        static_cast<double>(input.samples - status_.input.samples) / elapsed;
    status_.uptime_seconds = uptime;
    was_at_end = status_.input.at_end;
    status_.partitions = std::move(partitions);
    status_.input = input;
    status_.queued_windows = scoring_->queued_windows();
    status_.training = learner_->progress();
    status_.retraining = retrainer_->progress();
    status_.self_test = self_tester_->progress();
    const pipeline::Readiness series = status_.readiness();
    const auto before = status_.phase;
    if (!stopping_) {
      using Phase = ServiceStatus::Phase;
      status_.phase = series.ready + series.provisional > 0 ? Phase::kReady
                      : status_.training.training           ? Phase::kTraining
                      : status_.partitions.empty()          ? Phase::kStarting
                                                            : Phase::kWarming;
    }
    if (before != status_.phase) spdlog::info("{}", status_.line());
    copy = status_;
  }
  systemd::status(copy.line());
  // The partitions spoke before the input did: only what was at its end before is surely at rest.
  input_ended_ = options_.exit_at_end && was_at_end && copy.idle();
  if (input_ended_ && !stopping_ && !copy.training.training && copy.readiness().waiting == 0) {
    const double seconds = std::max(copy.busy_seconds(), 1e-3);
    spdlog::info("read {} samples and judged {} windows in {:.2f} s: {:.0f} samples/s",
                 input.samples, copy.counters().windows_judged, seconds,
                 static_cast<double>(input.samples) / seconds);
    begin_shutdown();
  }
}

}  // namespace anomalyd::runtime
