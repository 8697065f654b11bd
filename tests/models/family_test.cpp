// What each kind of the family is there for, on generated data.

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "model_fixtures.hpp"

namespace anomalyd::models::testing {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

double mean_square(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return sum / static_cast<double>(values.size());
}

double norm(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

/// Two hidden phases that drift, seen by channels through curved functions: a linear code of four
/// numbers misses most of it, a nonlinear one does not.
std::vector<float> curved_rows(std::size_t num_rows, std::size_t channels, unsigned seed,
                               double amplitude = 1) {
  std::mt19937 random{seed};
  std::normal_distribution<double> noise;
  double first = noise(random), second = noise(random);
  std::vector<float> rows;
  for (std::size_t t = 0; t < num_rows; ++t) {
    first += 0.11 + 0.02 * noise(random);
    second += 0.07 + 0.02 * noise(random);
    for (std::size_t c = 0; c < channels; ++c) {
      const double k = 1 + static_cast<double>(c);
      const double value = std::sin(k * first) * std::cos(second + k) + 0.5 * std::sin(k * second);
      rows.push_back(static_cast<float>(amplitude * value + 0.05 * noise(random)));
    }
  }
  return rows;
}

/// One channel that is switched: of levels and steep edges, of which a linear code blurs the edges.
std::vector<float> switched_rows(std::size_t num_rows, unsigned seed) {
  std::mt19937 random{seed};
  std::normal_distribution<double> noise;
  double phase = noise(random);
  std::vector<float> rows;
  for (std::size_t t = 0; t < num_rows; ++t) {
    phase += 0.5 + 0.05 * noise(random);
    rows.push_back(static_cast<float>(std::tanh(8 * std::sin(phase)) + 0.05 * noise(random)));
  }
  return rows;
}

double reconstruction_error(const Trained& model, const std::vector<float>& rows) {
  const auto errors = reconstruction_errors(*model, batch_of(*model, rows), 0);
  EXPECT_TRUE(errors) << (errors ? "" : errors.error().message);
  double sum = 0;
  for (const float error : *errors) sum += static_cast<double>(error);
  return sum / static_cast<double>(errors->size());
}

Options family_options(std::string kind) {
  return {.kind = std::move(kind),
          .window = 16,
          .variance = 0.999,
          .hidden = {64, 32},
          .latent = 6,
          .epochs = 40,
          .patience = 40,
          .batch = 128,
          .learning_rate = 3e-3,
          .device = "cpu",
          .threads = 1};
}

class Nonlinear : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Nonlinear, ::testing::Values("dense_ae", "conv_ae", "channel_ae"),
                         [](const auto& kind) { return kind.param; });

/// The error that a linear code of so many numbers leaves: of a pca that keeps no more.
double linear_error(Options options, const TrainingSet& set, const std::vector<float>& unseen,
                    std::size_t rank) {
  double best = 1e9;
  options.kind = "pca";
  for (double variance = 0.5; variance < 0.999; variance += 0.01) {
    options.variance = variance;
    TrainingReport report;
    const auto pca = trained(options, set, &report);
    const std::size_t inputs = options.window * set.channels.size();
    if (report.members.front().parameters > inputs * (rank + 1)) break;
    best = reconstruction_error(pca, unseen);
  }
  return best;
}

TEST_P(Nonlinear, ReconstructsCurvedDataBetterThanALinearCodeOfTheSameSize) {
  const bool by_channel = GetParam() == "channel_ae";  // it has a code of 8 for each channel
  const std::size_t channels = by_channel ? 1 : 4;
  const std::size_t latent = by_channel ? 8 : 6;
  const TrainingSet set = training_set(
      channels, {by_channel ? switched_rows(4000, 1) : curved_rows(2500, channels, 1)});
  const std::vector<float> unseen =
      by_channel ? switched_rows(1000, 2) : curved_rows(1000, channels, 2);
  Options options = family_options(GetParam());
  if (by_channel) options.window = 32;
  if (by_channel) options.epochs = 150;
  const auto model = trained(options, set);
  const double own = reconstruction_error(model, unseen);
  const double linear = linear_error(options, set, unseen, latent);
  std::printf("%s: %.4f of the variance, linear %.4f\n", GetParam().c_str(), own, linear);
  EXPECT_LT(own, 0.9 * linear);
}

class Variational : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Variational, ::testing::Values("vae", "conv_vae"),
                         [](const auto& kind) { return kind.param; });

