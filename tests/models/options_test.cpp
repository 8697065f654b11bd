#include <gmock/gmock.h>

#include "models/device.hpp"
#include "models/plan.hpp"
#include "models/torch_models.hpp"

namespace anomalyd::models {
namespace {

using ::testing::HasSubstr;
using Options = TorchModelFactory::Options;

std::string refusal(Options options) {
  options.device = "cpu";
  const auto result = TorchModelFactory::create(std::move(options));
  return result ? "" : result.error().message;
}

TrainingSet fleet_of(std::size_t num_series, std::size_t channels) {
  TrainingSet set;
  set.channels.resize(channels);
  set.series.resize(num_series);
  return set;
}

TEST(ModelOptions, AcceptEveryKindAndEveryEnsembleOfThem) {
  for (const char* kind :
       {"auto", "pca", "dense_ae", "vae", "predictor", "memory", "linear", "var4+pca+dense_ae"}) {
    EXPECT_EQ(refusal({.kind = kind}), "") << kind;
  }
}

TEST(ModelOptions, NameWhatIsOutOfRange) {
  EXPECT_EQ(refusal({.window = 4}), "window: found 4; expected 8..1024");
  EXPECT_EQ(refusal({.hidden = {}}), "hidden layers: found 0; expected 1..8");
  EXPECT_EQ(refusal({.hidden = {64, 0}}), "hidden: found 0; expected 1..8192");
  EXPECT_EQ(refusal({.learning_rate = 1}), "learning_rate: found 1; expected 1e-06..0.1");
}

TEST(ModelOptions, NameAKindThatDoesNotExist) {
  EXPECT_THAT(refusal({.kind = "transformer"}), HasSubstr("kind: found 'transformer'"));
  EXPECT_THAT(refusal({.kind = "pca+"}), HasSubstr("kind: found ''"));
  EXPECT_THAT(refusal({.kind = "auto+latent"}), HasSubstr("found 'latent' twice"));
  EXPECT_EQ(refusal({.kind = "auto+pca"}), "kind: found 'pca' twice; expected each member once");
}

TEST(ModelOptions, RefuseAWindowThatConvolutionsCannotHalve) {
  EXPECT_EQ(refusal({.kind = "conv_vae", .window = 33}),
            "window: found 33; expected a multiple of 4 for conv_vae");
  EXPECT_EQ(refusal({.kind = "vae", .window = 33}), "");
}

TEST(ModelOptions, RefuseConditionsThatSayNothing) {
  EXPECT_EQ(refusal({.kind = "cvae", .conditions = {"holiday"}}),
            "holidays: found 0; expected 1..4096 dates for the condition 'holiday'");
  EXPECT_EQ(refusal({.kind = "cvae", .conditions = {"hour", "hour"}}),
            "conditions: found 'hour' twice; expected it once");
}

TEST(ModelOptions, HaveAnEffortWhereKindIsAuto) {
  for (const Effort effort : {Effort::kLow, Effort::kNormal, Effort::kHigh}) {
    EXPECT_EQ(refusal({.kind = "auto", .effort = effort}), "");
  }
  EXPECT_EQ(refusal({.kind = "auto+dense_ae", .effort = Effort::kHigh}), "");
  EXPECT_EQ(refusal({.kind = "pca", .effort = Effort::kLow}),
            "effort: found low for kind 'pca'; expected normal, or kind auto");
}

TEST(Plan, SaysWhatAutoChoseAndWhy) {
  const auto choice = [](Effort effort, std::size_t channels, std::size_t num_series) {
    const auto plan =
        plan_members({.kind = "auto", .effort = effort}, fleet_of(num_series, channels));
    return plan ? plan->choice : plan.error().message;
  };
  EXPECT_EQ(choice(Effort::kLow, 4, 20),
            "vard+latent for 20 series of 4 channels at low effort, which has it for up to 1000 "
            "series");
  EXPECT_EQ(choice(Effort::kNormal, 1, 1),
            "var4+bank16+bank32c+vard+ar16+pca+bank32 for 1 series of 1 channel at normal effort, "
            "which has it for up to 64 series");
  EXPECT_THAT(choice(Effort::kNormal, 64, 33), HasSubstr("linear+latent for 33 series"))
      << "twice the channels, half the series";
  EXPECT_EQ(choice(Effort::kNormal, 4, 2000),
            "linear for 2000 series of 4 channels at normal effort");
}

TEST(Plan, KnowsWhichKindsNeedLabels) {
  EXPECT_TRUE(needs_labels("pca+aae_semi"));
  EXPECT_FALSE(needs_labels("auto+aae_cluster"));
}

TEST(Plan, SaysNothingOfAKindThatWasNamed) {
  EXPECT_EQ(plan_members({.kind = "linear+latent"}, fleet_of(1, 4))->choice, "");
}

TEST(Device, ResolvesNamesAndRefusesOthers) {
  EXPECT_EQ(pick_device("cpu"), "cpu");
  EXPECT_TRUE(pick_device("auto"));
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:1x", ""}) {
    const auto device = pick_device(name);
    ASSERT_FALSE(device) << name;
    EXPECT_THAT(device.error().message, HasSubstr("expected auto, cpu, cuda or cuda:N"));
  }
  EXPECT_FALSE(pick_device("cuda:99"));
}

TEST(Device, MeasuresTheSpeedOfProducts) {
  const ProductSpeed speed = measure_product_speed("cpu", 1, system_clock());
  EXPECT_GT(speed.gflops, 0.1);
  EXPECT_EQ(speed.slow, !speed.advice.empty());
}

}  // namespace
}  // namespace anomalyd::models
