#include "tools/evaluation.hpp"

#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/partition_pipeline.hpp"

namespace anomalyd::tools {
namespace {

using pipeline::History;
using pipeline::PartitionPipeline;

/// The rows of training as a daemon would have collected them.
History history_of(const Dataset::Entry& entry, const LabelledSeries& series,
                   const pipeline::Windower::Options& window) {
  History history;
  history.series = entry.id();
  history.width = series.channels.size();
  const auto keep = [&](const pipeline::Windower::Row& row) { history.append(row); };
  for (std::size_t i = 0; i < entry.train_end && i < series.size(); ++i) {
    (void)history.windower.add(
        {history.series, series.times[i], static_cast<Offset>(i), series.row(i)}, window, keep);
  }
  history.windower.flush(window, keep);
  return history;
}

Status score_and_judge(PartitionPipeline& pipeline, Scorer& scorer) {
  for (const pipeline::ScoreRequest& request : pipeline.take_requests()) {
    Residuals residuals{scorer.info().members.size(), request.batch.channels, {}};
    if (!request.batch.windows.empty()) {
      auto scored = scorer.score(request.batch);
      if (!scored) return Failure{std::move(scored.error())};
      residuals = std::move(*scored);
    }
    pipeline.judge(request, std::move(residuals));
  }
  (void)pipeline.take_alerts();
  return {};
}

}  // namespace

Result<std::vector<EvaluatedRow>> evaluate_series(const Dataset::Entry& entry,
                                                  const LabelledSeries& series,
                                                  ModelFactory& factory,
                                                  const EvaluationOptions& options) {
  pipeline::PipelineOptions pipeline_options = options.pipeline;
  if (pipeline_options.window.period.count() == 0) pipeline_options.window.period = entry.period;
  const History history = history_of(entry, series, pipeline_options.window);
  const std::vector<std::size_t> columns = history.active_columns(history.size());
  std::vector<Channel> channels;
  for (const std::size_t c : columns) channels.push_back(series.channels[c]);
  const History projected = history.project(columns, history.size());
  auto learned = pipeline::learn(std::span{&projected, 1}, channels, factory, pipeline_options,
                                 [](const TrainingProgress&) {}, {});
  if (!learned) return fail(std::move(learned.error()), entry.id());

  // Verdicts come by time; duplicates and late rows in the file have none of their own.
  std::vector<EvaluatedRow> rows(series.size());
  std::map<EventTime, std::size_t> row_at;
  for (std::size_t i = series.size(); i-- > entry.train_end;) row_at[series.times[i]] = i;
  std::vector<bool> judged(series.size());
  PartitionPipeline pipeline{{entry.group, 0}, pipeline_options};
  pipeline.install(learned->group);
  pipeline.on_verdict([&](std::string_view, EventTime time, const pipeline::Verdict& verdict) {
    const std::size_t i = row_at.at(time);
    rows[i] = {verdict.score, verdict.alert, verdict.p_value};
    judged[i] = true;
  });

  const auto schema = std::make_shared<const Schema>(Schema{series.channels});
  for (std::size_t i = entry.train_end; i < series.size();) {
    SampleBlock block{{entry.group, 0}, schema};
    for (; i < series.size() && block.size() < options.batch_rows; ++i) {
      block.append(entry.id(), series.times[i], static_cast<Offset>(i), series.row(i));
    }
    pipeline.ingest(block);
    if (auto scored = score_and_judge(pipeline, *learned->scorer); !scored) {
      return fail(std::move(scored.error()), entry.id());
    }
  }
  pipeline.flush();
  if (auto scored = score_and_judge(pipeline, *learned->scorer); !scored) {
    return fail(std::move(scored.error()), entry.id());
  }
  for (std::size_t i = entry.train_end; i < rows.size(); ++i) {
    if (!judged[i] && i > 0) rows[i].score = rows[i - 1].score;
  }
  return rows;
}

}  // namespace anomalyd::tools
