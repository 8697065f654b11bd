#include "daemon/runtime/learner.hpp"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/runtime/challenger.hpp"
#include "daemon/runtime/model_loader.hpp"

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

/// The rows that a model is trained on, and where they lie in the input.
struct Learner::TrainingData {
  std::vector<pipeline::History> histories;
  std::vector<DataRange> ranges;  // one per partition that has any
};

namespace {

/// Where the rows of a partition's histories lie.
DataRange range_of(const PartitionId& partition, std::span<const pipeline::History> histories) {
  DataRange range{.partition = partition, .first = 0, .last = 0, .from = {}, .until = {}};
  for (const pipeline::History& history : histories) extend(range, history);
  return range;
}

}  // namespace

Learner::Learner(const pipeline::PipelineOptions& options, Outside outside)
    : options_{options}, outside_{std::move(outside)} {}

Learner::~Learner() = default;  // the jthread asks to stop and joins

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
    TrainingData data;
  };
  auto collected = std::make_shared<Collected>();
  for (const auto& task : tasks) {
    task->inspect([this, key, channels, collected, expected = tasks.size()](
                      const pipeline::PartitionPipeline& pipeline, const auto&) {
      asio::post(outside_.control,
                 [this, key, channels, collected, expected, partition = pipeline.partition(),
                  set = pipeline.training_set(key)]() mutable {
                   if (!set.empty()) collected->data.ranges.push_back(range_of(partition, set));
                   for (auto& history : set)
                     collected->data.histories.push_back(std::move(history));
                   if (++collected->answers < expected) return;
                   train(key, channels, std::move(collected->data));
                 });
    });
  }
}

void Learner::train(std::string key, std::vector<Channel> channels, TrainingData data) {
  // One order whatever partition answered first, so that a run can be repeated.
  std::ranges::sort(data.histories, {}, &pipeline::History::series);
  std::ranges::sort(data.ranges, {}, &DataRange::partition);
  {
    const std::lock_guard lock{mutex_};
    progress_.training = true;
    progress_.group = key;
    progress_.share = 0;
    ++progress_.runs;
  }
  thread_ = std::jthread{[this, key = std::move(key), channels = std::move(channels),
                          data = std::move(data)](std::stop_token stop) mutable {
    pthread_setname_np(pthread_self(), "anomalyd-train");
    setpriority(PRIO_PROCESS, 0, 10);  // this thread only; refused in a sandbox, which is harmless
    run(key, channels, std::move(data), stop);
  }};
}

void Learner::run(const std::string& key, const std::vector<Channel>& channels, TrainingData data,
                  std::stop_token stop) {
  const auto show = [this](const TrainingProgress& progress) {
    const std::lock_guard lock{mutex_};
    progress_.stage = progress.stage;
    progress_.share = progress.share;
    progress_.loss = progress.loss;
  };
  const auto finish = [&]() -> Result<std::pair<pipeline::Learned, LoadedModel>> {
    auto learned =
        pipeline::learn(data.histories, channels, outside_.factory, options_, show, stop);
    if (!learned) return fail(std::move(learned.error()), "training the model of " + key);
    auto draft = outside_.registry.begin();
    if (!draft) return Failure{std::move(draft.error())};
    if (auto written =
            write_draft(**draft, *learned, data.histories, outside_.factory, "cold start");
        !written) {
      return fail(std::move(written.error()), "keeping the model of " + key);
    }
    auto loaded = outside_.factory.load((*draft)->checkpoint());
    if (!loaded) return fail(std::move(loaded.error()), "reading the new model back");
    if (auto kept = keep(std::move(*draft), loaded->scorer->info(), data); !kept) {
      return fail(std::move(kept.error()), "keeping the model of " + key);
    }
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

Status Learner::keep(std::unique_ptr<ModelRegistry::Draft> draft, const ModelInfo& info,
                     const TrainingData& data) {
  Manifest manifest = manifest_of(info);
  manifest.reason = "cold start";
  manifest.seed = outside_.origin.seed;
  manifest.configuration = outside_.origin.configuration;
  manifest.num_series = data.histories.size();
  manifest.data = data.ranges;
  manifest.calibration = nlohmann::json{{"series", data.histories.size()}}.dump();
  auto added = outside_.registry.add(std::move(draft), std::move(manifest), "anomalyd");
  if (!added) return Failure{std::move(added.error())};
  auto promoted = outside_.registry.promote(added->group, added->version,
                                            {.why = "cold start", .by = "anomalyd", .since = {}});
  if (!promoted) return Failure{std::move(promoted.error())};
  return {};
}

Learner::Progress Learner::progress() const {
  const std::lock_guard lock{mutex_};
  return progress_;
}

}  // namespace anomalyd::runtime
