#include "models/torch_models.hpp"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <set>
#include <span>
#include <sstream>
#include <utility>

#include "daemon/core/time.hpp"
#include "models/checkpoint.hpp"
#include "models/device.hpp"
#include "models/memory_torch.hpp"
#include "models/plan.hpp"
#include "models/registry_torch.hpp"
#include "models/scorer_torch.hpp"
#include "models/tensor_torch.hpp"

namespace anomalyd::models {
namespace {

using Options = TorchModelFactory::Options;

constexpr std::size_t kMinRows = 16;
constexpr std::size_t kMinWindowsOfOwnSlot = 4;  // a series with fewer uses the pooled slot
constexpr std::int64_t kReportedWindows = 4096;  // that the losses of a report are taken from

Status check(const TrainingSet& set) {
  const std::size_t channels = set.channels.size();
  if (channels == 0) {
    return fail(ErrorKind::kInvalid, "training set: found no channels; expected at least 1");
  }
  if (set.classes.size() > kMostClasses) {
    return fail(ErrorKind::kInvalid, "training set: found " + std::to_string(set.classes.size()) +
                                         " classes; expected at most " +
                                         std::to_string(kMostClasses));
  }
  std::size_t longest = 0;
  for (const auto& series : set.series) {
    if (series.rows.size() % channels != 0) {
      return fail(ErrorKind::kInvalid,
                  "series '" + series.id + "': found " + std::to_string(series.rows.size()) +
                      " values; expected a multiple of " + std::to_string(channels) + " channels");
    }
    for (const std::size_t found : {series.times.size(), series.labels.size()}) {
      if (found == 0 || found == series.rows.size() / channels) continue;
      return fail(ErrorKind::kInvalid, "series '" + series.id + "': found " +
                                           std::to_string(found) +
                                           " times or labels; expected none or one of each row");
    }
    longest = std::max(longest, series.rows.size() / channels);
  }
  if (longest < kMinRows) {
    return fail(ErrorKind::kInvalid, "training set: found " + std::to_string(longest) +
                                         " rows in the longest series; expected at least " +
                                         std::to_string(kMinRows));
  }
  return {};
}

// The series that get weights of their own. One series alone is what the pooled slot learns.
std::vector<std::size_t> own_slots(const TrainingSet& set, const Options& options,
                                   ModelScope scope) {
  std::vector<std::size_t> result;
  if (scope == ModelScope::kPooled || set.series.size() < 2) return result;
  const std::size_t cells = kMinWindowsOfOwnSlot * options.window * set.channels.size();
  for (std::size_t i = 0; i < set.series.size(); ++i) {
    if (set.series[i].rows.size() >= cells) result.push_back(i);
  }
  return result;
}

// Mean squared residual of the newest row, over observed cells: what reports compare kinds by.
double newest_row_loss(const Member& member, const TrainingRows& rows, std::int64_t slot,
                       const at::Tensor& window_ends) {
  const at::Tensor ends = thin_out(window_ends, kReportedWindows).to(rows.values.device());
  if (ends.size(0) == 0) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::int64_t> lags = member.lags();
  const auto cells = static_cast<std::int64_t>(lags.size()) * rows.channels();
  std::vector<at::Tensor> parts;
  for (const at::Tensor& some : ends.split(windows_at_once(cells))) {
    const at::Tensor newest = rows.values.index_select(0, some);
    at::Tensor inputs = gather(rows.values, some, lags);
    if (const Conditions* conditions = member.conditions(); conditions != nullptr) {
      inputs = at::cat({inputs, conditions_at(rows, *conditions, some)}, -1);
    }
    parts.push_back(member.residuals(inputs, newest, SlotChoice{slot}).square());
  }
  const at::Tensor square = at::cat(parts);
  if (!rows.observed.defined()) return square.mean().item<double>();
  const at::Tensor observed = rows.observed.index_select(0, ends);
  return ((square * observed).sum() / observed.sum().clamp_min(1)).item<double>();
}

// Losses of the pooled slot, or the means over series that have weights of their own.
TrainingReport::Member report_of(const NamedMember& entry, const TrainingRows& rows, int epochs) {
  const std::int64_t context = entry.member->lags().front() + 1;
  const std::int64_t first = rows.num_slots() > 1 ? 1 : 0;
  TrainingReport::Member report{.name = entry.name,
                                .parameters = entry.member->num_parameters(),
                                .epochs = epochs,
                                .operations = entry.member->operations()};
  if (entry.member->recalls()) {
    // What it knows is in the memory of each series, which is yet to come.
    report.fit_loss = report.validation_loss = std::numeric_limits<double>::quiet_NaN();
    return report;
  }
  for (std::int64_t slot = first; slot < rows.num_slots(); ++slot) {
    const bool closed_form = epochs == 0;
    const EndSplit split = split_in_time(rows, slot, context);
    const double weight = 1.0 / static_cast<double>(rows.num_slots() - first);
    report.fit_loss +=
        weight * newest_row_loss(*entry.member, rows, slot,
                                 closed_form ? rows.window_ends(slot, context) : split.fit);
    report.validation_loss +=
        closed_form ? std::numeric_limits<double>::quiet_NaN()
                    : weight * newest_row_loss(*entry.member, rows, slot, split.validation);
  }
  return report;
}

FitRun make_run(const Options& options, std::stop_token stop) {
  return {{.epochs = static_cast<std::int64_t>(options.epochs),
           .patience = static_cast<std::int64_t>(options.patience),
           .batch = static_cast<std::int64_t>(options.batch),
           .max_windows = static_cast<std::int64_t>(options.max_windows),
           .learning_rate = options.learning_rate,
           .seed = options.seed,
           .corruption = options.corruption,
           .amount = options.corruption_amount},
          {},
          std::move(stop),
          {}};
}

// On an accelerator, what this thread does goes to a stream of its own while this lives, so that
// batches that are scored meanwhile need not wait for it. Nothing on a CPU.
class OwnStream {
 public:
  explicit OwnStream(const at::Device& device) {
    if (device.is_cpu()) return;
    guard_.reset_stream(c10::impl::VirtualGuardImpl{device.type()}.getStreamFromGlobalPool(device));
  }
  // Before another stream uses what was computed on this one.
  void finish() const {
    if (const auto stream = guard_.current_stream()) stream->synchronize();
  }

