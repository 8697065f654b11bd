#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/gate.hpp"
#include "daemon/pipeline/learning.hpp"
#include "daemon/pipeline/retraining.hpp"
#include "daemon/runtime/model_registry.hpp"
#include "daemon/runtime/service_options.hpp"

namespace anomalyd::runtime {

// From rows to a version in the making, for whoever trains: the daemon, or a command without one.

/// Writes a trained model and the rows it was trained on into a draft. `source` says what trained
/// it, for whoever finds the checkpoint later. Errors: those of ModelFactory::save and write_rows.
[[nodiscard]] Status write_draft(const ModelRegistry::Draft& draft,
                                 const pipeline::Learned& learned,
                                 std::span<const pipeline::History> rows, ModelFactory& factory,
                                 std::string_view source);

/// Has `range` hold the rows of a history of its partition too.
void extend(DataRange& range, const pipeline::History& history);

/// What a challenger is made from.
struct Challenge {
  pipeline::Candidate champion;  ///< Without a scorer where it cannot be compared with.
  pipeline::RetrainingRows rows;
  std::vector<pipeline::Label> labels;              ///< What people have said.
  std::vector<pipeline::RowInterval> excluded;      ///< Was left out besides what is usual.
  std::map<std::string, PartitionId> partition_of;  ///< Of series, as far as that is known.
  pipeline::TrainingStart start = pipeline::TrainingStart::kCold;
  std::string trigger;  ///< "command", "schedule", ...
  std::string why;      ///< A sentence.
};

/// How a challenger is made.
struct ChallengeContext {
  ModelFactory& factory;
  const pipeline::PipelineOptions& pipeline;
  const pipeline::GateOptions& gate;
  const ModelOrigin& origin;
  Clock& clock;
  ProgressFn on_progress;                              ///< Of training.
  std::function<void(const ModelInfo&)> on_trained{};  ///< The gate begins. May be empty.
  std::stop_token stop{};
};

/// How a challenger was trained and judged.
struct ChallengerReport {
  TrainingReport training;
  pipeline::GateReport gate;
  std::optional<pipeline::IncidentDiff> incidents{};  ///< Once it has judged beside the champion.
};
/// As JSON: `losses` by member (null where there is none), `gate` as gate_json has it, `incidents`
/// (null before there are any figures). Names are stable.
[[nodiscard]] std::string to_json(const ChallengerReport& report);

/// A challenger that has been through the gate.
struct Challenger {
  ChallengerReport report;
  std::unique_ptr<Scorer> scorer;                       ///< Null if it did not load.
  std::shared_ptr<const pipeline::LearnedGroup> group;  ///< The same.
  pipeline::Candidate champion;  ///< As it was compared with: calibrated on the same rows.
  Manifest manifest;             ///< For ModelRegistry::add, with the draft.
};

/// Trains a challenger into `draft` and puts it through the gate. A refusal is no error.
///
/// Errors: those of training; kInvalid when there are too few rows, kCancelled when stopped.
[[nodiscard]] Result<Challenger> make_challenger(Challenge challenge,
                                                 const ModelRegistry::Draft& draft,
                                                 const ChallengeContext& context);

/// Whether rows that people call faults are learned from: by a model that tells them apart.
[[nodiscard]] pipeline::Faults faults_for(const ModelInfo& info);

/// What became of the trainings of a group before this program began, as its versions tell.
[[nodiscard]] pipeline::RetrainPolicy::Past past_of(const ModelRegistry::Group& group);

}  // namespace anomalyd::runtime
