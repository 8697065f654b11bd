#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/batch.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/pipeline/group_facts.hpp"
#include "daemon/pipeline/judged_rows.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/pipeline_options.hpp"
#include "daemon/pipeline/self_test.hpp"

namespace anomalyd::pipeline {

/// Windows of one model group that wait for their residuals, and what is needed to judge them.
struct ScoreRequest {
  struct Row {
    std::uint32_t series = 0;  ///< Index in the pipeline that made the request.
    NotJudged why = NotJudged::kJudged;
    EventTime time;
    Offset offset = 0;
    std::uint32_t gap = 0;  ///< As in History: rows missing before it, or kRestart.
  };
  std::shared_ptr<const LearnedGroup> group;
  bool shadow = false;      ///< Of a challenger: what comes of it is counted and not published.
  Batch batch;              ///< One window for every row that is judged, in the order of `rows`.
  std::vector<Row> rows;    ///< Series by series, each in time order.
  std::vector<double> raw;  ///< [rows x channels], as they came; NaN where missing.

  [[nodiscard]] std::size_t byte_size() const noexcept;
};

/// What a pipeline has done since it was made; plain sums, for metrics.
struct PipelineCounters {
  std::uint64_t samples = 0;
  std::uint64_t late = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t learned = 0;  ///< Read again although the model was learned from them.
  std::uint64_t rows = 0;
  std::uint64_t windows_judged = 0;
  std::uint64_t rows_filling = 0;  ///< Not judged: the window was not full.
  std::uint64_t rows_missing = 0;  ///< Not judged: too much was missing.
  std::uint64_t anomalous_rows = 0;
  std::uint64_t benign_rows = 0;  ///< Would have alerted, but are of a class known to be harmless.
  std::uint64_t incidents_opened = 0;
  std::uint64_t data_faults = 0;
  std::uint64_t series_evicted = 0;
  double judged_seconds = 0;  ///< Event time that the judged windows of all series stand for.

  PipelineCounters& operator+=(const PipelineCounters& other) noexcept;
};

/// Whether more samples will come.
enum class Input : std::uint8_t { kGoesOn, kHasEnded };

/// Readiness of the series of one partition, for `status` and the cold start.
struct Readiness {
  std::size_t warming = 0;      ///< Collecting rows.
  std::size_t waiting = 0;      ///< Enough rows; no model yet.
  std::size_t provisional = 0;  ///< Judged with the calibration of their group.
  std::size_t ready = 0;
  double warming_share = 0;      ///< Mean progress of the warming ones, 0..1.
  std::uint64_t suppressed = 0;  ///< Alerts that the governors held back to keep the budget.
};

/// The whole life of a sample in one partition: window, scaling, batch, verdict, incident.
///
/// The owner feeds blocks, has the requests scored wherever it likes, and hands the residuals back
/// in the order of the requests. Pure and synchronous: the daemon, `replay` and `evaluate` run this
/// same class and get the same scores.
///
/// A series without a model collects its first `training.rows` rows, then waits; its later rows are
/// kept and judged as soon as the model is there, so none goes without a verdict.
class PartitionPipeline {
 public:
  /// Sees every verdict, in order. For `evaluate`, `replay` and tests.
  using VerdictFn = std::function<void(std::string_view series, EventTime, const Verdict&)>;

  PartitionPipeline(PartitionId partition, const PipelineOptions& options);

  /// Takes the samples of a block in. May make score requests and data-fault alerts.
  void ingest(const SampleBlock& block);
  /// The input has ended: rows that wait for late ones are released.
  void flush();
  /// Requests made so far, oldest first; the caller scores them.
  [[nodiscard]] std::vector<ScoreRequest> take_requests();
  /// Judges the rows of a request. Requests come back in the order they were taken.
  void judge(const ScoreRequest& request, Residuals residuals);
  /// Alerts made so far, oldest first.
  [[nodiscard]] std::vector<Alert> take_alerts();