 private:
  c10::OptionalStreamGuard guard_;
};

std::string to_text(const std::vector<double>& values) {
  std::ostringstream text;
  for (const double value : values) text << (text.tellp() > 0 ? "-" : "") << value;
  return text.str();
}

// In what a fitted member is not as it was asked for: "dense_ae: window 16 instead of 32".
void add_notes(const MemberSpec& asked, const Member& fitted, std::vector<std::string>& notes) {
  const MemberOptions got = fitted.options();
  for (const char* name : {"window", "lags", "hidden", "latent"}) {
    const auto before = asked.options.find(name), after = got.find(name);
    if (before == asked.options.end() || after == got.end()) continue;
    if (before->second == after->second) continue;
    notes.push_back(asked.name + ": " + name + " " + to_text(after->second) + " instead of " +
                    to_text(before->second) + ", for want of rows or channels");
  }
  if (asked.options.contains("regimes") && fitted.num_classes() == 1) {
    notes.push_back(asked.name + ": one regime; no groups of windows lie well apart");
  }
}

// Fits the planned members one after the other. Faults among labelled rows teach only what tells
// classes apart.
//
// `start` may be null; `own` are the series with slots of their own.
Result<std::vector<NamedMember>> fit_all(const Plan& plan, const TrainingRows& all_rows, FitRun run,
                                         const TorchScorer* start, std::span<const std::string> own,
                                         const ProgressFn& progress, TrainingReport& report) {
  std::vector<NamedMember> members;
  for (const MemberSpec& spec : plan.members) {
    if (run.stop.stop_requested()) return fail(ErrorKind::kCancelled, "training was stopped");
    auto member = make_member(spec);
    if (!member) return Failure{std::move(member.error())};
    run.progress = [&](double share, double loss) {
      const double done = static_cast<double>(members.size()) + share;
      if (progress) progress({spec.name, done / static_cast<double>(plan.members.size()), loss});
    };
    run.progress(0, std::numeric_limits<double>::quiet_NaN());
    TrainingRows rows = all_rows;
    if ((*member)->num_classes() == 0) rows.labels = at::Tensor{};
    if (plan.scope == ModelScope::kPooledNetworks && (*member)->is_network()) rows.slots.resize(1);
    if (start != nullptr && (*member)->is_network()) run.start = start->weights_of(spec, own);
    auto fitted = (*member)->fit(rows, run);
    if (!fitted) return Failure{std::move(fitted.error())};
    add_notes(spec, **member, report.notes);
    (*member)->adopt(std::move(fitted->weights), {rows.num_slots(), rows.channels()});
    members.push_back({spec.name, std::move(*member)});
    report.members.push_back(report_of(members.back(), rows, fitted->epochs));
  }
  if (progress) progress({plan.members.back().name, 1, std::numeric_limits<double>::quiet_NaN()});
  return members;
}

// Series that the members tell apart.
std::int64_t num_entities(const std::vector<NamedMember>& members) {
  std::int64_t entities = 0;
  for (const NamedMember& entry : members) {
    const Conditions* conditions = entry.member->conditions();
    if (conditions != nullptr) entities = std::max(entities, conditions->entities);
  }
  return entities;
}

// Kinds of windows that the members tell apart.
std::int64_t num_classes(const std::vector<NamedMember>& members) {
  std::int64_t classes = 0;
  for (const NamedMember& entry : members) {
    classes = std::max(classes, entry.member->num_classes());
  }
  return classes;
}

// What they are called: as the training set calls them, or regimes.
std::vector<std::string> classes_of(const std::vector<NamedMember>& members,
                                    const TrainingSet& set) {
  std::vector<std::string> names;
  const auto count = static_cast<std::size_t>(num_classes(members));
  const bool by_labels = std::ranges::none_of(members, [](const NamedMember& entry) {
    return entry.member->options().contains("regimes");
  });
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back(by_labels ? set.classes[i] : std::string{kRegimeClass} + std::to_string(i + 1));
  }
  return names;
}

// Names of classes are in alerts.
Status check_classes(const std::vector<std::string>& classes) {
  constexpr std::size_t kLongest = 200;
  std::set<std::string_view> seen;
  for (const std::string& name : classes) {
    if (name.empty() || name.size() > kLongest || !seen.insert(name).second) {
      return fail(ErrorKind::kIncompatible, "classes: found '" + name.substr(0, kLongest) +
                                                "' of " + std::to_string(name.size()) +
                                                " bytes; expected different names of 1.." +
                                                std::to_string(kLongest));
    }
  }
  return {};
}

// A checkpoint names as many as its members need.
Status check_names(const Checkpoint& checkpoint, const std::vector<NamedMember>& members) {
  const auto expect = [](std::string_view what, std::size_t found,
                         std::int64_t expected) -> Status {
    if (found == static_cast<std::size_t>(expected)) return {};
    return fail(ErrorKind::kIncompatible, std::string{what} + ": found " + std::to_string(found) +
                                              " names; expected " + std::to_string(expected));
  };
  if (Status ok = expect("entities", checkpoint.entities.size(), num_entities(members)); !ok) {
    return ok;
  }
  const auto classifiers = std::ranges::count_if(
      members, [](const NamedMember& entry) { return entry.member->num_classes() > 0; });
  if (classifiers > 1) {
    return fail(ErrorKind::kIncompatible, "classes: found " + std::to_string(classifiers) +
                                              " members that tell some; expected one at most");
  }
  if (Status ok = expect("classes", checkpoint.classes.size(), num_classes(members)); !ok) {
    return ok;
  }
  return check_classes(checkpoint.classes);
}

// Copies the weights of one member out of a checkpoint after comparing every shape with what its
// kind and options ask for.
Result<std::vector<at::Tensor>> read_weights(const StoredMember& stored, const Member& member,
                                             const ModelShape& shape) {
  const std::vector<WeightShape> expected = member.shapes(shape);
  const auto describe = [](const std::vector<std::int64_t>& sizes) {
    std::string text;
    for (const std::int64_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
    return text;
  };
  if (stored.weights.size() != expected.size()) {
    return fail(ErrorKind::kIncompatible, "member '" + stored.spec.name + "': found " +
                                              std::to_string(stored.weights.size()) +
                                              " weights; expected " +
                                              std::to_string(expected.size()));
  }
  std::vector<at::Tensor> weights;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const StoredWeight& weight = stored.weights[i];
    if (weight.name != expected[i].name || weight.sizes != expected[i].sizes) {
      return fail(ErrorKind::kIncompatible,
                  "member '" + stored.spec.name + "': found weight '" + weight.name +
                      "' of shape " + describe(weight.sizes) + "; expected '" + expected[i].name +
                      "' of shape " + describe(expected[i].sizes));
    }
    weights.push_back(at::empty(weight.sizes, at::kFloat));
    std::memcpy(weights.back().data_ptr(), weight.bytes.data(), weight.bytes.size());
    if (!weights.back().isfinite().all().item<bool>()) {
      return fail(ErrorKind::kNotFinite, "member '" + stored.spec.name + "': found weight '" +
                                             weight.name +
                                             "' with values that are no numbers; expected "
                                             "finite ones");
    }
  }
  return weights;
}

// Whether all slots of the model share its weights.
bool is_shared(const StoredMember& stored) { return stored.spec.options.contains(kPooledOption); }

Result<std::vector<NamedMember>> read_members(const Checkpoint& checkpoint) {
  const ModelShape shape{static_cast<std::int64_t>(checkpoint.slots.size()) + 1,
                         static_cast<std::int64_t>(checkpoint.channels.size())};
  std::vector<NamedMember> members;
  for (const StoredMember& stored : checkpoint.members) {
    auto member = make_member(stored.spec);
    if (!member) return fail(ErrorKind::kIncompatible, std::move(member.error().message));
    if (const Conditions* conditions = (*member)->conditions(); conditions != nullptr) {
      for (const std::int64_t field : conditions->fields) {
        if (field < shape.channels) continue;
        return fail(ErrorKind::kIncompatible, "member '" + stored.spec.name +
                                                  "': found a condition on channel " +
                                                  std::to_string(field) + "; expected less than " +
                                                  std::to_string(shape.channels));
      }
    }
    const ModelShape own{is_shared(stored) ? 1 : shape.slots, shape.channels};
    auto weights = read_weights(stored, **member, own);
    if (!weights) return Failure{std::move(weights.error())};
    (*member)->adopt(std::move(*weights), own);
    members.push_back({stored.spec.name, std::move(*member)});
  }
  return members;
}

// The scorers of this process all come from this factory.
TorchScorer* as_torch(Scorer& scorer) { return dynamic_cast<TorchScorer*>(&scorer); }

Failure not_ours() {
  return fail(ErrorKind::kInvalid, "scorer: found one of another factory; expected LibTorch's");
}

}  // namespace

