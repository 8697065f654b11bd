#include "tools/fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace anomalyd::tools {
namespace {

enum ChannelIndex : std::size_t {
  kRequests,
  kCpu,
  kMemory,
  kTemperature,
  kLatency,
  kNetwork,
  kDisk,
  kErrors
};

/// What a channel does in an ordinary day: faults are sized by it.
constexpr std::array<double, Fleet::kNumChannels> kSpread = {220, 14, 4, 6, 9, 16, 14, 2.5};

/// Where the change takes a channel: out of step with the others, so that they no longer hang
/// together as they did.
constexpr std::array<double, Fleet::kNumChannels> kChange = {0, 12, 8, 9, -8, 0, 20, 0};

/// The channels that follow the load at once, as a function of it. Noise is added by the caller.
double follow_load(std::size_t channel, double load) {
  switch (channel) {
    case kRequests: return 900 * load;
    case kCpu: return 6 + 62 * load;
    case kLatency: return 18 / (1.15 - std::min(load, 0.95));
    case kNetwork: return 4 + 70 * load;
    case kDisk: return 20 + 45 * load;
    default: return 0;
  }
}

/// To thousandths, as sensors report, so that a value is short as text.
double rounded(double value) { return std::nearbyint(value * 1000) / 1000; }

struct KindTraits {
  const char* name;
  std::size_t num_rows;
  std::span<const std::size_t> channels;
};

constexpr std::size_t kAny[] = {kRequests, kCpu, kTemperature, kLatency, kNetwork, kDisk};
constexpr std::size_t kFollowers[] = {kRequests, kCpu, kNetwork, kLatency};
constexpr std::size_t kLeaking[] = {kMemory};

constexpr std::array<KindTraits, 7> kKinds = {{
    {"spike", 3, kAny},
    {"level", 60, kAny},
    {"drift", 120, kAny},
    {"stuck", 180, kAny},
    {"noise", 60, kAny},
    {"decoupled", 120, kFollowers},
    {"leak", 300, kLeaking},
}};

}  // namespace

const std::vector<Channel>& Fleet::channels() {
  static const std::vector<Channel> kChannels = {
      {"requests", "1/s"}, {"cpu", "%"},        {"memory", "%"},  {"temperature", "C"},
      {"latency", "ms"},   {"network", "MB/s"}, {"disk", "MB/s"}, {"errors", "1/s"}};
  return kChannels;
}

Fleet::Fleet(const Options& options)
    : options_{options},
      random_{options.seed},
      num_steps_{static_cast<std::size_t>(options.span / options.period)},
      memory_gain_{1 - std::exp(-24.0 * static_cast<double>(options.period.count()) /
                                static_cast<double>(options.day.count()))},
      heat_gain_{1 - std::exp(-144.0 * static_cast<double>(options.period.count()) /
                              static_cast<double>(options.day.count()))} {
  std::mt19937_64 gains{options.seed};  // of their own: without diversity nothing else changes
  const auto digits = std::max<std::size_t>(2, std::to_string(options.machines).size());
  for (std::size_t i = 0; i < options.machines; ++i) {
    names_.push_back(fmt::format("machine-{:0{}}", i + 1, digits));
    Machine& machine = machines_.emplace_back();
    machine.phase = 0.1 * gauss();
    machine.scale = 0.85 + 0.3 * uniform();
    machine.memory = machine.heat = seasonal_load(machine, 0);
    for (double& gain : machine.gain) {
      gain = std::exp(options.diversity * std::normal_distribution<double>{}(gains));
    }
  }
  inject_faults();
}

void Fleet::inject_faults() {
  constexpr int kAttempts = 200;
  std::vector<std::size_t> turn(options_.machines);
  std::iota(turn.begin(), turn.end(), std::size_t{0});
  std::ranges::shuffle(turn, random_);
  for (std::size_t i = 0; i < options_.faults; ++i) {
    const auto kind = static_cast<Kind>(i % kKinds.size());
    const std::size_t machine = turn[i % turn.size()];
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const auto injection = place(kind, machine);
      if (!injection) continue;
      machines_[machine].injections.push_back(*injection);
      const auto begin = options_.start + injection->first_step * options_.period;
      faults_.push_back({.kind = kKinds[static_cast<std::size_t>(kind)].name,
                         .series = names_[machine],
                         .channels = {channels()[injection->channel].name},
                         .start = begin,
                         .end = begin + (injection->num_steps - 1) * options_.period});
      break;
    }
  }
  for (Machine& machine : machines_) {
    std::ranges::sort(machine.injections, {}, &Injection::first_step);
  }
  std::ranges::sort(faults_, {}, &Fault::start);
}

