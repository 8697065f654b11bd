#include "daemon/runtime/rebuild.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/runtime/challenger.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/reservoir.hpp"

namespace anomalyd::runtime {
namespace {

using pipeline::History;
using pipeline::JudgedRows;

EventTime time_of(std::int64_t micros) { return EventTime{std::chrono::microseconds{micros}}; }

bool holds(const DataRange& range, const History& history, std::size_t row) {
  const EventTime time = time_of(history.times[row]);
  const Offset offset = history.offsets[row];
  return range.first <= offset && offset <= range.last && range.from <= time && time <= range.until;
}

std::uint64_t rows_in(const DataRange& range, std::span<const History> histories) {
  std::uint64_t rows = 0;
  for (const History& history : histories) {
    for (std::size_t i = 0; i < history.size(); ++i) rows += holds(range, history, i) ? 1U : 0U;
  }
  return rows;
}

std::vector<pipeline::RowInterval> intervals_of(std::span<const Exclusion> exclusions) {
  std::vector<pipeline::RowInterval> intervals;
  for (const Exclusion& one : exclusions) intervals.push_back({one.series, one.from, one.until});
  return intervals;
}

pipeline::NormalRowsOptions all_normal(const pipeline::PipelineOptions& options) {
  pipeline::NormalRowsOptions wanted;
  wanted.padding = options.window.length;
  wanted.max_gap = options.window.max_gap;
  return wanted;
}

/// Chunks that hold just the rows of the ranges.
std::vector<JudgedRows> within(std::vector<JudgedRows> chunks, const Manifest& manifest) {
  std::vector<JudgedRows> inside;
  for (JudgedRows& chunk : chunks) {
    const History& history = chunk.history;
    const auto concerns = [&](std::size_t row) {
      return std::ranges::any_of(
          manifest.data, [&](const DataRange& range) { return holds(range, history, row); });
    };
    for (std::size_t i = 0, j = 0; i < history.size(); i = j) {
      const bool wanted = concerns(i);
      for (j = i + 1; j < history.size() && concerns(j) == wanted;) ++j;
      if (!wanted) continue;
      RowChunk part = slice(history, chunk.marks, i, j);
      part.history.windower = history.windower;
      inside.push_back({chunk.channels, std::move(part.history), std::move(part.marks)});
    }
  }
  return inside;
}

/// Says what the reservoir lacks; empty if it has as many rows of each range as were taken.
std::string missing_rows(const Manifest& manifest, std::span<const History> histories) {
  std::string missing;
  for (const DataRange& range : manifest.data) {
    const std::uint64_t left = rows_in(range, histories);
    if (left >= range.rows) continue;
    missing += fmt::format("{}{}[{}] offsets {} to {}, {} to {}: {} of {} rows are left",
                           missing.empty() ? "" : "; ", range.partition.topic,
                           range.partition.partition, range.first, range.last,
                           to_rfc3339(range.from), to_rfc3339(range.until), left, range.rows);
  }
  return missing;
}

Result<std::vector<History>> rows_in_reservoir(const Manifest& manifest,
                                               const std::filesystem::path& reservoir,
                                               std::span<const pipeline::Label> labels,
                                               const pipeline::PipelineOptions& options) {
  std::vector<History> histories;
  const ReservoirReader reader{reservoir};
  auto groups = reader.groups();
  if (!groups) return Failure{std::move(groups.error())};
  if (std::ranges::find(groups->groups, manifest.group, &ReservoirReader::Group::key) !=
      groups->groups.end()) {
    auto read = reader.read(manifest.group, {});
    if (!read) return Failure{std::move(read.error())};
    for (auto& [series, chunks] : read->series) {
      const auto inside = within(std::move(chunks), manifest);
      History rows = pipeline::normal_rows(inside, labels, intervals_of(manifest.exclusions),
                                           all_normal(options))
                         .history;
      if (rows.size() >= options.training.provisional_rows) histories.push_back(std::move(rows));
    }
  }
  if (const std::string missing = missing_rows(manifest, histories); !missing.empty()) {
    return fail(ErrorKind::kInvalid, "the rows of version " + manifest.version +
                                         " are not kept, and not in " + reservoir.string() +
                                         " any more: " + missing);
  }
  return histories;
}

}  // namespace

Result<std::vector<History>> rows_of_version(const ModelRegistry& registry,
                                             const Manifest& manifest,
                                             const std::filesystem::path& reservoir,
                                             std::span<const pipeline::Label> labels,
                                             const pipeline::PipelineOptions& options) {
  const std::filesystem::path path = registry.rows_path(manifest.group, manifest.version);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return rows_in_reservoir(manifest, reservoir, labels, options);
  }
  auto stored = read_rows(path);
  if (!stored) return Failure{std::move(stored.error())};
  if (pipeline::group_key(stored->channels) != manifest.group) {
    return fail(ErrorKind::kIncompatible, path.string() + ": found the channels " +
                                              pipeline::group_key(stored->channels) +
                                              "; expected " + manifest.group);
  }
  return std::move(stored->histories);
}