Result<std::unique_ptr<TorchModelFactory>> TorchModelFactory::create(Options options) {
  if (const Status ok = check_options(options); !ok) return Failure{ok.error()};
  auto device = pick_device(options.device);
  if (!device) return Failure{std::move(device.error())};
  options.device = std::move(*device);
  options.threads = resolve_threads(options.threads);
  return std::unique_ptr<TorchModelFactory>{new TorchModelFactory{std::move(options)}};
}

Result<std::unique_ptr<Scorer>> TorchModelFactory::train(const TrainingSet& set,
                                                         const ProgressFn& progress,
                                                         std::stop_token stop,
                                                         TrainingReport& report) {
  if (const Status ok = check(set); !ok) return Failure{ok.error()};
  const auto plan = plan_members(options_, set);
  if (!plan) return Failure{plan.error()};
  return without_exceptions([&]() -> Result<std::unique_ptr<Scorer>> {
    const at::NoGradGuard no_grad;
    at::set_num_threads(static_cast<int>(options_.threads));
    const OwnStream stream{at::Device{options_.device}};
    const MonotonicTime start = system_clock().monotonic();
    const std::vector<std::size_t> own = own_slots(set, options_, plan->scope);
    const TrainingRows rows = make_training_rows(set, own, options_.device);
    report = {};
    ModelInfo info;
    for (const std::size_t i : own) info.slots.push_back(set.series[i].id);
    auto members =
        fit_all(*plan, rows, make_run(options_, std::move(stop)),
                dynamic_cast<const TorchScorer*>(set.start), info.slots, progress, report);
    if (!members) return Failure{std::move(members.error())};

    info.choice = plan->choice;
    info.channels = set.channels;
    info.device = options_.device;
    if (const auto entities = num_entities(*members); entities > 0) {
      for (const auto& series : set.series) info.entities.push_back(series.id);
    }
    info.classes = classes_of(*members, set);
    if (options_.device != "cpu") {
      report.notes.push_back("trained on " + options_.device +
                             ": the same seed and rows may give other weights there; on a CPU they "
                             "give the same");
    }
    auto scorer =
        std::make_unique<TorchScorer>(std::move(info), std::move(*members), options_.threads);
    const auto context = static_cast<std::int64_t>(scorer->info().context);
    report.windows = static_cast<std::size_t>(rows.window_ends(0, context).size(0));
    stream.finish();
    report.seconds = std::chrono::duration<double>(system_clock().monotonic() - start).count();
    return scorer;
  });
}