  /// Gives series of this group a model. Those that wait are judged from their first unlearned row
  /// on, new ones start provisional. Those that have another version go on with this one from their
  /// next row: with what it has seen as a challenger, or else as `group` knows them, on the rows
  /// that are in their window. Their open incidents stay open. Only while quiescent.
  void install(const std::shared_ptr<const LearnedGroup>& group);

  /// What came of a challenger so far.
  struct ShadowReport {
    struct Incident {
      std::string series;
      EventTime start;
      bool of_challenger = false;
    };
    std::uint64_t rows = 0;              ///< Judged by the challenger.
    EventTime first = EventTime::max();  ///< Of them.
    EventTime newest = EventTime::min();
    // Incidents that opened, and alerts that the governor held back: what a budget counts.
    std::uint64_t champion_alerts = 0;
    std::uint64_t challenger_alerts = 0;
    std::vector<Incident> incidents;  ///< Opened by either; the first kMostIncidents.

    static constexpr std::size_t kMostIncidents = 1000;
    /// Takes down an incident that opened.
    void note(const std::string& series, EventTime start, bool of_challenger);
    ShadowReport& operator+=(const ShadowReport& other);
  };
  /// Lets `challenger` judge the rows of its group beside the model that decides. Nothing of it is
  /// published. Replaces the challenger before. Only while quiescent.
  void challenge(const std::shared_ptr<const LearnedGroup>& challenger);
  /// Ends that. Only while quiescent.
  void dismiss(const std::string& group_key);
  [[nodiscard]] ShadowReport shadow_report(const std::string& group_key) const;
  /// A shadow request could not be scored: its rows stay unjudged.
  void give_up(const ScoreRequest& request);

  /// The ids of the series that the model of a group judges.
  [[nodiscard]] std::vector<std::string> series_of(const std::string& group_key) const;
  /// All series of a group as they stand, to go on from later. Only while quiescent.
  [[nodiscard]] std::unordered_map<std::string, LearnedGroup::Known> known_series(
      const std::string& group_key) const;

  /// Judged rows in chunks of successive rows of one series, if `training.record` is set.
  [[nodiscard]] std::vector<JudgedRows> take_record();

  /// Begins to keep copies of the next rows of a series, behind a copy of its state: of the next
  /// one in turn that is ready and healthy. Nothing else changes, and samples are no part of what
  /// is saved. Does nothing if there is no such series, or too many are being sampled. Only while
  /// quiescent.
  void begin_sample();
  /// Samples that have all their rows.
  [[nodiscard]] std::vector<LiveSample> take_samples();

  /// Series of one group that have no model.
  struct Candidates {
    std::vector<Channel> channels;
    std::size_t waiting = 0;    ///< Have enough rows.
    std::size_t warming = 0;    ///< Still collect them.
    std::size_t most_rows = 0;  ///< Of the one that waits longest.

    /// Adds those of another partition.
    Candidates& operator+=(Candidates other);
    /// Whether it is time to learn from those that wait: none still collects, or they have waited
    /// long enough for the slower ones, or nothing more will come.
    [[nodiscard]] bool may_be_learned(const TrainingOptions& options, Input input) const noexcept {
      return waiting > 0 &&
             (input == Input::kHasEnded || warming == 0 || most_rows >= options.enough_rows());
    }
  };
  /// By group.
  [[nodiscard]] std::map<std::string, Candidates> candidates() const;
  /// The first `training.rows` rows of every waiting series of a group.
  [[nodiscard]] std::vector<History> training_set(const std::string& group_key) const;

  /// What the series of each group here say about its model, for RetrainPolicy; by group. Those of
  /// other partitions are added to it.
  [[nodiscard]] std::map<std::string, GroupFacts> group_facts() const;
  /// How the scores of normal rows of a group are distributed; nullptr for one that is not here.
  [[nodiscard]] const ScoreDrift* drift(const std::string& group_key) const;

