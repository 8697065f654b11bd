#include "config/describe.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "config/schema.hpp"
#include "tests/config/surroundings.hpp"

namespace anomalyd::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const testing::FakeSurroundings kSurroundings{
    .variables = {{"BROKER", "db1:9092"}, {"KAFKA_PASSWORD", "hunter2"}},
    .files = {{"/run/pass", "hunter2"}}};

constexpr std::string_view kFile = R"(kafka:
  brokers: ["${BROKER}", "db2:9092"]
  properties:
    sasl.username: me
    sasl.password: ${KAFKA_PASSWORD}
    ssl.key.password: hunter2
    client.rack: ${file:/run/pass}
input:
  topics: [^metrics-.*]
  csv: {delimiter: "\t"}
  channels: [cpu, {field: "a: b", unit: "%"}]
alerts: {topic: "odd $${name}", budget: 20 per fleet per day}
window: {period: 90s, length: 64}
model: {hidden: [256, 32]}
)";

Loaded loaded_from(std::string_view yaml) { return load(yaml, "a.yaml", kSurroundings.context()); }

TEST(Print, ShowsValuesWithTheirOrigin) {
  const std::string page = print(loaded_from(kFile));
  EXPECT_THAT(page, HasSubstr("  length: 64                            # a.yaml:13\n"));
  EXPECT_THAT(page, HasSubstr("  stride: 1                             # default\n"));
  EXPECT_THAT(page, HasSubstr("  brokers:                              # a.yaml:2, environment "
                              "BROKER\n    - db1:9092\n    - db2:9092\n"));
  EXPECT_THAT(page, HasSubstr("    sasl.username: me                   # a.yaml:4\n"));
  EXPECT_THAT(page, HasSubstr("  budget: 20 per fleet per day"));
  EXPECT_THAT(page, HasSubstr("  queue_bytes: 32MiB"));
}

TEST(Print, LoadsAgainAsTheSameOptions) {
  const Loaded first = loaded_from(kFile);
  ASSERT_THAT(first.problems, IsEmpty());
  std::string page = print(first);
  for (std::size_t at = page.find("***"); at != std::string::npos; at = page.find("***")) {
    page.replace(at, 3, "hunter2");
  }
  const Loaded second = loaded_from(page);
  ASSERT_THAT(second.problems, IsEmpty()) << format_problems(second.problems, "a.yaml") << page;
  for (const Option& option : schema().options()) {
    EXPECT_EQ(option.get(second.options), option.get(first.options)) << option.path;
  }
}

TEST(Print, MasksSecretsHoweverTheyCameIn) {
  const std::string page = print(loaded_from(kFile));
  EXPECT_THAT(page, Not(HasSubstr("hunter2")));
  EXPECT_THAT(page, HasSubstr("sasl.password: \"***\""));
  EXPECT_THAT(page,
              HasSubstr("client.rack: \"***\"                  # a.yaml:7, file /run/pass\n"));
}

TEST(Explain, ShowsEveryOptionOfASection) {
  const std::string page = explain("window").value();
  EXPECT_THAT(page, StartsWith("window: How the samples of a series become rows and windows.\n\n"
                               "  window.length\n"
                               "      Rows of one series that a model looks at.\n"
                               "      8..1024 rows; default: 32\n"));
  EXPECT_THAT(page, HasSubstr("window.evict_after"));
  EXPECT_THAT(page, Not(HasSubstr("batch.")));
}

TEST(Explain, TakesASubsectionOrOneOptionOrNothing) {
  EXPECT_THAT(explain("input").value(), HasSubstr("input.series.from"));
  EXPECT_THAT(explain("input.series").value(), Not(HasSubstr("input.topics")));
  EXPECT_THAT(explain("window.stride").value(), Not(HasSubstr("window.length")));
  EXPECT_THAT(explain("kafka.brokers").value(), HasSubstr("a list of host:port; required\n"));
  for (const Option& option : schema().options()) {
    EXPECT_THAT(explain("").value(), HasSubstr("\n  " + option.path + "\n"));
  }
}

TEST(Explain, SuggestsTheNearestName) {
  EXPECT_EQ(explain("windw").error().message, "unknown section 'windw'; did you mean 'window'?");
  EXPECT_THAT(explain("xyzzy").error().message,
              StartsWith("unknown section 'xyzzy'; expected one of kafka, input, "));
}

TEST(Reference, IsTheCommittedPage) {
  std::ifstream stream{"docs/configuration.md"};
  const std::string committed{std::istreambuf_iterator<char>{stream}, {}};
  EXPECT_EQ(committed, reference_markdown())
      << "options have changed; run: build/anomalyctl config reference > docs/configuration.md";
}

}  // namespace
}  // namespace anomalyd::config