Status TorchModelFactory::save(const Scorer& scorer, const CheckpointExtras& extras,
                               const std::filesystem::path& path) {
  const auto* ours = dynamic_cast<const TorchScorer*>(&scorer);
  if (ours == nullptr) return not_ours();
  return without_exceptions([&]() -> Status {
    std::vector<at::Tensor> storage;
    Checkpoint checkpoint = ours->to_checkpoint(storage);
    checkpoint.extras = extras;
    return write_atomically(path, encode(checkpoint));
  });
}

Result<LoadedModel> TorchModelFactory::load(const std::filesystem::path& path) {
  return without_exceptions([&]() -> Result<LoadedModel> {
    const auto bytes = read_file(path);
    if (!bytes) return Failure{bytes.error()};
    auto checkpoint = decode(*bytes);
    if (!checkpoint) return fail(std::move(checkpoint.error()), path.string());
    const at::NoGradGuard no_grad;
    auto members = read_members(*checkpoint);
    if (!members) return fail(std::move(members.error()), path.string());
    if (Status ok = check_names(*checkpoint, *members); !ok) {
      return fail(Error{ok.error()}, path.string());
    }

    ModelInfo info;
    info.choice = std::move(checkpoint->choice);
    info.channels = std::move(checkpoint->channels);
    info.slots = std::move(checkpoint->slots);
    info.entities = std::move(checkpoint->entities);
    info.classes = std::move(checkpoint->classes);
    info.device = options_.device;
    auto scorer =
        std::make_unique<TorchScorer>(std::move(info), std::move(*members), options_.threads);
    return LoadedModel{std::move(scorer), std::move(checkpoint->extras)};
  });
}

Result<Reconstruction> reconstruct(Scorer& scorer, const Batch& batch, std::size_t member) {
  TorchScorer* ours = as_torch(scorer);
  if (ours == nullptr) return not_ours();
  auto expected = ours->reconstruct(batch, member);
  if (!expected) return Failure{std::move(expected.error())};
  return Reconstruction{ours->window(member), std::move(*expected)};
}

Result<Codes> encode(Scorer& scorer, const Batch& batch, std::size_t member) {
  TorchScorer* ours = as_torch(scorer);
  if (ours == nullptr) return not_ours();
  return ours->encode(batch, member);
}

Result<std::vector<float>> decode(Scorer& scorer, const Codes& codes, std::uint32_t slot,
                                  std::size_t member) {
  TorchScorer* ours = as_torch(scorer);
  if (ours == nullptr) return not_ours();
  return ours->decode(codes, slot, member);
}

Result<std::vector<float>> reconstruction_errors(Scorer& scorer, const Batch& batch,
                                                 std::size_t member) {
  TorchScorer* ours = as_torch(scorer);
  if (ours == nullptr) return not_ours();
  return ours->errors(batch, member);
}

}  // namespace anomalyd::models
