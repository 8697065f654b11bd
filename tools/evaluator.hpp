#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tools/evaluation.hpp"
#include "tools/labelled_set.hpp"

namespace anomalyd::tools {

/// Evaluates labelled series on several threads, each with a model factory of its own, and shows
/// how far it is.
class Evaluator {
 public:
  struct Options {
    EvaluationOptions each{};
    /// Checkpoints that series are judged with, by the id of the series; others: `each`.
    std::map<std::string, std::filesystem::path> learned{};
    std::filesystem::path out;  ///< Scores go to <out>/<group>/<entity>.csv.
    std::size_t jobs = 1;       ///< >= 1. Series at the same time.
    std::string what = "evaluating";
  };
  using MakeFactory = std::function<Result<std::unique_ptr<ModelFactory>>()>;
  /// Sees every series once it is judged, one at a time, in no particular order; `index` is that
  /// of its entry.
  using SeriesFn = std::function<void(std::size_t index, const LabelledSeries&, const ScoredRows&,
                                      const SeriesFigures&)>;

  /// `set` must outlive the evaluator.
  Evaluator(Options options, const LabelledSet& set, MakeFactory make_factory, SeriesFn on_series);

  /// The figures of each entry of the set. Errors: the first one of any series, naming it;
  /// kCancelled when interrupted.
  [[nodiscard]] Result<std::vector<SeriesFigures>> run();
  /// What came of retrainings, by series and row.
  [[nodiscard]] std::vector<Retraining> retrainings() const;

 private:
  void work();
  [[nodiscard]] Status evaluate(std::size_t index, ModelFactory& factory);
  void show_progress();

  Options options_;
  const LabelledSet& set_;
  MakeFactory make_factory_;
  SeriesFn on_series_;
  std::vector<std::size_t> order_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> rows_done_{0};
  std::atomic<std::size_t> series_done_{0};
  std::atomic<std::size_t> working_{0};
  std::vector<SeriesFigures> figures_;                // each entry is written by one job
  std::vector<std::vector<Retraining>> retrainings_;  // the same
  std::mutex mutex_;
  std::optional<Error> first_error_;  // guarded by mutex_, as are calls of on_series_
};

}  // namespace anomalyd::tools