  [[nodiscard]] const PartitionId& partition() const noexcept { return partition_; }
  [[nodiscard]] const PipelineCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] Readiness readiness() const;
  /// Bytes of rows that wait for a model beyond those that training waits for: they come faster
  /// than the model, which may have failed. The owner should take in no more.
  [[nodiscard]] std::size_t overdue_bytes() const noexcept {
    return overdue_rows_ * History::bytes_of_row(columns_.size());
  }
  [[nodiscard]] std::size_t num_series() const noexcept { return index_.size(); }
  [[nodiscard]] EventTime watermark() const noexcept { return watermark_; }
  /// True when every request taken has been judged, so that the state is that of one offset.
  [[nodiscard]] bool quiescent() const noexcept { return requests_out_ == 0 && requests_.empty(); }
  void on_verdict(VerdictFn observer) { observer_ = std::move(observer); }

  /// Writes all state; only while quiescent and with no alerts left to take.
  void save(StateWriter& out) const;
  /// Reads it back into an empty pipeline. Install the groups first: a series of another version of
  /// a model goes on as `install` says; one of a group that is not there starts anew. Errors:
  /// kIncompatible when the bytes are damaged.
  [[nodiscard]] Status load(StateReader& in);

 private:
  struct Group {
    std::shared_ptr<const LearnedGroup> learned;
    std::shared_ptr<const LearnedGroup> challenger;  // judges beside it; may be null
    std::vector<std::size_t> columns;                // where the model's channels are in columns_
    ShadowReport report{};                           // of the challenger
    // Since `learned` began to judge:
    ScoreDrift drift{};
    std::uint64_t normal_rows = 0;
    std::vector<std::uint32_t> new_columns{};  // that series have and it does not, in columns_
  };
  /// What is watched of a series to see whether its model still fits.
  struct Watch {
    std::int64_t pressed_since = 0;   // microseconds; 0: the governor is not at its clamp
    std::int64_t alert_at = 0;        // of the last alert, held back or not
    std::uint64_t held_back = 0;      // alerts of all time
    std::uint32_t unknown = 0;        // leaky count of rows with channels the model lacks
    std::uint16_t since_thinned = 0;  // rows behind the last one that ScoreDrift was offered
    std::uint16_t settling = 0;       // rows to go until an incident is in no score any more
  };
  /// What one model makes of a series.
  struct Lane {
    SeriesTrack track;
    IncidentPolicy incidents;
    std::vector<std::uint32_t> judged;     // fresh rows of the track that get a window
    std::vector<ScoreRequest::Row> fresh;  // rows since the last flush
    std::vector<double> fresh_raw;         // their cells

    void forget_fresh();
  };
  struct Series {
    std::string id;
    Windower windower;
    std::unique_ptr<History> history;    // while there is no model
    std::string group_key;               // of its history so far; empty until it has some rows
    Group* group = nullptr;              // once there is one
    Lane live;                           // of the model that decides
    Watch watch;                         // of that model
    std::unique_ptr<Lane> shadow;        // of a challenger, while there is one
    JudgedRows record;                   // not yet taken
    std::unique_ptr<LiveSample> sample;  // while its rows are copied for a self-test
    bool touched = false;                // listed in touched_
  };

