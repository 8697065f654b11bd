#include "models/plan.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>
#include <string_view>

#include "models/conditions.hpp"

namespace anomalyd::models {
namespace {

using Options = TorchModelFactory::Options;

// What `auto` is, by effort and by the number of series. Normal is the best that was measured in
// closed form: short and dilated lags of all channels, own lags, the linear autoencoder, and
// memories of short and long windows with and without their level. They take up to 1.5 MB a series
// and 100 times the work of the rest; a memory of codes finds nearly as much for a quarter of both,
// and a large fleet has to do without.
struct Choice {
  Effort effort;
  std::size_t most_series;  // of up to 32 channels
  std::string_view members;
};
constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();
constexpr Choice kAuto[] = {
    {Effort::kLow, 1000, "vard+latent"},
    {Effort::kLow, kAnyNumber, "vard"},
    {Effort::kNormal, 64, "var4+bank16+bank32c+vard+ar16+pca+bank32"},
    {Effort::kNormal, 1000, "linear+latent"},
    {Effort::kNormal, kAnyNumber, "linear"},
    {Effort::kHigh, 256, "var4+bank16+bank32c+vard+ar16+pca+bank32+latent"},
    {Effort::kHigh, 4000, "linear+latent"},
    {Effort::kHigh, kAnyNumber, "linear"},
};

std::string_view to_string(Effort effort) {
  switch (effort) {
    case Effort::kLow: return "low";
    case Effort::kNormal: return "normal";
    case Effort::kHigh: return "high";
  }
  return "unknown";
}

// What there are so many of that `auto` has to watch its memory. Up to 32 channels a memory takes
// the same room whatever their number.
std::size_t fleet_size(std::size_t channels, std::size_t num_series) {
  return num_series * std::max<std::size_t>(1, channels / 32);
}

const Choice& choose(Effort effort, std::size_t size) {
  return *std::ranges::find_if(kAuto, [&](const Choice& choice) {
    return choice.effort == effort && size <= choice.most_series;
  });
}

std::string reason(const Choice& choice, std::size_t channels, std::size_t num_series) {
  const auto count = [](std::size_t n, const char* what, const char* many) {
    return std::to_string(n) + ' ' + (n == 1 ? what : many);
  };
  std::string text = std::string{choice.members} + " for " + count(num_series, "series", "series") +
                     " of " + count(channels, "channel", "channels") + " at " +
                     std::string{to_string(choice.effort)} + " effort";
  if (choice.most_series < kAnyNumber) {
    const std::size_t most = choice.most_series / std::max<std::size_t>(1, channels / 32);
    text += ", which has it for up to " + count(most, "series", "series");
  }
  return text;
}

constexpr double kCellsInBank = 65'536;
constexpr std::size_t kMostNetworks = 64;  // of as many series; more share them
constexpr std::size_t kMostClosedForms = 1000;

struct Alias {
  std::string_view name;
  std::string_view members;
};
constexpr Alias kAliases[] = {
    {"linear", "var4+vard+ar16+pca"},
    {"predictor", "var4+vard+ar16"},
    {"memory", "bank16+bank32c+bank32"},
};

MemberSpec predictor(std::string name, std::vector<double> lags, bool own, double ridge) {
  std::ranges::reverse(lags);  // oldest first
  return {std::move(name),
          "predictor",
          {{"lags", std::move(lags)}, {"own", {own ? 1.0 : 0.0}}, {"ridge", {ridge}}}};
}

MemberSpec memory(std::string name, double window, bool centred) {
  return {std::move(name),
          "memory",
          {{"window", {window}}, {"centred", {centred ? 1.0 : 0.0}}, {"values", {kCellsInBank}}}};
}

// Small networks: there is one for every channel of every series.
MemberSpec channel_networks(std::string name, std::string kind, const Options& options) {
  return {std::move(name),
          std::move(kind),
          {{"window", {static_cast<double>(options.window)}}, {"hidden", {32}}, {"latent", {8}}}};
}

MemberSpec autoencoder(const std::string& kind, const Options& options) {
  return {kind,
          kind,
          {{"window", {static_cast<double>(options.window)}},
           {"hidden", {options.hidden.begin(), options.hidden.end()}},
           {"latent", {static_cast<double>(options.latent)}}}};
}

// Of all channels, which need fewer rows than one does to tell what comes next.
MemberSpec masked(std::string name, const std::string& kind, const Options& options) {
  MemberSpec spec = autoencoder(kind, options);
  spec.name = std::move(name);
  spec.options["window"] = {static_cast<double>(std::min<std::size_t>(options.window, 16))};
  return spec;
}

// Filters in place of widths.
Result<MemberSpec> convolutional(const std::string& kind, const Options& options) {
  if (options.window % 4 != 0) {
    return fail(ErrorKind::kInvalid, "window: found " + std::to_string(options.window) +
                                         "; expected a multiple of 4 for " + kind);
  }
  MemberSpec spec = autoencoder(kind, options);
  spec.options["hidden"] = {32, 64};
  return spec;
}

MemberSpec variational(MemberSpec spec, const Options& options) {
  spec.options["score"] = {static_cast<double>(options.vae_score)};
  return spec;
}

Result<MemberSpec> conditional(const std::string& kind, const Options& options,
                               const TrainingSet& set) {
  const auto conditions =
      Conditions::parse(options.conditions, options.holidays, options.utc_offset.count(),
                        set.channels, set.series.size());
  if (!conditions) return Failure{conditions.error()};
  if (conditions->width() == 0) {
    return fail(ErrorKind::kInvalid, "conditions: found none; expected at least one for " + kind);
  }
  MemberSpec spec = variational(autoencoder(kind, options), options);
  conditions->add_to(spec.options);
  return spec;
}

MemberSpec clustering(const std::string& kind, const Options& options) {
  MemberSpec spec = autoencoder(kind, options);
  spec.options["regimes"] = {static_cast<double>(options.regimes)};
  spec.options["faults"] = {0};  // regimes are found by training
  return spec;
}

Result<MemberSpec> labelled(const std::string& kind, const Options& options,
                            const TrainingSet& set) {
  if (set.classes.empty()) {
    return fail(ErrorKind::kInvalid,
                "kind: found " + kind + " and no labelled rows; expected labels to learn from");
  }
  MemberSpec spec = autoencoder(kind, options);
  for (const std::string& name : set.classes) {
    spec.options["faults"].push_back(name.starts_with(kFaultClass) ? 1 : 0);
  }
  return spec;
}

Result<MemberSpec> member(const std::string& name, const Options& options, const TrainingSet& set) {
  if (name == "var4") return predictor(name, {1, 2, 3, 4}, false, 1e-3);
  if (name == "vard") {
    return predictor(name, {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}, false, 1e-2);
  }
  if (name == "ar16") {
    return predictor(name, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, true, 1e-3);
  }
  if (name == "bank16") return memory(name, 16, false);
  if (name == "bank32") return memory(name, 32, false);
  if (name == "bank32c") return memory(name, 32, true);
  if (name == "channel_ae") return channel_networks(name, name, options);
  if (name == "latent") {
    MemberSpec spec = channel_networks(name, "latent_memory", options);
    spec.options["values"] = {kCellsInBank};
    return spec;
  }
  if (name == "masked_ae") return masked(name, name, options);
  if (name == "wbank") {
    MemberSpec spec = masked(name, "window_memory", options);
    spec.options["values"] = {kCellsInBank};
    return spec;
  }
  if (name == "pca") {
    return MemberSpec{name,
                      name,
                      {{"window", {static_cast<double>(options.window)}},
                       {"variance", {options.variance}},
                       {"rank", {0.0}}}};
  }
  if (name == "dense_ae" || name == "aae") return autoencoder(name, options);
  if (name == "conv_ae") return convolutional(name, options);
  if (name == "vae") return variational(autoencoder(name, options), options);
  if (name == "conv_vae") {
    auto spec = convolutional(name, options);
    if (!spec) return spec;
    return variational(*std::move(spec), options);
  }
  if (name == "cvae") return conditional(name, options, set);
  if (name == "aae_supervised" || name == "aae_semi") return labelled(name, options, set);
  if (name == "aae_cluster") return clustering(name, options);
  std::string expected;
  for (const std::string& known : kind_names()) expected += known + ", ";
  return fail(ErrorKind::kInvalid, "kind: found '" + name + "'; expected one of " + expected +
                                       "or several joined by '+'");
}

std::vector<std::string> split_names(std::string_view kind, std::string_view automatic) {
  if (kind == "auto") return split_names(automatic, automatic);
  for (const Alias& alias : kAliases) {
    if (kind == alias.name) return split_names(alias.members, automatic);
  }
  const auto plus = kind.find('+');
  if (plus == std::string_view::npos) return {std::string{kind}};
  std::vector<std::string> names = split_names(kind.substr(0, plus), automatic);
  for (std::string& name : split_names(kind.substr(plus + 1), automatic))
    names.push_back(std::move(name));
  return names;
}

// Whether `auto` is among the names of `kind`.
bool chooses(std::string_view kind) {
  return ('+' + std::string{kind} + '+').find("+auto+") != std::string::npos;
}

ModelScope scope_for(const Options& options, std::size_t num_series) {
  if (options.scope != ModelScope::kAuto) return options.scope;
  if (num_series <= kMostNetworks) return ModelScope::kPerSeries;
  return num_series <= kMostClosedForms ? scope_of_fleet(options) : ModelScope::kPooled;
}

// The names of members, with those of `automatic` for `auto`.
Result<std::vector<std::string>> distinct_names(std::string_view kind, std::string_view automatic) {
  std::vector<std::string> names = split_names(kind, automatic);
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) {
      return fail(ErrorKind::kInvalid,
                  "kind: found '" + name + "' twice; expected each member once");
    }
  }
  return names;
}