std::vector<History> without(std::vector<History> histories, std::span<const Exclusion> exclusions,
                             const pipeline::PipelineOptions& options) {
  std::vector<History> kept;
  const auto intervals = intervals_of(exclusions);
  for (History& history : histories) {
    const bool concerned = std::ranges::any_of(exclusions, [&](const Exclusion& one) {
      return (one.series.empty() || one.series == history.series) && history.size() > 0 &&
             one.from <= time_of(history.times.back()) &&
             one.until >= time_of(history.times.front());
    });
    if (concerned) {
      const JudgedRows chunk{{}, history, std::vector(history.size(), pipeline::RowMark::kNormal)};
      history =
          pipeline::normal_rows(std::span{&chunk, 1}, {}, intervals, all_normal(options)).history;
    }
    if (history.size() >= options.training.provisional_rows) kept.push_back(std::move(history));
  }
  return kept;
}

Result<Rebuilt> rebuild(Rebuild what, ModelRegistry& to, ModelFactory& factory,
                        const pipeline::PipelineOptions& options, const ProgressFn& progress,
                        std::stop_token stop) {
  const Manifest& before = what.manifest;
  const auto count = [](std::span<const History> histories) {
    std::size_t rows = 0;
    for (const History& history : histories) rows += history.size();
    return rows;
  };
  const std::vector<History> all = std::move(what.rows);
  const std::vector<History> rows = without(all, what.exclusions, options);
  if (rows.empty()) {
    return fail(ErrorKind::kInvalid,
                "no series has rows enough to learn from but for those excluded");
  }
  std::unique_ptr<Scorer> start;
  if (!before.start.empty()) {
    auto loaded = factory.load(to.checkpoint_path(before.group, before.start));
    if (!loaded) return fail(std::move(loaded.error()), "where training began: " + before.start);
    start = std::move(loaded->scorer);
  }
  auto learned = pipeline::learn(rows, before.channels, factory, options, progress, std::move(stop),
                                 start.get());
  if (!learned) return fail(std::move(learned.error()), "training");
  Rebuilt rebuilt{before, learned->group->info.version == before.version, count(all) - count(rows)};
  if (rebuilt.reproduced) return rebuilt;

  auto draft = to.begin();
  if (!draft) return Failure{std::move(draft.error())};
  if (auto written = write_draft(**draft, *learned, rows, factory, "rebuild"); !written) {
    return Failure{std::move(written.error())};
  }
  Manifest manifest = manifest_of(learned->group->info);
  manifest.parent = before.version;
  manifest.seed = before.seed;
  manifest.start = before.start;
  manifest.configuration = before.configuration;
  manifest.num_series = rows.size();
  manifest.data = before.data;
  for (DataRange& range : manifest.data) {
    // In a fleet a row may seem to lie in the ranges of several partitions: never more than before.
    range.rows = std::min(range.rows, rows_in(range, rows));
  }
  manifest.exclusions = before.exclusions;
  manifest.exclusions.insert(manifest.exclusions.end(), what.exclusions.begin(),
                             what.exclusions.end());
  manifest.excluded_rows = before.excluded_rows;
  manifest.excluded_rows[std::string{to_string(pipeline::LeftOut::kExcluded)}] +=
      rebuilt.rows_taken;
  manifest.calibration = fmt::format("{{\"series\":{}}}", learned->group->series.size());
  manifest.reason = "rebuild";
  auto added = to.add(std::move(*draft), std::move(manifest), what.by);
  if (!added) return fail(std::move(added.error()), "keeping the rebuilt version");
  rebuilt.manifest = *std::move(added);
  return rebuilt;
}

}  // namespace anomalyd::runtime