TEST_P(Variational, UsesItsCode) {
  const auto model =
      trained(family_options(GetParam()), training_set(4, {curved_rows(2500, 4, 1)}));
  const auto codes = encode(*model, batch_of(*model, curved_rows(1000, 4, 2)), 0);
  ASSERT_TRUE(codes);
  std::size_t active = 0;  // units whose mean varies from window to window
  const std::size_t count = codes->values.size() / codes->width;
  for (std::size_t j = 0; j < codes->latent; ++j) {
    double sum = 0, square = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto value = static_cast<double>(codes->values[i * codes->width + j]);
      sum += value;
      square += value * value;
    }
    const double mean = sum / static_cast<double>(count);
    active += square / static_cast<double>(count) - mean * mean > 0.01 ? 1 : 0;
  }
  std::printf("%s: %zu of %zu units active\n", GetParam().c_str(), active, codes->latent);
  EXPECT_GE(active, 2U);
}

TEST_P(Variational, ScoresByProbabilityAndElboInTheOrderOfTheirCost) {
  const TrainingSet set = training_set(2, {curved_rows(1500, 2, 1)});
  std::vector<float> rows = curved_rows(200, 2, 2);
  rows.back() += 3;
  double before = 0;
  for (const VaeScore score : {VaeScore::kMean, VaeScore::kProbability, VaeScore::kElbo}) {
    Options options = family_options(GetParam());
    options.epochs = 4;
    options.vae_score = score;
    const auto model = trained(options, set);
    const auto residuals = residuals_of(model, batch_of(*model, rows));
    EXPECT_GT(residuals.back(), 1);  // the sign is that of the mean
    EXPECT_GE(mean_square(residuals), before);
    before = mean_square(residuals);
  }
}

/// A residual r of the probability score stands for -log p = r^2 / (2 s^2) + log s + ...: with the
/// s that the model learned its mean is a half where the model is calibrated.
TEST(Vae, IsCalibratedOnHeldOutRows) {
  Options options = family_options("vae");
  options.vae_score = VaeScore::kProbability;
  const TrainingSet set = training_set(4, {curved_rows(4000, 4, 1)});
  const auto model = trained(options, set);
  const auto seen = residuals_of(model, batch_of(*model, set.series.front().rows));
  const auto unseen = residuals_of(model, batch_of(*model, curved_rows(2000, 4, 2)));
  const double ratio = mean_square(unseen) / mean_square(seen);
  std::printf("vae: held-out square residual %.3f of the fitted one\n", ratio);
  EXPECT_LT(ratio, 1.5);
  EXPECT_GT(ratio, 0.67);
}

