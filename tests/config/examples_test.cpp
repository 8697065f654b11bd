// Every shipped example loads, and says what its name promises.
#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "tests/config/surroundings.hpp"

namespace anomalyd::config {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Pair;

const std::filesystem::path kFolder = "config/examples";

// An environment with nothing but the secrets that the examples refer to.
Loaded example(const std::filesystem::path& name) {
  const testing::FakeSurroundings surroundings{
      .variables = {}, .files = {{"/run/credentials/anomalyd.service/kafka-password", "hunter2"}}};
  return load_file(kFolder / name, surroundings.context());
}

TEST(Examples, LoadWithoutAProblem) {
  std::size_t num_examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator{kFolder}) {
    if (entry.path().extension() != ".yaml") continue;
    ++num_examples;
    const Loaded loaded = example(entry.path().filename());
    EXPECT_THAT(loaded.problems, IsEmpty()) << format_problems(loaded.problems, loaded.file);
  }
  EXPECT_GE(num_examples, 6U);
}

TEST(Examples, TheMinimalOneGivesOnlyWhatIsRequired) {
  EXPECT_THAT(example("minimal.yaml").origins, ::testing::SizeIs(3));
}

TEST(Examples, TheInfluxAndCsvOnesReadTheirFormats) {
  using Format = connectors::SampleDecoder::Format;
  EXPECT_EQ(example("influx.yaml").options.input.records.format, Format::kInflux);
  EXPECT_EQ(example("csv.yaml").options.input.records.format, Format::kCsv);
}

TEST(Examples, TheSecuredOneTakesItsPasswordFromAFile) {
  const Loaded loaded = example("secured.yaml");
  EXPECT_THAT(loaded.options.kafka.properties, Contains(Pair("sasl.password", "hunter2")));
  EXPECT_TRUE(loaded.origins.at("kafka.properties.sasl.password").secret);
}

}  // namespace
}  // namespace anomalyd::config