/// A fault of this kind somewhere on this machine; nullopt when it does not fit there.
std::optional<Fleet::Injection> Fleet::place(Kind kind, std::size_t machine) {
  const KindTraits& traits = kKinds[static_cast<std::size_t>(kind)];
  const std::size_t length = traits.num_rows;
  const auto clean = static_cast<std::size_t>(options_.clean / options_.period);
  if (clean + length >= num_steps_) return std::nullopt;

  const std::size_t first = clean + random_() % (num_steps_ - clean - length);
  constexpr std::size_t kQuiet = 120;  // rows between two faults of one machine
  for (const Injection& other : machines_[machine].injections) {
    const bool apart = first + length + kQuiet < other.first_step ||
                       other.first_step + other.num_steps + kQuiet < first;
    if (!apart) return std::nullopt;
  }
  const Machine& where = machines_[machine];
  const std::size_t middle = first + length / 2;
  const double contrast = seasonal_load(where, middle) - seasonal_load(where, middle + half_day());
  if (kind == Kind::kDecoupled && std::abs(contrast) < 0.2) return std::nullopt;  // would not show

  return Injection{.kind = kind,
                   .channel = traits.channels[random_() % traits.channels.size()],
                   .first_step = first,
                   .num_steps = length,
                   .sign = uniform() < 0.7 ? 1.0 : -1.0};
}

std::optional<Fleet::Row> Fleet::next() {
  while (step_ < num_steps_) {
    Row row{.machine = machine_, .time = options_.start + step_ * options_.period, .values = {}};
    Machine& machine = machines_[machine_];
    fill(machine, row.values);

    if (machine.next_injection < machine.injections.size()) {
      Injection& injection = machine.injections[machine.next_injection];
      const std::size_t end = injection.first_step + injection.num_steps;
      if (step_ >= injection.first_step) apply(injection, machine, row.values);
      if (step_ + 1 == end) ++machine.next_injection;
    }
    if (++machine_ == options_.machines) {
      machine_ = 0;
      ++step_;
    }
    if (uniform() >= options_.lost_rows) return row;
  }
  return std::nullopt;
}

double Fleet::seasonal_load(const Machine& machine, std::size_t step) const {
  const double day = static_cast<double>(step) * static_cast<double>(options_.period.count()) /
                     static_cast<double>(options_.day.count());
  const double angle = 2 * std::numbers::pi * (day - machine.phase);
  const double weekly = 1 + 0.12 * std::cos(2 * std::numbers::pi * day / 7);
  return machine.scale * weekly * (0.42 - 0.22 * std::cos(angle) - 0.06 * std::cos(2 * angle));
}

/// What the change has added to a channel by now.
double Fleet::change_so_far(std::size_t channel) const {
  const auto elapsed = static_cast<std::int64_t>(step_) * options_.period;
  if (!options_.change || elapsed < *options_.change) return 0;
  const std::chrono::duration<double> since = elapsed - *options_.change;
  const bool over = since >= options_.change_takes;
  return kChange[channel] * (over ? 1.0 : since / options_.change_takes);
}

void Fleet::fill(Machine& machine, std::array<double, kNumChannels>& values) {
  machine.walk += -0.04 * machine.walk + 0.008 * gauss();
  const double load = std::max(0.02, seasonal_load(machine, step_) + machine.walk);
  machine.memory += memory_gain_ * (load - machine.memory);
  machine.heat += heat_gain_ * (load - machine.heat);
  const double progress = static_cast<double>(step_) / static_cast<double>(num_steps_);

  const auto set = [&](std::size_t channel, double value) {
    values[channel] = rounded(machine.gain[channel] * value + change_so_far(channel));
  };
  set(kRequests, follow_load(kRequests, load) + 12 * gauss());
  set(kCpu, follow_load(kCpu, load) + 1.2 * gauss());
  set(kMemory, 38 + 22 * machine.memory + 2 * progress + 0.25 * gauss());
  set(kTemperature, 31 + 38 * machine.heat + 1.5 * progress + 0.35 * gauss());
  set(kLatency, follow_load(kLatency, load) * (1 + 0.04 * gauss()));
  set(kNetwork, follow_load(kNetwork, load) + 1.5 * gauss());
  set(kDisk, follow_load(kDisk, load) + 2.5 * gauss());
  set(kErrors, std::abs(0.4 + 1.2 * load + 0.5 * gauss()));
  if (uniform() < options_.missing * kNumChannels) {
    values[random_() % kNumChannels] = std::numeric_limits<double>::quiet_NaN();
  }
}

void Fleet::apply(Injection& injection, const Machine& machine,
                  std::array<double, kNumChannels>& values) {
  double& value = values[injection.channel];
  const double spread = kSpread[injection.channel];
  const std::size_t age = step_ - injection.first_step;
  const double share = static_cast<double>(age + 1) / static_cast<double>(injection.num_steps);
  switch (injection.kind) {
    case Kind::kSpike: value += injection.sign * 2.2 * spread; break;
    case Kind::kLevel: value += injection.sign * 1.3 * spread; break;
    case Kind::kDrift: value += injection.sign * 2.0 * spread * share; break;
    case Kind::kLeak: value += 8.0 * spread * share; break;
    case Kind::kNoise: value += 0.9 * spread * gauss(); break;
    case Kind::kStuck:
      if (age == 0 || std::isnan(injection.held)) injection.held = value;
      value = injection.held;
      break;
    case Kind::kDecoupled: {  // a plausible value, but of a load half a day away
      const double load = seasonal_load(machine, step_ + half_day());
      value = follow_load(injection.channel, load) + change_so_far(injection.channel) +
              0.02 * spread * gauss();
      break;
    }
  }
  value = rounded(value);
}

}  // namespace anomalyd::tools
