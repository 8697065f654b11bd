// The models of the service: loading them at the start, and commands about them while it runs.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "daemon/pipeline/retrain_policy.hpp"
#include "daemon/runtime/durable_file.hpp"
#include "daemon/runtime/feedback.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/model_package.hpp"
#include "daemon/runtime/service.hpp"

namespace anomalyd::runtime {

namespace asio = boost::asio;

namespace {

constexpr const char* kUnnamed = "http";  // who asks, if the request does not say

std::string asker(const ModelRequest& request) {
  return request.by.empty() ? kUnnamed : request.by;
}

/// Writes a step to the log and to the audit log.
void tell(AuditLog& audit, const AuditEvent& event) {
  spdlog::info("model {}of {}: {} by {}{}", event.version.empty() ? "" : event.version + " ",
               event.group, event.event, event.by, event.reason.empty() ? "" : ": " + event.reason);
  if (auto written = audit.append(event); !written) {
    spdlog::error("the audit log lacks a line: {}", written.error().message);
  }
}

}  // namespace

Result<Service::Store> Service::open_store(const Options& options, std::unique_ptr<StateLock> lock,
                                           AuditSink* audit_sink, Clock& clock) {
  if (lock == nullptr) {
    auto taken = StateLock::acquire(options.state_dir, "anomalyd");
    if (!taken) return Failure{std::move(taken.error())};
    lock = *std::move(taken);
  }
  auto snapshots = SnapshotStore::open(options.state_dir / "partitions");
  if (!snapshots) return Failure{std::move(snapshots.error())};
  AuditLog::Sink sink;
  if (audit_sink != nullptr) {
    sink = [audit_sink](const AuditEvent& event, std::string_view line) {
      audit_sink->send(event.group, line);
    };
  }
  auto audit = AuditLog::open(options.state_dir / "audit.ndjson", clock, std::move(sink));
  if (!audit) return Failure{std::move(audit.error())};
  auto models = ModelRegistry::open(
      options.state_dir / "models", ModelRegistry::Access::kWrite,
      {clock, [log = audit->get()](const AuditEvent& event) { tell(*log, event); }});
  if (!models) return Failure{std::move(models.error())};
  for (const std::string& trouble : (*models)->troubles()) spdlog::warn("{}", trouble);
  auto reservoir = Reservoir::open(options.state_dir / "reservoir", options.reservoir);
  if (!reservoir) return Failure{std::move(reservoir.error())};
  for (const Error& trouble : reservoir->take_troubles()) spdlog::warn("{}", trouble.message);
  return Store{std::move(lock), std::move(*snapshots), std::move(*audit), std::move(*models),
               std::make_shared<Reservoir>(*std::move(reservoir))};
}

Status Service::load_models() {
  auto adopted = adopt_loose_checkpoints(*store_.models, *parts_.models);
  if (!adopted) return adopted;
  if (!options_.checkpoint.empty()) {
    if (auto begun = begin_with_checkpoint(); !begun) {
      return fail(std::move(begun.error()), "loading the model " + options_.checkpoint.string());
    }
  }
  auto models = load_champions(*store_.models, *parts_.models);
  if (!models) return Failure{std::move(models.error())};
  for (ServiceableModel& model : *models) {
    const ModelInfo& info = model.group->info;
    spdlog::info("model {} {} serves: {} channels, {} series known, on {}", info.kind, info.version,
                 info.channels.size(), model.group->series.size(), info.device);
    adopt(std::move(model.group), std::move(model.scorer));
  }
  return {};
}

/// The configured checkpoint serves a group that has no champion; it never replaces one.
Status Service::begin_with_checkpoint() {
  auto added = adopt_checkpoint(*store_.models, *parts_.models, options_.checkpoint,
                                {"model.checkpoint", "added"});
  if (!added) return Failure{std::move(added.error())};
  const auto group = store_.models->group(added->group);
  if (group && group->champion->version != added->version) {
    spdlog::warn(
        "model.checkpoint: version {} does not serve, for its group has the champion {}; "
        "`anomalyctl models promote {}` would change that",
        added->version, group->champion->version, added->version);
  }
  return {};
}

ModelControl Service::model_control(pipeline::Trigger asked_by) {
  using Pin = ModelRegistry::Pin;
  ModelControl control;
  control.list = [this] { return to_json(store_.models->groups()); };
  control.promote = [this](ModelRequest request, ModelControl::Done done) {
    promote(std::move(request), std::move(done));
  };
  control.rollback = [this](ModelRequest request, ModelControl::Done done) {
    rollback(std::move(request), std::move(done));
  };
  control.retrain = [this, asked_by](ModelRequest request, const ModelControl::Done& done) {
    retrain(std::move(request), asked_by, done);
  };
  control.pin = [this](ModelRequest request, const ModelControl::Done& done) {
    set_pin(std::move(request), Pin::kPinned, done);
  };
  control.unpin = [this](ModelRequest request, const ModelControl::Done& done) {
    set_pin(std::move(request), Pin::kUnpinned, done);
  };
  control.feedback = [this](FeedbackRequest request, ModelControl::Done done) {
    give_feedback(std::move(request), std::move(done));
  };
  control.import = [this](std::string package, ModelControl::Done done) {
    import_model(std::move(package), std::move(done));
  };
  return control;
}

/// What people ask for by records.
void Service::open_topics() {
  if (stopping_) return;
  using AtCrash = RequestTopic::AtCrash;
  const auto open = [this](const char* name, const RequestTopic::OpenFn& feed,
                           RequestTopic::ObeyFn obey, AtCrash at_crash) {
    if (!feed) return;
    topics_.push_back(std::make_unique<RequestTopic>(
        RequestTopic::Outside{name, feed, std::move(obey), at_crash, options_.state_dir,
                              *store_.audit, [this](const Error& error) { note_error(error); }}));
  };
  open("feedback", parts_.open_feedback, obey_feedback(options_.state_dir, *store_.audit, clock_),
       AtCrash::kRepeated);
  open("control", parts_.open_control,
       obey_commands(control_.get_executor(), model_control(pipeline::Trigger::kControlTopic)),
       AtCrash::kLost);
}

void Service::promote(ModelRequest request, ModelControl::Done done) {
  const auto group = store_.models->group(request.group);
  if (!group) return done(Failure{group.error()});
  const auto manifest = ModelRegistry::version(*group, request.version);
  if (!manifest) return done(Failure{manifest.error()});
  const std::string why = request.why.empty() ? "asked for" : request.why;
  put_into_service(*group, manifest->version, {.why = why, .by = asker(request), .since = {}},
                   "promoted", std::move(done));
}

void Service::rollback(ModelRequest request, ModelControl::Done done) {
  const auto group = store_.models->group(request.group);
  if (!group) return done(Failure{group.error()});
  if (!group->champion || group->champion->previous.empty()) {
    return done(fail(ErrorKind::kInvalid,
                     "group " + group->id + " (" + group->key + ") has no version to go back to"));
  }
  const std::string why = request.why.empty() ? "asked for" : request.why;
  put_into_service(*group, group->champion->previous,
                   {.why = why, .by = asker(request), .since = {}}, "rolled_back", std::move(done));
}

void Service::put_into_service(const ModelRegistry::Group& group, const std::string& version,
                               ModelRegistry::Promotion promotion, const char* event,
                               ModelControl::Done done) {
  Promoted promoted{.group = group.id, .version = version, .previous = {}, .warnings = {}};
  if (group.champion && group.champion->version == version) {
    promoted.previous = group.champion->previous;
    promoted.unchanged = true;
    return done(to_json(promoted));
  }
  const auto manifest = ModelRegistry::version(group, version);
  if (manifest) promoted.warnings = warnings_about(*manifest, group);
  if (group.champion) promoted.previous = group.champion->version;
  retrainer_->promote(group.key, version, std::move(promotion), event,
                      [this, promoted, key = group.key, done = std::move(done)](Status moved) {
                        if (!moved) return done(Failure{std::move(moved.error())});
                        delete_old_versions(key);
                        done(to_json(promoted));
                      });
}

void Service::make_retrainer() {
  Retrainer::Outside outside{
      control_,
      disk_.get_executor(),
      *parts_.models,
      *store_.models,
      *scoring_,
      clock_,
      options_.state_dir / "reservoir",
      [this] { return tasks(); },
      [this](const std::string& key) -> std::shared_ptr<const pipeline::LearnedGroup> {
        const std::lock_guard lock{mutex_};
        const auto found = std::ranges::find_if(groups_, [&](const auto& group) {
          return pipeline::group_key(group->info.channels) == key;
        });
        return found == groups_.end() ? nullptr : *found;
      },
      [this] { return feedback(); },
      [this](std::function<void()> done) {
        asio::post(disk_, [this, done = std::move(done)] {
          flush_reservoir();
          done();
        });
      },
      [this](const auto& group) { serve(group); }};
  retrainer_ = std::make_unique<Retrainer>(
      Retrainer::Options{pipeline_options_, options_.gate, options_.origin}, std::move(outside));
}

std::vector<pipeline::Label> Service::feedback() {
  const auto contents = FeedbackStore{options_.state_dir}.read();
  if (!contents) {
    note_error(contents.error());
    return {};
  }
  for (const Error& ignored : contents->ignored) spdlog::warn("{}", ignored.message);
  return labels_of(contents->feedback);
}

/// The answer is what was kept, as {"incident", "series", "start", "end", "class"}.
void Service::give_feedback(FeedbackRequest request, ModelControl::Done done) {
  asio::post(disk_, [this, request = std::move(request), done = std::move(done)]() mutable {
    if (request.by.empty()) request.by = kUnnamed;
    auto kept = feedback_of(request, options_.state_dir, clock_.wall());
    if (kept) {
      auto given = runtime::give_feedback(*kept, request.by, options_.state_dir, *store_.audit);
      if (!given) kept = Failure{std::move(given.error())};
    }
    Result<std::string> answer = Failure{Error{ErrorKind::kInvalid, {}}};
    if (kept) {
      spdlog::info("incident {} of {} is {}, says {}", kept->incident, kept->series,
                   class_of(*kept), request.by);
      answer = to_json(*kept);
    } else {
      answer = Failure{std::move(kept.error())};
    }
    asio::post(control_, [done = std::move(done), answer = std::move(answer)] { done(answer); });
  });
}

void Service::retrain(ModelRequest request, pipeline::Trigger trigger,
                      const ModelControl::Done& done) {
  const auto group = store_.models->group(request.group);
  if (!group) return done(Failure{group.error()});
  if (!pipeline_options_.retraining.enabled) {
    return done(fail(ErrorKind::kInvalid,
                     "found retraining.enabled: false; expected true, for rows to be kept"));
  }
  retrainer_->request({.group = group->key,
                       .trigger = std::string{to_string(trigger)},
                       .why = fmt::format("{}: {}", to_string(trigger),
                                          request.why.empty() ? "asked for" : request.why),
                       .by = asker(request)});
  done(to_json(Promoted{.group = group->id, .version = {}, .previous = {}, .warnings = {}}));
}

/// Starts what is due; one challenger at a time.
void Service::consider_retraining(const std::map<std::string, pipeline::GroupFacts>& facts) {
  retrainer_->consider();
  if (!pipeline_options_.retraining.enabled || input_ended_ || learner_->progress().training)
    return;
  const pipeline::RetrainPolicy policy{pipeline_options_.retraining};
  for (const auto& [key, group] : facts) {
    if (retrainer_->busy()) return;
    const auto due = policy.due(clock_.wall(), key, group, retrainer_->past(key));
    if (!due) continue;
    retrainer_->request({.group = key,
                         .trigger = std::string{to_string(due->trigger)},
                         .why = due->why,
                         .by = "anomalyd",
                         .normal_rows = group.normal_rows,
                         .unfit = policy.unfit(group).value_or("")});
  }
}

void Service::delete_old_versions(const std::string& group_key) {
  const auto deleted = store_.models->keep(group_key, pipeline_options_.retraining.keep_versions);
  if (!deleted) note_error(deleted.error());
}

void Service::set_pin(ModelRequest request, ModelRegistry::Pin pin,
                      const ModelControl::Done& done) {
  const auto group = store_.models->group(request.group);
  if (!group) return done(Failure{group.error()});
  const auto manifest = ModelRegistry::version(*group, request.version);
  if (!manifest) return done(Failure{manifest.error()});
  auto set = store_.models->set_pin(group->key, manifest->version, pin, asker(request));
  if (!set) return done(Failure{std::move(set.error())});
  done(to_json(
      Promoted{.group = group->id, .version = manifest->version, .previous = {}, .warnings = {}}));
}

void Service::import_model(std::string package, ModelControl::Done done) {
  asio::post(disk_, [this, package = std::move(package), done = std::move(done)]() mutable {
    const auto import = [&]() -> Result<std::string> {
      auto draft = store_.models->begin();
      if (!draft) return Failure{std::move(draft.error())};
      const auto file = (*draft)->checkpoint();
      if (auto written = write_durably(file, package); !written) {
        return Failure{std::move(written.error())};
      }
      auto imported = import_version(
          *store_.models, file, kUnnamed, [this](const auto& checkpoint, const Manifest& manifest) {
            return check_checkpoint(*parts_.models, checkpoint, manifest);
          });
      if (!imported) return Failure{std::move(imported.error())};
      return to_json(Promoted{.group = ModelRegistry::id_of(imported->group),
                              .version = imported->version,
                              .previous = {},
                              .warnings = {}});
    };
    auto result = import();
    asio::post(control_, [done = std::move(done), result = std::move(result)] { done(result); });
  });
}

}  // namespace anomalyd::runtime
