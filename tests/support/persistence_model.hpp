#pragma once

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "daemon/core/model.hpp"

namespace anomalyd::testing {

/// A real, if modest, model without LibTorch: expects every row to be like the one before.
///
/// Tests of everything around a model use it. `fail_next` makes the next calls of score() fail.
class PersistenceScorer final : public Scorer {
 public:
  explicit PersistenceScorer(std::vector<Channel> channels, std::size_t context = 4) {
    info_.kind = "persistence";
    info_.version = "test";
    info_.members = {"persistence"};
    info_.channels = std::move(channels);
    info_.context = context;
    info_.device = "cpu";
  }
  const ModelInfo& info() const override { return info_; }

  Result<Residuals> score(const Batch& batch) override {
    if (!fail_next.empty()) {
      Error error = std::move(fail_next.front());
      fail_next.erase(fail_next.begin());
      return Failure{std::move(error)};
    }
    if (max_windows > 0 && batch.windows.size() > max_windows) {
      return fail(ErrorKind::kExhausted, "out of memory in a test");
    }
    Residuals out{1, batch.channels, {}};
    for (const Batch::Window& window : batch.windows) {
      for (std::size_t c = 0; c < batch.channels; ++c) {
        const std::size_t newest = window.end_row * batch.channels + c;
        out.values.push_back(batch.rows[newest] - batch.rows[newest - batch.channels]);
      }
    }
    ++calls;
    return out;
  }
  Status move_to(std::string_view device) override {
    if (device != "cpu" && device_is_gone) return fail(ErrorKind::kDeviceLost, "still gone");
    info_.device = device;
    return {};
  }

  std::vector<Error> fail_next;
  std::size_t max_windows = 0;  ///< 0: no limit.
  bool device_is_gone = false;
  int calls = 0;

 private:
  ModelInfo info_;
};

/// Makes PersistenceScorers, and keeps them in files as a real factory does.
class PersistenceFactory final : public ModelFactory {
 public:
  Result<std::unique_ptr<Scorer>> train(const TrainingSet& set, const ProgressFn& progress,
                                        std::stop_token stop, TrainingReport& report) override {
    if (failures > 0) {
      --failures;
      return fail(ErrorKind::kExhausted, "failed in a test");
    }
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "stopped");
    if (set.series.empty()) return fail(ErrorKind::kInvalid, "found 0 series; expected 1 or more");
    progress({"persistence", 1.0, 0.0});
    report.windows = set.series.front().rows.size() / set.channels.size();
    ++trained;
    return std::make_unique<PersistenceScorer>(set.channels);
  }

  Status save(const Scorer& scorer, const CheckpointExtras& extras,
              const std::filesystem::path& path) override {
    std::ofstream file{path, std::ios::binary};
    file << scorer.info().channels.size() << '\n';
    for (const Channel& channel : scorer.info().channels) file << channel.name << '\n';
    file.write(reinterpret_cast<const char*>(extras.calibration.data()),
               static_cast<std::streamsize>(extras.calibration.size()));
    if (!file.flush()) return fail(ErrorKind::kExhausted, path.string() + ": cannot write");
    return {};
  }

  Result<LoadedModel> load(const std::filesystem::path& path) override {
    std::ifstream file{path, std::ios::binary};
    std::size_t size = 0;
    if (!(file >> size)) return fail(ErrorKind::kInvalid, path.string() + ": cannot read");
    file.ignore();
    std::vector<Channel> channels(size);
    for (Channel& channel : channels) std::getline(file, channel.name);
    const std::string rest{std::istreambuf_iterator<char>{file}, {}};
    LoadedModel loaded{std::make_unique<PersistenceScorer>(channels), {}};
    loaded.extras.calibration.resize(rest.size());
    std::memcpy(loaded.extras.calibration.data(), rest.data(), rest.size());
    return loaded;
  }

  int trained = 0;
  int failures = 0;  ///< So many calls of train() fail.
};

}  // namespace anomalyd::testing
