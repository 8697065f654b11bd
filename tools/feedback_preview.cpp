#include "tools/feedback_preview.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "daemon/pipeline/normal_rows.hpp"
#include "daemon/pipeline/replay.hpp"
#include "daemon/runtime/incident_log.hpp"
#include "daemon/runtime/model_loader.hpp"
#include "daemon/runtime/reservoir.hpp"
#include "tools/version_options.hpp"

namespace anomalyd::tools {
namespace {

using pipeline::History;
using pipeline::JudgedRows;
using pipeline::Label;
using runtime::Feedback;
using runtime::FeedbackStore;
using runtime::KnownIncident;
using runtime::ReservoirReader;

/// The rows of a series, and the group they belong to.
struct SeriesRows {
  std::string group;
  std::vector<JudgedRows> chunks;
};

Result<SeriesRows> rows_of_series(const std::filesystem::path& state, const std::string& series) {
  const ReservoirReader reader{state / "reservoir"};
  const auto groups = reader.groups();
  if (!groups) return Failure{groups.error()};
  SeriesRows newest;
  std::int64_t newest_time = 0;
  for (const auto& group : groups->groups) {  // its channels may have changed
    auto rows = reader.read(group.key, {.series = {series}});
    if (!rows) return Failure{rows.error()};
    if (rows->series.empty()) continue;
    auto& chunks = rows->series.begin()->second;
    std::int64_t last = chunks.front().history.times.back();
    for (const auto& chunk : chunks) last = std::max(last, chunk.history.times.back());
    if (!newest.chunks.empty() && last <= newest_time) continue;
    newest = {group.key, std::move(chunks)};
    newest_time = last;
  }
  if (!newest.chunks.empty()) return newest;
  return fail(ErrorKind::kInvalid, reader.folder().string() + ": no rows of the series '" + series +
                                       "'; expected some to try the feedback on");
}

/// When incidents open among `rows` for a model that was calibrated on what `labels` let in.
Result<std::vector<std::int64_t>> onsets(Scorer& scorer, const pipeline::LearnedGroup& champion,
                                         const SeriesRows& series, const History& rows,
                                         const std::vector<Label>& labels,
                                         const pipeline::PipelineOptions& options) {
  pipeline::NormalRowsOptions wanted;
  wanted.padding = options.window.length;
  wanted.max_gap = options.window.max_gap;
  const History learned = pipeline::normal_rows(series.chunks, labels, {}, wanted).history;
  if (learned.size() < options.training.provisional_rows) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} normal rows of series '{}'; expected at least {}", learned.size(),
                            learned.series, options.training.provisional_rows));
  }
  pipeline::PipelineOptions with = options;
  with.training.labels = labels;
  auto group = pipeline::calibrate(scorer, std::span{&learned, 1}, with, &champion, {});
  if (!group) return Failure{std::move(group.error())};
  auto track = pipeline::replay_track(**group, learned.series, options);
  std::vector<std::int64_t> found;
  const pipeline::Passage passage{&*track, &rows, 0, rows.size()};
  auto done = pipeline::replay(scorer, std::span{&passage, 1}, options, {},
                               [&](const pipeline::ReplayedRow& row) {
                                 if (row.opened) found.push_back(rows.times[row.row]);
                               });
  if (!done) return Failure{std::move(done.error())};
  return found;
}

std::vector<Label> labels_with(std::vector<Feedback> all, const Feedback& one) {
  std::erase_if(all, [&](const Feedback& other) { return other.incident == one.incident; });
  all.push_back(one);
  return labels_of(all);
}

std::string table(const std::vector<std::int64_t>& times, const std::vector<KnownIncident>& known,
                  const std::string& series, std::int64_t slack) {
  std::string text;
  for (const std::int64_t time : times) {
    const auto incident = std::ranges::find_if(known, [&](const KnownIncident& one) {
      const std::int64_t start = one.start.time_since_epoch().count();
      return one.series == series && std::abs(start - time) <= slack;
    });
    text += fmt::format("  {:<18} {}\n", incident == known.end() ? "-" : incident->id,
                        to_rfc3339(EventTime{std::chrono::microseconds{time}}));
  }
  return text;
}

}  // namespace