/// By day a wave, by night hardly any. `hour` tells which.
std::vector<float> day_and_night(std::size_t num_rows, std::size_t rows_per_day, unsigned seed,
                                 std::vector<std::int64_t>& times) {
  std::mt19937 random{seed};
  std::normal_distribution<double> noise{0, 0.05};
  std::vector<float> rows;
  for (std::size_t t = 0; t < num_rows; ++t) {
    times.push_back(static_cast<std::int64_t>(t * 86'400'000'000 / rows_per_day));
    const bool day = t % rows_per_day >= rows_per_day / 2;
    const double wave = std::sin(2 * std::numbers::pi * static_cast<double>(t) / 8);
    rows.push_back(static_cast<float>((day ? 1.5 * wave : -0.8) + noise(random)));
  }
  return rows;
}

TEST(Cvae, FindsTheNightlyPatternAtNoonAndNotAtNight) {
  constexpr std::size_t kDay = 96;
  TrainingSet set = training_set(1, {});
  std::vector<std::int64_t> times;
  std::vector<float> rows = day_and_night(30 * kDay, kDay, 1, times);
  set.series.push_back({"s", rows, times});
  std::map<std::string, double> at_noon;
  for (const std::string kind : {"vae", "cvae"}) {
    Options options = family_options(kind);
    options.window = 8;
    options.latent = 4;
    options.conditions = {"hour"};
    const auto model = trained(options, set);
    // The same quiet night, once at night and once as if it were noon.
    std::vector<std::int64_t> unseen_times;
    const std::vector<float> unseen = day_and_night(kDay, kDay, 2, unseen_times);
    Batch batch{1, model->info().context, unseen, {}};
    for (const std::int64_t shift : {0, 12}) {
      for (std::size_t end = 20; end < 40; ++end) {
        batch.windows.push_back({.end_row = static_cast<std::uint32_t>(end),
                                 .slot = 0,
                                 .time = unseen_times[end] + shift * 3'600'000'000});
      }
    }
    const auto residuals = residuals_of(model, batch);
    const double night = norm(std::span{residuals}.first(20));
    const double noon = norm(std::span{residuals}.last(20));
    std::printf("%s: residual %.3f at night, %.3f at noon\n", kind.c_str(), night, noon);
    at_noon[kind] = noon / night;
  }
  EXPECT_GT(at_noon["cvae"], 3);
  EXPECT_LT(at_noon["vae"], 1.1);
}

/// Kolmogorov and Smirnov's distance between a sample and N(0, 1).
double distance_to_normal(std::vector<double> sample) {
  std::ranges::sort(sample);
  double largest = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double cdf = std::erfc(-sample[i] / std::numbers::sqrt2) / 2;
    const double n = static_cast<double>(sample.size());
    largest = std::max({largest, std::abs(cdf - static_cast<double>(i) / n),
                        std::abs(cdf - static_cast<double>(i + 1) / n)});
  }
  return largest;
}

TEST(Aae, MatchesItsCodesToThePrior) {
  const TrainingSet set = training_set(4, {curved_rows(4000, 4, 1)});
  std::map<std::string, double> distance;
  for (const std::string kind : {"dense_ae", "aae"}) {
    Options options = family_options(kind);
    options.latent = 4;
    const auto model = trained(options, set);
    const auto codes = encode(*model, batch_of(*model, curved_rows(3000, 4, 2)), 0);
    ASSERT_TRUE(codes);
    for (std::size_t j = 0; j < codes->latent; ++j) {
      std::vector<double> sample;
      for (std::size_t i = j; i < codes->values.size(); i += codes->width) {
        sample.push_back(static_cast<double>(codes->values[i]));
      }
      distance[kind] = std::max(distance[kind], distance_to_normal(std::move(sample)));
    }
    std::printf("%s: largest distance of a code from the prior %.3f\n", kind.c_str(),
                distance[kind]);
  }
  EXPECT_LT(distance["aae"], 0.15);
  EXPECT_GT(distance["dense_ae"], 0.25);
}

TEST(Aae, FindsWindowsThatAreReconstructedButUnlikeAnySeen) {
  // Twice the amplitude: the decoder goes on along its directions, the code leaves the prior.
  const TrainingSet set = training_set(4, {coupled_rows(2500, 4, 1)});
  std::vector<float> normal = coupled_rows(1000, 4, 1 + 24);
  std::vector<float> strange = normal;
  for (float& value : strange) value *= 1.8F;
  std::map<std::string, double> ratio;
  for (const std::string kind : {"dense_ae", "aae"}) {
    const auto model = trained(family_options(kind), set);
    ratio[kind] = mean_square(residuals_of(model, batch_of(*model, strange))) /
                  mean_square(residuals_of(model, batch_of(*model, normal)));
    std::printf("%s: strange over normal %.2f\n", kind.c_str(), ratio[kind]);
  }
  EXPECT_GT(ratio["aae"], 2 * ratio["dense_ae"]);
}

/// Regimes that take turns: each has its own levels and wave.
struct Plant {
  std::vector<float> rows;
  std::vector<int> regimes;
};
Plant plant(std::size_t num_rows, unsigned seed) {
  constexpr int kRegimes = 4;
  std::mt19937 random{seed};
  std::normal_distribution<double> noise;
  Plant result;
  for (std::size_t t = 0; t < num_rows; ++t) {
    const int regime = static_cast<int>(t / 150) % kRegimes;
    result.regimes.push_back(regime);
    for (int c = 0; c < 3; ++c) {
      const double level = ((regime >> (c % 2)) & 1) == 1 ? 1.2 : -1.2;
      const double wave = (0.2 + 0.2 * regime) * std::sin(static_cast<double>(t) / (3 + c));
      result.rows.push_back(static_cast<float>(level + wave + 0.1 * noise(random)));
    }
  }
  return result;
}

double adjusted_rand_index(const std::vector<int>& a, const std::vector<int>& b) {
  const auto pairs = [](double n) { return n * (n - 1) / 2; };
  std::map<std::pair<int, int>, double> both;
  std::map<int, double> of_a, of_b;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ++both[{a[i], b[i]}];
    ++of_a[a[i]];
    ++of_b[b[i]];
  }
  double together = 0, in_a = 0, in_b = 0;
  for (const auto& [key, n] : both) together += pairs(n);
  for (const auto& [key, n] : of_a) in_a += pairs(n);
  for (const auto& [key, n] : of_b) in_b += pairs(n);
  const double expected = in_a * in_b / pairs(static_cast<double>(a.size()));
  return (together - expected) / ((in_a + in_b) / 2 - expected);
}

TEST(AaeCluster, RecoversTheRegimesOfAPlant) {
  const Plant known = plant(6000, 1);
  const auto model = trained(family_options("aae_cluster"), training_set(3, {known.rows}));
  EXPECT_THAT(model->info().num_regimes(),
              AllOf(Ge(4U), Le(5U)));  // a change may be one of its own
  const Plant unseen = plant(3000, 2);
  const auto scored = model->score(batch_of(*model, unseen.rows));
  ASSERT_TRUE(scored);
  std::vector<int> found, truth;
  for (std::size_t i = 0; i < scored->classes.size(); ++i) {
    const std::size_t row = i + model->info().context - 1;
    if (unseen.regimes[row] != unseen.regimes[row + 1 - model->info().context]) continue;
    found.push_back(scored->classes[i]);
    truth.push_back(unseen.regimes[row]);
  }
  const double index = adjusted_rand_index(truth, found);
  std::printf("aae_cluster: adjusted Rand index %.3f\n", index);
  EXPECT_GE(index, 0.9);
}

TEST(AaeCluster, FindsOneRegimeWhereThereIsOne) {
  const auto model =
      trained(family_options("aae_cluster"), training_set(2, {coupled_rows(1500, 2, 1)}));
  EXPECT_EQ(model->info().num_regimes(), 1U);
}

/// Rows with patterns laid over them here and there, and the class of each row.
enum Pattern : std::int16_t { kPlain = -1, kBackup = 1, kLeak = 2, kPump = 3 };
constexpr std::size_t kPatternRows = 12;
void lay_over(std::vector<float>& rows, std::vector<std::int16_t>& labels, std::size_t at,
              Pattern pattern) {
  for (std::size_t i = 0; i < kPatternRows; ++i) {
    float* row = &rows[(at + i) * 3];
    const auto share = static_cast<float>(i + 1) / kPatternRows;
    if (pattern == kBackup) row[0] += 2.5F, row[1] += 2;
    if (pattern == kLeak) row[1] -= 3 * share;
    if (pattern == kPump) row[2] += (i % 2 == 0 ? 2.5F : -2.5F);
    labels[at + i] = pattern;
  }
}

class WithLabels : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kinds, WithLabels, ::testing::Values("aae_supervised", "aae_semi"),
                         [](const auto& kind) { return kind.param; });

TEST_P(WithLabels, LearnsHarmlessPatternsAndNamesFaults) {
  const bool few = GetParam() == "aae_semi";
  TrainingSet set = training_set(3, {});
  set.classes = {"normal", "benign: backup", "fault: leak", "fault: pump"};
  std::vector<float> rows = coupled_rows(5000, 3, 1);
  std::vector<std::int16_t> labels(5000, kPlain);
  for (std::size_t i = 0; i < 20; ++i) {
    lay_over(rows, labels, 100 + 180 * i, kBackup);
    lay_over(rows, labels, 160 + 180 * i, kLeak);
    lay_over(rows, labels, 220 + 180 * i, kPump);
    // With few labels the other occurrences are just there.
    if (few && i >= 10) std::fill_n(&labels[100 + 180 * i], 180, kPlain);
  }
  set.series.push_back({"s", rows, {}, labels});
  const auto model = trained(family_options(GetParam()), set);
  EXPECT_EQ(model->info().classes, set.classes);

  std::vector<float> unseen = coupled_rows(3000, 3, 1 + 24);
  std::vector<std::int16_t> truth(3000, kPlain);
  for (std::size_t i = 0; i < 15; ++i) {
    lay_over(unseen, truth, 100 + 180 * i, kBackup);
    lay_over(unseen, truth, 160 + 180 * i, kLeak);
    lay_over(unseen, truth, 220 + 180 * i, kPump);
  }
  const auto scored = model->score(batch_of(*model, unseen));
  ASSERT_TRUE(scored);
  std::array<double, 4> rows_of{}, right{};
  double plain_rows = 0, plain_right = 0;
  for (std::size_t i = 0; i < scored->classes.size(); ++i) {
    const std::size_t row = i + model->info().context - 1;
    const std::int16_t expected = truth[row];
    if (expected == kPlain) {
      ++plain_rows;
      plain_right += scored->classes[i] == 0 ? 1 : 0;
    } else if (truth[row - kPatternRows / 2] == expected) {  // half of the pattern has been seen
      ++rows_of[static_cast<std::size_t>(expected)];
      right[static_cast<std::size_t>(expected)] += scored->classes[i] == expected ? 1 : 0;
    }
  }
  for (std::size_t pattern = kBackup; pattern < right.size(); ++pattern) {
    std::printf("%s: class %zu named in %.3f of its rows\n", GetParam().c_str(), pattern,
                right[pattern] / rows_of[pattern]);
    EXPECT_GE(right[pattern], 0.9 * rows_of[pattern]);
  }
  std::printf("%s: plain rows found plain %.3f\n", GetParam().c_str(), plain_right / plain_rows);
  EXPECT_GE(plain_right, 0.9 * plain_rows);
}

}  // namespace
}  // namespace anomalyd::models::testing
