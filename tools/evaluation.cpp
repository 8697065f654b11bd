#include "tools/evaluation.hpp"

#include <fmt/os.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tools/incident_table.hpp"
#include "tools/pipeline_run.hpp"

namespace anomalyd::tools {
namespace {

/// The rows of a series before which something has to happen, beside the ends of blocks.
struct Schedule {
  std::set<std::size_t> challenges;
  std::set<std::size_t> swaps;

  Schedule(std::size_t train_end, std::size_t rows, const EvaluationOptions& options) {
    const std::size_t distance = (rows - train_end) / (options.retrainings + 1);
    const std::size_t shadow = std::min(options.pipeline.retraining.shadow_rows, distance / 4);
    for (std::size_t i = 1; i <= options.retrainings; ++i) {
      challenges.insert(train_end + i * distance);
      swaps.insert(train_end + i * distance + shadow);
    }
  }
  [[nodiscard]] std::size_t next(std::size_t row) const {
    std::size_t first = SIZE_MAX;
    for (const auto* rows : {&challenges, &swaps}) {
      if (const auto at = rows->upper_bound(row); at != rows->end()) first = std::min(first, *at);
    }
    return first;
  }
};

/// Rows before `end` that the windower keeps: neither late nor doubled.
std::size_t rows_in_order(const std::vector<EventTime>& times, std::size_t end) {
  std::size_t kept = 0;
  EventTime newest = EventTime::min();
  for (std::size_t i = 0; i < end; ++i) {
    if (times[i] <= newest) continue;
    newest = times[i];
    ++kept;
  }
  return kept;
}

}  // namespace

Result<ScoredRows> score_series(const SeriesRows& series, const std::string& id,
                                std::size_t train_end, const EvaluationOptions& options,
                                ModelFactory& factory,
                                const std::function<void(std::size_t)>& done) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  ScoredRows scored{.scores = std::vector<double>(series.size(), kNone),
                    .p_values = std::vector<double>(series.size(), kNone),
                    .thresholds = std::vector<double>(series.size(), kNone),
                    .alerts = std::vector<std::uint8_t>(series.size(), 0),
                    .incidents = {}};
  pipeline::PipelineOptions pipeline = options.pipeline;
  pipeline.training.record = options.retrainings > 0;
  pipeline.training.rows = rows_in_order(series.times, train_end);
  pipeline.training.provisional_rows =
      std::min(pipeline.training.provisional_rows, pipeline.training.rows);
  if (pipeline.retraining.rows == 0) {  // a short first part makes no short reservoir
    pipeline.retraining.rows = 2 * std::max(pipeline.training.rows, options.pipeline.training.rows);
  }

  std::size_t newest = 0;  // verdicts come in the order of time, nearly always that of rows
  PipelineRun::Events events;
  events.verdict = [&](std::string_view, EventTime time, const pipeline::Verdict& verdict) {
    const auto begin = series.times.begin();
    auto row = std::find(begin + static_cast<std::ptrdiff_t>(newest), series.times.end(), time);
    if (row == series.times.end()) row = std::find(begin, series.times.end(), time);
    newest = static_cast<std::size_t>(row - begin);
    scored.scores[newest] = verdict.score;
    scored.p_values[newest] = verdict.p_value;
    scored.thresholds[newest] = verdict.threshold;
    scored.alerts[newest] = verdict.alert ? 1 : 0;
  };
  IncidentBook book;
  events.alert = [&](const Alert& alert) {
    if (alert.type == AlertType::kAnomaly) book.add(alert);
  };
  PipelineRun run{pipeline, factory, std::move(events)};
  for (const auto& checkpoint : options.checkpoints) {
    if (auto loaded = run.load(checkpoint); !loaded) return Failure{loaded.error()};
  }
  const PartitionId partition{id, 0};
  const auto schema = std::make_shared<const Schema>(Schema{series.channels});
  const Schedule schedule{train_end, series.size(), options};
  for (std::size_t begin = 0, end = 0; begin < series.size(); begin = end) {
    const auto keep = [&](Retraining result) {
      result.series = id;
      result.row = begin;
      scored.retrainings.push_back(std::move(result));
    };
    if (schedule.swaps.contains(begin)) {
      if (auto ended = run.end_shadow()) keep(*std::move(ended));
    }
    if (schedule.challenges.contains(begin)) {
      auto begun = run.challenge(options.gate);
      if (!begun) return Failure{std::move(begun.error())};
      if (begun->outcome != "shadow") keep(*std::move(begun));
    }
    end = std::min({series.size(), begin + options.block_rows, schedule.next(begin)});
    SampleBlock block{partition, schema};
    for (std::size_t i = begin; i < end; ++i) {
      block.append(id, series.times[i], static_cast<Offset>(i), series.row(i));
    }
    block.set_end(static_cast<Offset>(end));
    if (auto taken = run.ingest(block); !taken) return Failure{taken.error()};
    done(end);
  }
  if (auto finished = run.finish(); !finished) return Failure{finished.error()};
  scored.incidents = book.incidents();
  return scored;
}

JudgedRows judged_rows(const LabelledSeries& series, const ScoredRows& scored,
                       std::size_t train_end) {
  const auto time_of = [&](std::size_t row) { return series.times[row]; };
  std::vector<std::size_t> with_verdict;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (!std::isnan(scored.scores[i])) with_verdict.push_back(i);
  }
  std::ranges::stable_sort(with_verdict, {}, time_of);

  JudgedRows rows;
  for (std::size_t i = train_end; i < series.size(); ++i) {
    const auto behind = std::ranges::upper_bound(with_verdict, series.times[i], {}, time_of);
    const bool any = behind != with_verdict.begin();
    const std::size_t newest = any ? *std::prev(behind) : i;
    const bool own = any && series.times[newest] == series.times[i];
    rows.labels.push_back(series.labels[i]);
    rows.scores.push_back(scored.scores[newest]);
    rows.alerts.push_back(own ? scored.alerts[newest] : std::uint8_t{0});
  }
  return rows;
}

Status write_scores(const std::filesystem::path& path, const SeriesRows& series,
                    const ScoredRows& scored) {
  try {
    std::filesystem::create_directories(path.parent_path());
    auto file = fmt::output_file(path.string());
    file.print("t,score,alert,pvalue\n");
    for (std::size_t i = 0; i < series.size(); ++i) {
      if (std::isnan(scored.scores[i])) continue;
      file.print("{},{},{},{:.4g}\n", series.t[i], scored.scores[i], scored.alerts[i],
                 scored.p_values[i]);
    }
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: {}; expected a writable folder", path.string(), error.what()));
  }
  return {};
}

}  // namespace anomalyd::tools
