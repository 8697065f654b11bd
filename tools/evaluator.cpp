#include "tools/evaluator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <thread>
#include <utility>

#include "tools/interrupt.hpp"
#include "tools/pace.hpp"
#include "tools/progress.hpp"

namespace anomalyd::tools {
namespace {

/// An entity may be named by a path, and is one file nevertheless.
std::string file_name(std::string entity) {
  std::ranges::replace(entity, '/', '_');
  return entity + ".csv";
}

}  // namespace

Evaluator::Evaluator(Options options, const LabelledSet& set, MakeFactory make_factory,
                     SeriesFn on_series)
    : options_{std::move(options)},
      set_{set},
      make_factory_{std::move(make_factory)},
      on_series_{std::move(on_series)},
      order_(set.entries.size()),
      figures_(set.entries.size()),
      retrainings_(set.entries.size()) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::ranges::stable_sort(order_,
                           std::greater<>{},  // the longest first, so that jobs end together
                           [&](std::size_t i) { return set_.entries[i].rows; });
}

Result<std::vector<SeriesFigures>> Evaluator::run() {
  const std::size_t jobs = std::min(options_.jobs, std::max<std::size_t>(order_.size(), 1));
  working_ = jobs;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < jobs; ++i) {
    threads.emplace_back([this] {
      work();
      --working_;
    });
  }
  show_progress();
  threads.clear();
  if (first_error_) return Failure{*first_error_};
  if (interrupted()) return fail(ErrorKind::kCancelled, "interrupted");
  return std::move(figures_);
}

std::vector<Retraining> Evaluator::retrainings() const {
  std::vector<Retraining> all;
  for (const auto& one : retrainings_) all.insert(all.end(), one.begin(), one.end());
  return all;
}

void Evaluator::work() {
  const auto factory = make_factory_();
  while (!interrupted()) {
    const std::size_t turn = next_++;
    if (turn >= order_.size()) return;
    const std::size_t index = order_[turn];
    auto done = factory ? evaluate(index, **factory) : Failure{factory.error()};
    if (!done) {
      const std::lock_guard lock{mutex_};
      if (!first_error_) {
        first_error_ = std::move(done.error()).while_doing(set_.entries[index].id());
      }
      next_ = order_.size();
      return;
    }
    ++series_done_;
  }
}

Status Evaluator::evaluate(std::size_t index, ModelFactory& factory) {
  const Dataset::Entry& entry = set_.entries[index];
  const auto series = set_.read(entry);
  if (!series) return Failure{series.error()};
  EvaluationOptions options = options_.each;
  if (const auto model = options_.learned.find(entry.id()); model != options_.learned.end()) {
    options.checkpoints = {model->second};
  }
  std::size_t told = 0;
  auto scored =
      score_series(*series, entry.id(), entry.train_end, options, factory, [&](std::size_t rows) {
        rows_done_ += rows - told;
        told = rows;
      });
  if (!scored) return Failure{scored.error()};
  const auto path = options_.out / entry.group / file_name(entry.entity);
  if (auto written = write_scores(path, *series, *scored); !written) return written;
  figures_[index] =
      measure(entry.group, entry.entity, judged_rows(*series, *scored, entry.train_end));
  retrainings_[index] = std::move(scored->retrainings);
  if (!on_series_) return {};
  const std::lock_guard lock{mutex_};
  on_series_(index, *series, *scored, figures_[index]);
  return {};
}

void Evaluator::show_progress() {
  std::size_t total = 0;
  for (const auto& entry : set_.entries) total += entry.rows;
  Progress progress{options_.what, "rows", total};
  const auto update = [&] {
    progress.update(rows_done_, fmt::format("{} of {} series", series_done_.load(), order_.size()));
  };
  while (working_ > 0) {
    update();
    wait_unless(interrupted(), std::chrono::milliseconds{100});
  }
  update();
}

}  // namespace anomalyd::tools
