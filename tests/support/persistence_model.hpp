#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "daemon/core/model.hpp"

namespace anomalyd::testing {

/// A real, if modest, model without LibTorch: expects every row to be like the one before. Its
/// second member remembers that row instead of looking it up, so that a memory which is lost, old
/// or another series' makes a difference.
///
/// Tests of everything around a model use it. `fail_next` makes the next calls of score() fail.
class PersistenceScorer final : public Scorer {
 public:
  explicit PersistenceScorer(std::vector<Channel> channels, std::size_t context = 4,
                             std::string version = "test") {
    info_.kind = "persistence";
    info_.version = std::move(version);
    info_.members = {"persistence", "memory"};
    info_.recalling = {1};
    info_.code_widths = {1};
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
    Residuals out{2, batch.channels, {}};
    for (const Batch::Window& window : batch.windows) {
      const std::span all{batch.rows};
      const auto newest = all.subspan(window.end_row * batch.channels, batch.channels);
      const auto before = all.subspan((window.end_row - 1) * batch.channels, batch.channels);
      const std::vector<float> known = newest_code(*window.memory, batch.channels);
      for (std::size_t c = 0; c < newest.size(); ++c) out.values.push_back(newest[c] - before[c]);
      for (std::size_t c = 0; c < newest.size(); ++c) {
        out.values.push_back(std::abs(newest[c] - known[c]));
      }
      if (!window.memory->is_fixed()) remember(*window.memory, newest);
    }
    ++calls;
    return out;
  }
  Result<Memory> memorize(std::span<const float> rows, std::uint32_t /*slot*/,
                          std::size_t learned) override {
    Memory memory;
    memory.banks.resize(1);
    memory.banks[0].window = memory.banks[0].width = 1;
    memory.banks[0].capacity = 64;
    remember(memory, rows.last(info_.channels.size()));
    memory.rows = rows.size() / info_.channels.size();
    memory.next_update = learned;
    memory.rows_per_update = 1;
    return memory;
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
  /// A bank has one row, that of a new series one of each series it was pooled from.
  static std::vector<float> newest_code(const Memory& memory, std::size_t channels) {
    const std::size_t size = memory.banks[0].size(channels);
    std::vector<float> row;
    for (std::size_t c = 1; c <= channels; ++c) {
      row.push_back(memory.banks[0].codes->values[c * size - 1]);
    }
    return row;
  }
  static void remember(Memory& memory, std::span<const float> row) {
    memory.banks[0].codes = make_codes({row.begin(), row.end()}, 1);
    memory.next_update = std::max(memory.next_update, ++memory.rows);
  }

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
    return std::make_unique<PersistenceScorer>(set.channels, 4, version);
  }

  Status save(const Scorer& scorer, const CheckpointExtras& extras,
              const std::filesystem::path& path) override {
    std::ofstream file{path, std::ios::binary};
    file << scorer.info().version << ' ' << scorer.info().channels.size() << '\n';
    for (const Channel& channel : scorer.info().channels) file << channel.name << '\n';
    file.write(reinterpret_cast<const char*>(extras.calibration.data()),
               static_cast<std::streamsize>(extras.calibration.size()));
    if (!file.flush()) return fail(ErrorKind::kExhausted, path.string() + ": cannot write");
    return {};
  }

  Result<LoadedModel> load(const std::filesystem::path& path) override {
    std::ifstream file{path, std::ios::binary};
    std::string read_version;
    std::size_t size = 0;
    if (!(file >> read_version >> size))
      return fail(ErrorKind::kInvalid, path.string() + ": cannot read");
    file.ignore();
    std::vector<Channel> channels(size);
    for (Channel& channel : channels) std::getline(file, channel.name);
    const std::string rest{std::istreambuf_iterator<char>{file}, {}};
    LoadedModel loaded{std::make_unique<PersistenceScorer>(channels, 4, read_version), {}};
    loaded.extras.calibration.resize(rest.size());
    std::memcpy(loaded.extras.calibration.data(), rest.data(), rest.size());
    return loaded;
  }

  std::string version = "test";  ///< Of what is trained.
  int trained = 0;
  int failures = 0;  ///< So many calls of train() fail.
};

}  // namespace anomalyd::testing