Result<std::string> preview_feedback(const ModelPlace& place,
                                     const runtime::FeedbackRequest& request, int days) {
  const std::filesystem::path state = place.state_dir;
  const auto feedback = runtime::feedback_of(request, state, system_clock().wall());
  if (!feedback) return Failure{feedback.error()};
  const auto series = rows_of_series(state, feedback->series);
  if (!series) return Failure{series.error()};
  const auto registry = place.open();
  if (!registry) return Failure{registry.error()};
  const auto group = (*registry)->group(series->group);
  if (!group) return Failure{group.error()};
  if (!group->champion) {
    return fail(ErrorKind::kInvalid, "group " + group->key + " has no champion to try it with");
  }
  const auto manifest = runtime::ModelRegistry::version(*group, group->champion->version);
  if (!manifest) return Failure{manifest.error()};
  auto options = options_of(place, *manifest);
  if (!options) return Failure{std::move(options.error())};
  auto factory = make_factory(*options);
  if (!factory) return Failure{std::move(factory.error())};
  auto model = load_version(**registry, **factory, *group, manifest->version);
  if (!model) return Failure{std::move(model.error())};
  const auto said = FeedbackStore{state}.read();
  if (!said) return Failure{said.error()};
  const auto known = runtime::IncidentLog{state}.read();
  if (!known) return Failure{known.error()};

  // All rows of those days, whatever was thought of them.
  const std::vector<Label> everything{
      {"", EventTime::min(), EventTime::max(), std::string{kNormalClass}}};
  const auto& window = options->pipeline.window;
  const History all = pipeline::normal_rows(series->chunks, everything, {},
                                            {.padding = 0, .max_gap = window.max_gap})
                          .history;
  if (all.size() == 0) return fail(ErrorKind::kInvalid, "all rows of the series are data faults");
  const auto day = std::chrono::microseconds{std::chrono::hours{24}}.count();
  const auto first = std::ranges::lower_bound(all.times, all.times.back() - days * day);
  const History rows =
      rows_of(all, static_cast<std::size_t>(first - all.times.begin()), all.size(), true);

  const auto try_with = [&](const std::vector<Label>& labels) {
    return onsets(*model->scorer, *model->group, *series, rows, labels, options->pipeline);
  };
  const auto before = try_with(labels_of(said->feedback));
  if (!before) return Failure{before.error()};
  const auto after = try_with(labels_with(said->feedback, *feedback));
  if (!after) return Failure{after.error()};

  const std::int64_t step = rows.size() < 2 ? 0
                                            : (rows.times.back() - rows.times.front()) /
                                                  static_cast<std::int64_t>(rows.size() - 1);
  const std::int64_t slack = step * static_cast<std::int64_t>(window.length);
  const auto missing_from = [&](const std::vector<std::int64_t>& some,
                                const std::vector<std::int64_t>& others) {
    std::vector<std::int64_t> alone;
    for (const std::int64_t time : some) {
      const bool has_twin = std::ranges::any_of(
          others, [&](std::int64_t other) { return std::abs(other - time) <= slack; });
      if (!has_twin) alone.push_back(time);
    }
    return alone;
  };
  const auto gone = missing_from(*before, *after), fresh = missing_from(*after, *before);
  std::string text = fmt::format(
      "{} rows of {} in {} days, {} incidents; with incident {} as {}, {} would not have "
      "opened{}\n",
      rows.size(), feedback->series, days, before->size(), feedback->incident, class_of(*feedback),
      gone.size(), gone.empty() ? "" : ":");
  text += table(gone, *known, feedback->series, slack);
  if (!fresh.empty()) {
    text += fmt::format("and {} others would have:\n", fresh.size());
    text += table(fresh, *known, feedback->series, slack);
  }
  return text;
}

}  // namespace anomalyd::tools
