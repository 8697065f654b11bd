#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/model.hpp"
#include "daemon/core/result.hpp"
#include "daemon/core/time.hpp"
#include "daemon/pipeline/injection.hpp"
#include "daemon/pipeline/replay.hpp"

namespace anomalyd::pipeline {

/// A copy of a series as it stood, and of the rows that came behind: what faults are tried in.
struct LiveSample {
  static constexpr std::size_t kRows = 128;

  std::shared_ptr<const LearnedGroup> group;  ///< Whose model judged it.
  ReplayTrack before;
  History rows;  ///< Of the channels of the model.
};

/// What became of a fault that was injected into a copy of rows.
struct SelfTestTrial {
  InjectedFault fault;
  bool found = false;
  std::size_t delay = 0;  ///< Rows from its first one to the alert; 0 if it was not found.
};

/// Injects one fault into a copy of `rows` and judges it with copies of everything: nothing of it
/// reaches the series, its tail, its memory or an alert.
///
/// `before` is the state that the rows come behind. Two ways to have both: a copy of a live track
/// and the rows that came after it was taken; or `replay_track` of a learned group and rows of a
/// reservoir, the first of which follows a gap. Rows that fill the window are not judged, so there
/// should be as many as the context and about a hundred more.
///
/// nullopt if the rows offer no place for such a fault, alert without it, or are not judged there.
/// The same seed makes the same fault. Errors: those of `replay`.
///
/// Cost    two passes over the rows, each one window a row.
/// Threads the scorer is used by this call alone: not the one that scores the live stream, unless
///         this runs on its thread.
[[nodiscard]] Result<std::optional<SelfTestTrial>> try_fault(
    Scorer& scorer, const ReplayTrack& before, const History& rows, FaultType type,
    std::uint64_t seed, const PipelineOptions& options, const ReplayOptions& how = {});

/// Tries one fault of each type in a sample; those that it offers no place for are left out. The
/// same sample gives the same trials. Errors: those of `replay`.
[[nodiscard]] Result<std::vector<SelfTestTrial>> try_faults(Scorer& scorer,
                                                            const LiveSample& sample,
                                                            const PipelineOptions& options,
                                                            const ReplayOptions& how = {});

/// How well faults have been found of late, by model group, model version and type of fault.
///
/// Each trial's weight fades to 1/e in `memory`, so the figures tell of about that long. Versions
/// that have faded away are forgotten. Confined to one thread.
class SelfTestRecord {
 public:
  struct Options {
    std::chrono::seconds memory = std::chrono::hours{24};  ///< 1 min..30 d.
  };
  struct Figures {
    std::string group;
    std::string version;
    FaultType type = FaultType::kSpike;
    double trials = 0;  ///< Faded.
    double recall = 0;  ///< Share found, with its 95 % interval (Wilson, 1927).
    double low = 0;
    double high = 1;
    double delay_rows = 0;  ///< Mean over those found; NaN if none was.
  };

  explicit SelfTestRecord(const Options& options) : options_{options} {}
  SelfTestRecord() : SelfTestRecord{Options{}} {}

  void add(const std::string& group, const std::string& version, const SelfTestTrial& trial,
           MonotonicTime now);
  /// By group, version and type; only what still has some weight.
  [[nodiscard]] std::vector<Figures> figures(MonotonicTime now) const;

 private:
  struct Key {
    std::string group;
    std::string version;
    FaultType type;
    auto operator<=>(const Key&) const = default;
  };
  struct Sums {
    MonotonicTime as_of{};
    double trials = 0;
    double found = 0;
    double delays = 0;  // rows, of those found
  };
  [[nodiscard]] Sums faded(Sums sums, MonotonicTime now) const;

  Options options_;
  std::map<Key, Sums> sums_;
};

}  // namespace anomalyd::pipeline
