#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "daemon/core/sample.hpp"
#include "tools/truth.hpp"

namespace anomalyd::tools {

/// Generates a fleet of machines whose sensors hang together, with a known list of faults.
///
/// Each machine has a load that follows day and week plus a slow random walk of its own; requests,
/// cpu, latency, network and disk follow the load at once, memory and temperature lag behind it.
/// Some sensors drift slowly and benignly, cells and rows go missing. Faults are spread evenly
/// over kinds, machines and the time after `clean`; no two overlap on one machine. If asked for,
/// the whole fleet changes at some time, harmlessly and for good: cpu, memory, temperature and disk
/// go to a higher level and latency to a lower one, each about as far as from night to day.
///
/// Rows come in time order, all machines at each step. The same options give the same rows.
/// Memory is a few hundred bytes per machine, whatever the span; about two million rows a second.
class Fleet {
 public:
  struct Options {
    std::size_t machines = 12;              ///< 1..1000000.
    std::chrono::seconds period{60};        ///< > 0. Between two rows of a machine.
    std::chrono::seconds span{9 * 86400};   ///< Of the whole stream.
    std::chrono::seconds clean{7 * 86400};  ///< No fault before this much has passed.
    std::chrono::seconds day{86400};        ///< Length of a day: shorter ones repeat sooner.
    EventTime start = std::chrono::sys_days{std::chrono::January / 1 / 2024};
    /// How differently machines answer to the load: deviation of the logarithm of their gains.
    double diversity = 0;
    /// When the fleet begins to change, since the start; it never does without.
    std::optional<std::chrono::seconds> change{};
    std::chrono::seconds change_takes{0};  ///< How long that goes on; 0: from one row to the next.
    std::size_t faults = 14;               ///< How many in all; as many as fit are injected.
    double missing = 0.002;                ///< Share of cells that are missing.
    double lost_rows = 0.0005;             ///< Share of rows that never come.
    std::uint64_t seed = 1;
  };
  static constexpr std::size_t kNumChannels = 8;
  struct Row {
    std::size_t machine;  ///< 0..machines - 1.
    EventTime time;
    std::array<double, kNumChannels> values;  ///< NaN where missing.
  };

  explicit Fleet(const Options& options);

  [[nodiscard]] static const std::vector<Channel>& channels();
  [[nodiscard]] const std::string& name(std::size_t machine) const { return names_[machine]; }
  /// The injected faults, by start.
  [[nodiscard]] const std::vector<Fault>& faults() const noexcept { return faults_; }
  /// Rows that will be generated, lost ones included.
  [[nodiscard]] std::size_t num_rows() const noexcept { return num_steps_ * options_.machines; }

  /// The next row; nullopt at the end of the span.
  [[nodiscard]] std::optional<Row> next();

 private:
  enum class Kind : std::uint8_t { kSpike, kLevel, kDrift, kStuck, kNoise, kDecoupled, kLeak };
  struct Injection {
    Kind kind;
    std::size_t channel;
    std::size_t first_step;
    std::size_t num_steps;
    double sign;
    double held = 0;  // kStuck: the value that the sensor stays at
  };
  struct Machine {
    double phase = 0;   // of its day
    double scale = 1;   // its share of the work, about 1
    double walk = 0;    // slow random part of its load
    double memory = 0;  // follows the load over an hour
    double heat = 0;    // follows the cpu over ten minutes
    std::array<double, kNumChannels> gain{};
    std::vector<Injection> injections;  // by first_step
    std::size_t next_injection = 0;
  };
  void inject_faults();
  [[nodiscard]] std::optional<Injection> place(Kind kind, std::size_t machine);
  [[nodiscard]] std::size_t half_day() const {
    return static_cast<std::size_t>(options_.day / options_.period) / 2;
  }
  [[nodiscard]] double seasonal_load(const Machine& machine, std::size_t step) const;
  [[nodiscard]] double change_so_far(std::size_t channel) const;
  void fill(Machine& machine, std::array<double, kNumChannels>& values);
  void apply(Injection& injection, const Machine& machine,
             std::array<double, kNumChannels>& values);
  [[nodiscard]] double gauss() { return gauss_(random_); }
  [[nodiscard]] double uniform() { return uniform_(random_); }

  Options options_;
  std::mt19937_64 random_;
  std::normal_distribution<double> gauss_;
  std::uniform_real_distribution<double> uniform_;
  std::vector<std::string> names_;
  std::vector<Machine> machines_;
  std::vector<Fault> faults_;
  std::size_t num_steps_;
  std::size_t step_ = 0;
  std::size_t machine_ = 0;
  double memory_gain_;  // of one step, for the lags
  double heat_gain_;
};

}  // namespace anomalyd::tools