// A training set that has all that options may refer to.
TrainingSet anything(const Options& options) {
  TrainingSet set;
  for (const std::string& name : options.conditions) set.channels.push_back({name, ""});
  if (set.channels.empty()) set.channels.push_back({"value", ""});
  set.series.resize(1);
  set.classes = {"normal"};
  return set;
}

}  // namespace

std::vector<std::string> kind_names() {
  return {"auto",     "linear",      "predictor",      "memory",   "latent",   "pca",
          "dense_ae", "conv_ae",     "channel_ae", "masked_ae", "vae",
          "conv_vae", "cvae", "aae",      "aae_cluster", "aae_supervised", "aae_semi", "var4",     "vard",
          "ar16",     "bank16",      "bank32",         "bank32c",  "wbank"};
}

ModelScope scope_of_fleet(const Options& options) {
  return options.effort == Effort::kLow ? ModelScope::kPooledNetworks : ModelScope::kPooled;
}

bool needs_labels(std::string_view kind) {
  const auto is_labelled = [](const std::string& name) {
    return name == "aae_supervised" || name == "aae_semi";
  };
  return std::ranges::any_of(split_names(kind, {}), is_labelled);
}

Result<Plan> plan_members(const Options& options, const TrainingSet& set) {
  const std::size_t channels = set.channels.size();
  const std::size_t num_series = set.series.size();
  const Choice& automatic = choose(options.effort, fleet_size(channels, num_series));
  const auto names = distinct_names(options.kind, automatic.members);
  if (!names) return Failure{names.error()};
  Plan plan;
  plan.scope = scope_for(options, num_series);
  for (const std::string& name : *names) {
    auto spec = member(name, options, set);
    if (!spec) return Failure{std::move(spec.error())};
    plan.members.push_back(std::move(*spec));
  }
  const auto classifiers = std::ranges::count_if(
      plan.members, [](const MemberSpec& spec) { return spec.options.contains("faults"); });
  if (classifiers > 1) {
    return fail(ErrorKind::kInvalid, "kind: found " + std::to_string(classifiers) +
                                         " members with classes; expected one at most");
  }
  if (chooses(options.kind)) plan.choice = reason(automatic, channels, num_series);
  return plan;
}

