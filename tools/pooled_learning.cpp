#include "tools/pooled_learning.hpp"

#include <fmt/format.h>

#include <stop_token>
#include <utility>

#include "daemon/pipeline/learning.hpp"
#include "tools/history_collector.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

constexpr std::size_t kMinRows = 16;
constexpr std::size_t kMaxRows = 1'000'000;
constexpr std::size_t kRowsPerBlock = 4096;

void take(HistoryCollector& collector, const SeriesRows& series, const Dataset::Entry& entry) {
  const PartitionId partition{entry.id(), 0};
  const auto schema = std::make_shared<const Schema>(Schema{series.channels});
  const std::size_t learned = std::min(entry.train_end, series.size());
  for (std::size_t begin = 0; begin < learned; begin += kRowsPerBlock) {
    const std::size_t end = std::min(learned, begin + kRowsPerBlock);
    SampleBlock block{partition, schema};
    for (std::size_t i = begin; i < end; ++i) {
      block.append(entry.id(), series.times[i], static_cast<Offset>(i), series.row(i));
    }
    collector.take(block);
  }
}

Status learn(const HistoryCollector::Group& group, const pipeline::PipelineOptions& options,
             ModelFactory& factory, const std::filesystem::path& path) {
  constexpr std::size_t kSteps = 1000;
  Progress progress{"learning " + path.stem().string(), "", kSteps};
  std::stop_source stop;
  const auto learned = pipeline::learn(
      group.histories, group.channels, factory, options,
      [&](const TrainingProgress& now) {
        if (interrupted()) stop.request_stop();
        progress.update(static_cast<std::size_t>(now.share * kSteps), std::string{now.stage});
      },
      stop.get_token());
  if (!learned) return Failure{learned.error()};
  return factory.save(*learned->scorer, {"{}", learned->group->calibration()}, path);
}

}  // namespace

Result<std::map<std::string, std::filesystem::path>> learn_pooled(
    const LabelledSet& set, const pipeline::PipelineOptions& options, ModelFactory& factory,
    const std::filesystem::path& folder) {
  std::map<std::string, HistoryCollector> groups;
  for (const Dataset::Entry& entry : set.entries) {
    const auto series = set.read(entry);
    if (!series) return Failure{series.error()};
    take(groups.try_emplace(entry.group, options.window, kMaxRows).first->second, *series, entry);
  }
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  std::map<std::string, std::filesystem::path> checkpoints;
  for (auto& [name, collector] : groups) {
    std::size_t number = 0;
    for (const auto& [channels, group] : collector.groups(kMinRows)) {
      ++number;
      const auto path =
          folder / fmt::format("{}{}.ckpt", name, number == 1 ? "" : fmt::format("-{}", number));
      if (auto done = learn(group, options, factory, path); !done) {
        return fail(Error{done.error()}, "learning the series of " + name);
      }
      for (const pipeline::History& history : group.histories) checkpoints[history.series] = path;
    }
  }
  for (const Dataset::Entry& entry : set.entries) {
    if (checkpoints.contains(entry.id())) continue;
    return fail(ErrorKind::kInvalid, entry.id() + ": found too few rows to learn from");
  }
  return checkpoints;
}

}  // namespace anomalyd::tools
