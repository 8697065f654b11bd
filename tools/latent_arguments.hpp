#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "daemon/core/result.hpp"
#include "tools/feed_arguments.hpp"
#include "tools/fleet.hpp"
#include "tools/history_collector.hpp"
#include "tools/latent_model.hpp"

namespace CLI {
class App;
}

namespace anomalyd::tools {

/// A model and the series that it is applied to.
struct LatentInput {
  LatentModel model;
  std::vector<ScaledSeries> series;
};

/// Where the model and the rows of `embed`, `generate`, `fill` and `disentangle` come from.
struct LatentArguments {
  std::string checkpoint;
  bool train = false;
  std::string kind;  ///< Of --train.
  std::string member;
  std::string config_file;
  std::optional<std::uint64_t> seed;
  std::string device;
  FeedArguments feed;
  CsvColumns columns;
  bool fleet = false;
  std::size_t max_rows = 50'000;
  std::size_t max_gap = 64;

  enum class Model : std::uint8_t { kAny, kAlwaysTrained };
  /// Adds the input, --config and, unless a model is always trained, the choice of one.
  void add_to(CLI::App& command, Model model);

  /// What each command wants where the command line says nothing.
  struct Defaults {
    std::string kind = "dense_ae";
    models::Corruption corruption = models::Corruption::kNone;
    LatentModel::Need need = LatentModel::Need::kCodes;
    Fleet::Options fleet{};
    /// Whether a model is trained without the rows that checks hold out: see HeldOut.
    bool hold_out = false;
    /// Files that will be written, so that nobody learns for minutes to find that they cannot be.
    std::vector<std::string> outputs{};
  };
  /// Options of the configuration and the command line. Errors: kInvalid; kUnavailable for an
  /// output that cannot be written.
  [[nodiscard]] Result<config::Options> options(const Defaults& defaults) const;
  /// The rows of the input, all of whose series have the same channels. Errors: kInvalid, naming
  /// the channels of each group of series.
  [[nodiscard]] Result<HistoryCollector::Group> rows(const config::Options& options,
                                                     const Defaults& defaults) const;
  /// The rows of the input with the model of the checkpoint, or one that is trained on them. Series
  /// that have not the channels of the checkpoint are left out, and named on stderr.
  [[nodiscard]] Result<LatentInput> load(const Defaults& defaults) const;

 private:
  [[nodiscard]] Result<std::unique_ptr<SampleFeed>> open(const config::Options& options,
                                                         const Defaults& defaults) const;
  [[nodiscard]] Result<HistoryCollector> collect(const config::Options& options,
                                                 const Defaults& defaults) const;
  [[nodiscard]] Result<LatentInput> load_checkpoint(const Defaults& defaults) const;
  [[nodiscard]] Result<LatentInput> learn(const Defaults& defaults) const;
};

}  // namespace anomalyd::tools