Status check_options(const Options& options) {
  struct Bound {
    std::string_view name;
    double value;
    Range range;
  };
  std::vector<Bound> bounds{
      {"window", static_cast<double>(options.window), {8, 1024}},
      {"variance", options.variance, {0.5, 0.999}},
      {"hidden layers", static_cast<double>(options.hidden.size()), {1, 8}},
      {"latent", static_cast<double>(options.latent), {1, 1024}},
      {"epochs", static_cast<double>(options.epochs), {1, 10'000}},
      {"patience", static_cast<double>(options.patience), {1, 1000}},
      {"batch", static_cast<double>(options.batch), {16, 65'536}},
      {"max_windows", static_cast<double>(options.max_windows), {64, 1e6}},
      {"learning_rate", options.learning_rate, {1e-6, 0.1}},
      {"threads", static_cast<double>(options.threads), {0, 256}},
      {"regimes", static_cast<double>(options.regimes), {1, 64}},
      {"corruption_amount", options.corruption_amount, {0, 1}},
      {"utc_offset in minutes", static_cast<double>(options.utc_offset.count()), {-1440, 1440}},
  };
  for (const std::size_t width : options.hidden) {
    bounds.push_back({"hidden", static_cast<double>(width), {1, 8192}});
  }
  for (const Bound& bound : bounds) {
    if (bound.value >= bound.range.low && bound.value <= bound.range.high) continue;
    std::ostringstream text;
    text << bound.name << ": found " << bound.value << "; expected " << bound.range.low << ".."
         << bound.range.high;
    return fail(ErrorKind::kInvalid, text.str());
  }
  if (options.effort != Effort::kNormal && !chooses(options.kind)) {
    return fail(ErrorKind::kInvalid, "effort: found " + std::string{to_string(options.effort)} +
                                         " for kind '" + options.kind +
                                         "'; expected normal, or kind auto");
  }
  for (const Choice& choice : kAuto) {
    if (choice.effort != options.effort) continue;
    const auto names = distinct_names(options.kind, choice.members);
    if (!names) return Failure{names.error()};
  }
  const auto members = plan_members(options, anything(options));
  return members ? Status{} : Failure{members.error()};
}

}  // namespace anomalyd::models
