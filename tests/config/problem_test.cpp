#include "config/problem.hpp"

#include <gmock/gmock.h>

namespace anomalyd::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(FormatProblems, ShowsPlacePathSentenceAndSourceLineOfEach) {
  const std::vector<Problem> problems = {
      {2, 11, "window.length", "12 is too small; expected 16..4096 rows", "  length: 12"},
      {4, 3, "threshold.quantil", "unknown option; did you mean 'threshold.quantile'?",
       "  quantil: 0.999"},
      {0, 0, "alerts.topic", "is missing; expected a topic", ""}};
  EXPECT_EQ(format_problems(problems, "detector.yaml"),
            R"(anomalyd: 3 problems in detector.yaml; nothing was started

detector.yaml:2:11: window.length: 12 is too small; expected 16..4096 rows
     2 |   length: 12
detector.yaml:4:3: threshold.quantil: unknown option; did you mean 'threshold.quantile'?
     4 |   quantil: 0.999
detector.yaml: alerts.topic: is missing; expected a topic

Run 'anomalyctl config explain window' for every option of that section.
)");
}

TEST(FormatProblems, NamesWhoeverSpeaksAndWhatTheProblemPrevented) {
  const std::vector<Problem> problems = {{3, 1, "", "not valid YAML: end of map not found", ""}};
  EXPECT_EQ(format_problems(problems, "a.yaml",
                            {.program = "anomalyctl", .consequence = "the old one stays"}),
            "anomalyctl: 1 problem in a.yaml; the old one stays\n\n"
            "a.yaml:3:1: not valid YAML: end of map not found\n");
}

TEST(FormatProblems, KeepsControlCharactersFromTheTerminal) {
  const std::vector<Problem> problems = {{1, 1, "a\x1b[2J", "what\x07", "x\x1b"}};
  EXPECT_THAT(format_problems(problems, "a.yaml"), Not(HasSubstr("\x1b")));
}

TEST(LooksSecret, GoesByTheName) {
  for (const char* name : {"sasl.password", "ssl.key.pem", "KAFKA_TOKEN", "client.secret",
                           "ssl.keystore.password", "sasl.passwrd", "MyPassphrase"}) {
    EXPECT_TRUE(looks_secret(name)) << name;
  }
  for (const char* name : {"sasl.username", "ssl.ca.location", "window.length", "client.id"}) {
    EXPECT_FALSE(looks_secret(name)) << name;
  }
}

TEST(NearestName, ForgivesChangedSwappedAndMissingLettersOnly) {
  const std::vector<std::string> names = {"window.length", "window.stride", "batch.max_delay"};
  EXPECT_EQ(nearest_name("window.lenght", names), "window.length");
  EXPECT_EQ(nearest_name("windw.stride", names), "window.stride");
  EXPECT_EQ(nearest_name("colour", names), "");
  EXPECT_EQ(nearest_name(std::string(1'000'000, 'x'), names), "");
}

}  // namespace
}  // namespace anomalyd::config
