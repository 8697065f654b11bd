#include "daemon/runtime/learner.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <xxhash.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdio>
#include <utility>

namespace anomalyd::runtime {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// What the partitions said when they were asked; complete when all have answered.
struct Learner::Survey {
  std::vector<std::shared_ptr<PartitionTask>> tasks;
  pipeline::Input input = pipeline::Input::kGoesOn;
  std::size_t answers = 0;
  std::map<std::string, pipeline::PartitionPipeline::Candidates> groups;
};

Learner::Learner(const pipeline::PipelineOptions& options, std::filesystem::path folder,
                 Outside outside)
    : options_{options}, folder_{std::move(folder)}, outside_{std::move(outside)} {}

Learner::~Learner() = default;  // the jthread asks to stop and joins

std::filesystem::path Learner::checkpoint_path(const std::filesystem::path& folder,
                                               const std::string& group_key) {
  char name[32];
  std::snprintf(name, sizeof name, "%016llx.ckpt",
                static_cast<unsigned long long>(XXH3_64bits(group_key.data(), group_key.size())));
  return folder / name;
}

void Learner::consider(const std::vector<std::shared_ptr<PartitionTask>>& tasks,
                       pipeline::Input input) {
  if (busy_ || tasks.empty()) return;
  busy_ = true;
  auto survey = std::make_shared<Survey>();
  survey->tasks = tasks;
  survey->input = input;
  for (const auto& task : tasks) {
    task->inspect([this, survey](const pipeline::PartitionPipeline& pipeline, const auto&) {
      asio::post(outside_.control, [this, survey, found = pipeline.candidates()]() mutable {
        for (auto& [key, candidates] : found) survey->groups[key] += std::move(candidates);
        if (++survey->answers == survey->tasks.size()) decide(*survey);
      });
    });
  }
}

void Learner::decide(const Survey& survey) {
  for (const auto& [key, group] : survey.groups) {
    if (!group.may_be_learned(options_.training, survey.input)) continue;
    const auto retry = retry_at_.find(key);
    if (retry != retry_at_.end() && outside_.clock.monotonic() < retry->second) continue;
    collect(key, group.channels, survey.tasks);
    return;
  }
  busy_ = false;
}

void Learner::collect(const std::string& key, const std::vector<Channel>& channels,
                      const std::vector<std::shared_ptr<PartitionTask>>& tasks) {
  struct Collected {
    std::size_t answers = 0;
    std::vector<pipeline::History> histories;
  };
  auto collected = std::make_shared<Collected>();
  for (const auto& task : tasks) {
    task->inspect([this, key, channels, collected, expected = tasks.size()](
                      const pipeline::PartitionPipeline& pipeline, const auto&) {
      asio::post(outside_.control, [this, key, channels, collected, expected,
                                    set = pipeline.training_set(key)]() mutable {
        for (auto& history : set) collected->histories.push_back(std::move(history));
        if (++collected->answers < expected) return;
        train(key, channels, std::move(collected->histories));
      });
    });
  }
}

void Learner::train(std::string key, std::vector<Channel> channels,
                    std::vector<pipeline::History> histories) {
  // One order whatever partition answered first, so that a run can be repeated.
  std::sort(histories.begin(), histories.end(),
            [](const auto& a, const auto& b) { return a.series < b.series; });
  {
    const std::lock_guard lock{mutex_};
    progress_.training = true;
    progress_.group = key;
    progress_.share = 0;
    ++progress_.runs;
  }
  thread_ = std::jthread{[this, key = std::move(key), channels = std::move(channels),
                          histories = std::move(histories)](std::stop_token stop) mutable {
    pthread_setname_np(pthread_self(), "anomalyd-train");
    setpriority(PRIO_PROCESS, 0, 10);  // this thread only; refused in a sandbox, which is harmless
    run(key, channels, std::move(histories), stop);
  }};
}

void Learner::run(const std::string& key, const std::vector<Channel>& channels,
                  std::vector<pipeline::History> histories, std::stop_token stop) {
  const auto show = [this](const TrainingProgress& progress) {
    const std::lock_guard lock{mutex_};
    progress_.stage = progress.stage;
    progress_.share = progress.share;
    progress_.loss = progress.loss;
  };
  const auto finish = [&]() -> Result<std::pair<pipeline::Learned, LoadedModel>> {
    auto learned = pipeline::learn(histories, channels, outside_.factory, options_, show, stop);
    if (!learned) return fail(std::move(learned.error()), "training the model of " + key);
    const auto path = checkpoint_path(folder_, key);
    const CheckpointExtras extras{"{\"source\":\"cold start\"}", learned->group->calibration()};
    if (auto saved = outside_.factory.save(*learned->scorer, extras, path); !saved) {
      return fail(std::move(saved.error()), "saving the model of " + key);
    }
    auto loaded = outside_.factory.load(path);
    if (!loaded) return fail(std::move(loaded.error()), "reading the new model back");
    return std::pair{std::move(*learned), std::move(*loaded)};
  };
  auto outcome = finish();
  if (stop.stop_requested()) return;
  asio::post(
      outside_.control,
      [this, key, outcome = std::make_shared<decltype(outcome)>(std::move(outcome))]() mutable {
        busy_ = false;
        {
          const std::lock_guard lock{mutex_};
          progress_.training = false;
          progress_.failures += *outcome ? 0 : 1;
        }
        if (!*outcome) {
          retry_at_[key] = outside_.clock.monotonic() + 1min;
          outside_.on_failure(outcome->error());
          return;
        }
        auto& [learned, loaded] = **outcome;
        outside_.on_model(learned.group, std::move(loaded.scorer), learned.report);
      });
}

Learner::Progress Learner::progress() const {
  const std::lock_guard lock{mutex_};
  return progress_;
}

}  // namespace anomalyd::runtime
