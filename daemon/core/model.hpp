#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/batch.hpp"
#include "daemon/core/memory.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/sample.hpp"

namespace anomalyd {

/// What the names of classes begin with: of faults, of harmless patterns, of kinds of normal.
inline constexpr std::string_view kNormalClass = "normal";
inline constexpr std::string_view kFaultClass = "fault: ";
inline constexpr std::string_view kBenignClass = "benign: ";
inline constexpr std::string_view kRegimeClass = "regime ";

/// What a trained model is, as alerts, `status` and logs name it.
struct ModelInfo {
  std::string kind;                  ///< "pca", "dense_ae", "vae", "predictor" or "ensemble".
  std::string version;               ///< First 12 hex digits of the sha256 of its weights.
  std::vector<std::string> members;  ///< At least one; for a single model its kind.
  std::string choice;                ///< Why these members, a sentence; empty if they were named.
  std::vector<Channel> channels;     ///< The columns it was trained with, in order.
  std::size_t context = 0;           ///< Rows in a window, the newest one included.
  std::vector<std::string> slots;    ///< Series with weights of their own: slot i + 1 is slots[i].
  /// Series that a model with that condition tells apart: entity i + 1 is entities[i].
  std::vector<std::string> entities;
  /// What a model that tells kinds of windows apart calls them: "normal", "benign: backup",
  /// "fault: pump", "regime 2".
  std::vector<std::string> classes;
  /// What it calls a window of this class; empty for -1, and for what is plainly normal.
  [[nodiscard]] std::string_view class_name(std::int16_t index) const {
    const auto i = static_cast<std::size_t>(index);
    if (index < 0 || i >= classes.size() || classes[i] == kNormalClass) return {};
    return classes[i];
  }
  /// Whether classes are regimes: kinds of normal, each with a tail of its own.
  [[nodiscard]] std::size_t num_regimes() const {
    return !classes.empty() && classes.front().starts_with(kRegimeClass) ? classes.size() : 0;
  }
  std::string device;  ///< "cpu" or "cuda:0": where it scores now.
  /// The members with a memory, and how many numbers are in their code of one channel. Their
  /// residuals are distances: they know how far off a row is, not what was expected of it.
  std::vector<std::size_t> recalling;
  std::vector<std::uint32_t> code_widths;
};

/// Turns windows into residuals.
///
/// Threads  one call at a time; the runtime calls it from the scoring thread only.
/// Errors   kExhausted when the device is out of memory: halve the batch and call again.
///          kIncompatible when channels or context differ from the model's. kDeviceLost when the
///          accelerator is gone. After any error the scorer is still usable.
class Scorer {
 public:
  virtual ~Scorer() = default;
  [[nodiscard]] virtual const ModelInfo& info() const = 0;
  [[nodiscard]] virtual Result<Residuals> score(const Batch& batch) = 0;
  /// The memory of a series that begins with `rows` ([n x channels], as in a Batch) and has
  /// `learned` rows to learn from in all. The rows behind `rows` are scored with it as they come,
  /// and it takes the rest of the learned ones in when their last one has been scored. Empty if no
  /// member has a memory.
  [[nodiscard]] virtual Result<Memory> memorize(std::span<const float> /*rows*/,
                                                std::uint32_t /*slot*/, std::size_t /*learned*/) {
    return Memory{};
  }
  /// Moves the weights to another device ("cpu", "cuda:0").
  [[nodiscard]] virtual Status move_to(std::string_view device) = 0;
};

/// Rows to learn from, one entry per series. All series have the same channels.
struct TrainingSet {
  struct Series {
    std::string id;
    std::vector<float> rows;  ///< [num_rows x channels], scaled; NaN where missing. In time order.
    std::vector<std::int64_t> times{};   ///< Microseconds, one per row; all 0 if empty.
    std::vector<std::int16_t> labels{};  ///< Index of a class, or -1, per row; all -1 if empty.
    /// Rows, in order, that do not follow on the one before them: no window spans one.
    std::vector<std::size_t> breaks{};
  };
  std::vector<Channel> channels;
  std::vector<Series> series;
  /// What labels mean; the first one is what rows without a label most likely are.
  std::vector<std::string> classes{};
  /// A model of the same factory: networks begin at its weights where theirs have the same shapes,
  /// series by series. nullptr begins anew.
  const Scorer* start = nullptr;
};

/// Where a training run stands, for progress lines, metrics and `status`.
struct TrainingProgress {
  std::string_view stage;  ///< Which member is being fitted.
  double share = 0;        ///< Of the whole run, 0..1.
  double loss = 0;         ///< Newest validation loss; NaN for closed forms.
};
using ProgressFn = std::function<void(const TrainingProgress&)>;

/// What training did, for the report at its end.
struct TrainingReport {
  struct Member {
    std::string name;
    std::size_t parameters = 0;
    /// Mean squared residual of the newest row, rows fitted on; NaN for a memory.
    double fit_loss = 0;
    double validation_loss = 0;  ///< The same on the later rows kept out; NaN without any.
    int epochs = 0;              ///< 0 for closed forms.
    /// Floating-point operations to score one window, two for a multiplication and its addition.
    double operations = 0;
  };
  std::vector<Member> members;
  std::vector<std::string> notes;  ///< Where the model is not as it was asked for: sentences.
  std::size_t windows = 0;
  double seconds = 0;
};

/// Bytes that the daemon keeps with the weights: scalers, calibration and provenance.
struct CheckpointExtras {
  std::string provenance_json;  ///< A JSON object: where the training rows came from, options.
  std::vector<std::byte> calibration;  ///< Opaque to models/; see pipeline::LearnedGroup.
};

/// A scorer read from a checkpoint together with what was stored beside it.
struct LoadedModel {
  std::unique_ptr<Scorer> scorer;
  CheckpointExtras extras;
};

/// Trains models and reads and writes checkpoints. The only port into models/.
///
/// Threads  train() may run beside one thread that scores; each call on one thread at a time.
class ModelFactory {
 public:
  virtual ~ModelFactory() = default;

  /// Fits a model to `set`. Only the given rows are used; the caller keeps calibration rows back.
  /// Errors: kInvalid (too few rows: the message says how many are needed), kCancelled.
  [[nodiscard]] virtual Result<std::unique_ptr<Scorer>> train(const TrainingSet& set,
                                                              const ProgressFn& progress,
                                                              std::stop_token stop,
                                                              TrainingReport& report) = 0;

  /// Writes `scorer` atomically: a reader sees the old file or the whole new one.
  [[nodiscard]] virtual Status save(const Scorer& scorer, const CheckpointExtras& extras,
                                    const std::filesystem::path& path) = 0;

  /// Reads a checkpoint, which is treated as hostile: sizes, shapes and the sha256 are checked
  /// before anything is allocated. Errors: kInvalid (no such file), kIncompatible (damaged, or of
  /// another format version; the message says what was found and expected), kNotFinite.
  [[nodiscard]] virtual Result<LoadedModel> load(const std::filesystem::path& path) = 0;
};

}  // namespace anomalyd
