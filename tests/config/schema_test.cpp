#include "config/schema.hpp"

#include <gmock/gmock.h>

#include <set>

namespace anomalyd::config {
namespace {

using ::testing::EndsWith;

TEST(Schema, NamesEveryOptionOnceInASectionThatExists) {
  std::set<std::string> paths;
  for (const Option& option : schema().options()) {
    EXPECT_TRUE(paths.insert(option.path).second) << option.path;
    EXPECT_TRUE(schema().is_section(section_of(option.path))) << option.path;
  }
}

TEST(Schema, GivesEveryOptionOneSentenceOfHelp) {
  for (const Option& option : schema().options())
    EXPECT_THAT(option.help, EndsWith(".")) << option.path;
  for (const Section& section : schema().sections()) EXPECT_THAT(section.help, EndsWith("."));
}

TEST(Schema, HasDefaultsWithinTheRangesOfTheirOptions) {
  const Options defaults;
  for (const Option& option : schema().options()) {
    const Value value = option.get(defaults);
    if (value.index() == 0 || (!option.zero.empty() && value == zero_of(option.kind))) continue;
    EXPECT_TRUE(option.min.index() == 0 || value >= option.min) << option.path;
    EXPECT_TRUE(option.max.index() == 0 || value <= option.max) << option.path;
    if (option.kind == Kind::kChoice) {
      EXPECT_THAT(option.choices, ::testing::Contains(std::get<std::string>(value))) << option.path;
    }
  }
}

TEST(Schema, BoundsEveryNumber) {
  for (const Option& option : schema().options()) {
    const bool number = option.kind == Kind::kInteger || option.kind == Kind::kNumber ||
                        option.kind == Kind::kDuration || option.kind == Kind::kBytes;
    EXPECT_EQ(option.min.index() != 0, number) << option.path;
  }
}

TEST(Schema, WritesBackWhatItReads) {
  const Options defaults;
  for (const Option& option : schema().options()) {
    Options options;
    const Value value = option.get(defaults);
    if (value.index() == 0) continue;
    if (option.kind == Kind::kText && std::get<std::string>(value).empty()) continue;
    EXPECT_TRUE(option.set(options, value)) << option.path;
    EXPECT_EQ(option.get(options), value) << option.path;
  }
}

TEST(Schema, ChecksHoldForTheDefaults) {
  for (const Check& check : schema().checks()) {
    EXPECT_EQ(check.complaint(Options{}), std::nullopt) << check.paths.front();
    for (const std::string& path : check.paths) EXPECT_NE(schema().find(path), nullptr) << path;
  }
}

TEST(Expectation, ReadsLikeTheEndOfASentence) {
  EXPECT_EQ(expectation(*schema().find("window.length")), "8..1024 rows");
  EXPECT_EQ(expectation(*schema().find("window.period")), "auto or 1ms..1d");
  EXPECT_EQ(expectation(*schema().find("log.format")), "auto, text or json");
  EXPECT_EQ(expectation(*schema().find("data_faults.enabled")), "true or false");
  EXPECT_EQ(expectation(*schema().find("model.seed")), "at least 0");
  EXPECT_EQ(expectation(*schema().find("runtime.queue_bytes")), "1MiB..16GiB");
  EXPECT_EQ(expectation(*schema().find("input.channels")),
            "a list of entries with field, name, unit");
}

}  // namespace
}  // namespace anomalyd::config