  std::uint32_t find_or_add(std::string_view id);
  void configure(Series& series);
  void on_row(Series& series, const Windower::Row& row);
  [[nodiscard]] Group* group_that_learned(const std::string& series);
  void start_if_known(Series& series);
  void start_if_learned(Series& series);
  [[nodiscard]] bool stands_where_learned(const Series& series) const;
  void start(Series& series, Group& group);
  void watch_unknown_channels(Series& series, const Windower::Row& row);
  void watch_scores(Series& series, EventTime time, const Verdict& verdict, RowMark mark);
  void watch_governor(Series& series) const;
  void watch_anew(Series& series) const;
  void add_to_sample(Series& series, const Windower::Row& row, std::span<const double> values);
  void note_unknown(Series& series, std::size_t column) const;
  [[nodiscard]] bool has_new_channel(const Series& series) const;
  void save_groups(StateWriter& out) const;
  [[nodiscard]] bool load_groups(StateReader& in);
  void evict(Series& series);
  void accept(Series& series, const Windower::Row& row, std::span<const double> values);
  NotJudged accept(Lane& lane, const Windower::Row& row, std::span<const double> values,
                   std::size_t context) const;
  void flush_lane(std::map<const LearnedGroup*, ScoreRequest>& open, std::uint32_t at, Lane& lane,
                  const std::shared_ptr<const LearnedGroup>& learned, bool shadow);
  [[nodiscard]] SeriesTrack track_on(const LearnedGroup& learned, const Series& series) const;
  void replace(Group& group, const std::shared_ptr<const LearnedGroup>& learned);
  void shadow(Series& series);
  void judge_shadow(const ScoreRequest& request, Series& series, std::size_t i,
                    std::span<float> residuals, std::int16_t window_class);
  static void note_incident(Group& group, const std::optional<Alert>& message, bool of_challenger);
  [[nodiscard]] static RowMark mark_of(NotJudged why);
  [[nodiscard]] static RowMark mark_of(const Lane& lane, const Verdict& verdict);
  void record(Series& series, const ScoreRequest& request, std::size_t i, RowMark mark);
  void hand_out_record(Series& series);
  void record_learned(const Series& series, const History& history, std::size_t rows);
  void flush_touched();
  void sweep();
  void publish(const Series& series, const ModelInfo& model, std::optional<Alert> alert);
  void publish_faults(const Series& series, const DataFaults::Events& events, EventTime time,
                      Offset offset);
  void adopt_schema(const std::shared_ptr<const Schema>& schema);
  void look_up_columns(Group& group);
  [[nodiscard]] bool load_series(StateReader& in);
  void judge_row(Series& series, const ScoreRequest& request, std::size_t row, std::size_t window,
                 std::span<float> residuals, std::int16_t window_class);
  [[nodiscard]] std::vector<Alert::Feature> evidence(const Series& series,
                                                     const ScoreRequest& request, std::size_t row,
                                                     std::size_t window,
                                                     std::span<const float> residuals) const;
  [[nodiscard]] std::size_t overdue_rows(const Series& series) const;
  [[nodiscard]] std::vector<Channel> channels_of(const History& history) const;
  [[nodiscard]] Group* group_of(const History& history);

  PartitionId partition_;
  PipelineOptions options_;
  std::shared_ptr<const Schema> schema_;  // of the last block
  std::vector<Channel> columns_;          // of our rows: appended to, never reordered
  std::vector<std::size_t> place_;        // where each column of schema_ is in columns_
  bool in_place_ = true;                  // place_ is the identity
  std::unordered_map<std::string, std::uint32_t> index_;
  std::deque<Series> series_;
  std::vector<std::uint32_t> free_slots_;
  std::map<std::string, Group> groups_;
  std::vector<std::uint32_t> touched_;
  std::vector<ScoreRequest> requests_;
  std::size_t requests_out_ = 0;
  std::size_t overdue_rows_ = 0;
  std::vector<Alert> alerts_;
  std::vector<JudgedRows> record_;
  std::vector<LiveSample> samples_;
  std::size_t next_sampled_ = 0;  // in series_
  std::uint32_t thinning_;        // rows of a series of which ScoreDrift is offered one
  EventTime watermark_{};
  EventTime next_sweep_{};
  Offset last_offset_ = 0;
  std::vector<double> values_;    // scratch: the cells of a group's channels
  std::vector<double> replaced_;  // scratch: a row in our column order
  PipelineCounters counters_;
  VerdictFn observer_;
};

}  // namespace anomalyd::pipeline
