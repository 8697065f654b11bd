#include "daemon/runtime/self_tester.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

namespace anomalyd::runtime {

namespace asio = boost::asio;

namespace {

constexpr double kIdle = 200;  // times what the last sample took, that the next one waits at least

}  // namespace

SelfTester::SelfTester(const pipeline::PipelineOptions& pipeline, const SelfTestOptions& options,
                       Outside outside)
    : pipeline_{pipeline},
      options_{options},
      outside_{outside},
      next_at_{outside.clock.monotonic() + options.interval} {
  progress_.enabled = options_.enabled;
  asio::post(worker_, [] {
    pthread_setname_np(pthread_self(), "anomalyd-check");
    setpriority(PRIO_PROCESS, 0, 19);  // this thread and those it starts; harmless where refused
  });
}

SelfTester::~SelfTester() {
  stop_.request_stop();
  worker_.stop();
  worker_.join();
}

void SelfTester::consider(const std::vector<std::shared_ptr<PartitionTask>>& tasks) {
  const MonotonicTime now = outside_.clock.monotonic();
  if (!options_.enabled || tasks.empty() || now < next_at_) return;
  next_at_ = now + options_.interval;
  tasks[turn_++ % tasks.size()]->change(
      [](pipeline::PartitionPipeline& pipeline) { pipeline.begin_sample(); });
}

void SelfTester::submit(pipeline::LiveSample sample) {
  asio::post(worker_, [this, sample = std::move(sample)] {
    const MonotonicTime began = outside_.clock.monotonic();
    auto trials = try_faults(sample);
    if (stop_.stop_requested()) return;
    const std::chrono::duration<double> took = outside_.clock.monotonic() - began;
    asio::post(outside_.control, [this, model = sample.group->info, trials = std::move(trials),
                                  took] { record(model, trials, took.count()); });
  });
}

Result<SelfTester::Trials> SelfTester::try_faults(const pipeline::LiveSample& sample) const {
  const ModelInfo& model = sample.group->info;
  const std::string key = pipeline::group_key(model.channels);
  auto loaded = outside_.factory.load(outside_.registry.checkpoint_path(key, model.version));
  if (!loaded) return Failure{std::move(loaded.error())};
  return pipeline::try_faults(*loaded->scorer, sample, pipeline_, {.may_go_on = [this]() -> Status {
    if (stop_.stop_requested()) return fail(ErrorKind::kCancelled, "stopped");
    return {};
  }});
}

void SelfTester::record(const ModelInfo& model, const Result<Trials>& trials, double seconds) {
  const MonotonicTime now = outside_.clock.monotonic();
  const auto pause = std::chrono::duration_cast<MonotonicTime::duration>(
      std::chrono::duration<double>(kIdle * seconds));
  next_at_ = std::max(next_at_, now + pause);
  progress_.seconds += seconds;
  ++progress_.samples;
  if (!trials) {
    ++progress_.failures;
    progress_.last_failure = trials.error().message;
    spdlog::warn("the self-test of model {}: {}", model.version, trials.error().message);
    return;
  }
  const std::string group = pipeline::group_key(model.channels);
  for (const auto& trial : *trials) record_.add(group, model.version, trial, now);
}

SelfTester::Progress SelfTester::progress() const {
  Progress now = progress_;
  now.figures = record_.figures(outside_.clock.monotonic());
  return now;
}

}  // namespace anomalyd::runtime
