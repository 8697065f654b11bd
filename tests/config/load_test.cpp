#include "config/load.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "tests/config/surroundings.hpp"

namespace anomalyd::config {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

// The three required options on lines 1 to 3, then what a test adds from line 4 on.
constexpr std::string_view kMinimal =
    "kafka: {brokers: [a:9092]}\n"
    "input: {topics: [telemetry]}\n"
    "alerts: {topic: alerts}\n";

Loaded load_with(std::string_view more, const testing::FakeSurroundings& surroundings = {}) {
  return load(std::string{kMinimal} + std::string{more}, "a.yaml", surroundings.context());
}

// The one problem of the minimal file with `more`, as the operator sees it.
std::string problem_of(std::string_view more, const testing::FakeSurroundings& surroundings = {}) {
  const Loaded loaded = load_with(more, surroundings);
  EXPECT_THAT(loaded.problems, SizeIs(1)) << format_problems(loaded.problems, "a.yaml");
  if (loaded.problems.size() != 1) return {};
  const Problem& problem = loaded.problems.front();
  return std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " + problem.path +
         ": " + problem.what;
}

std::string source_of(std::string_view more) {
  const Loaded loaded = load_with(more);
  return loaded.problems.empty() ? "" : loaded.problems.front().source;
}

TEST(Load, TakesAMinimalFileAndLeavesTheRestAtItsDefault) {
  const Loaded loaded = load_with("");
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.options.kafka.brokers, ElementsAre("a:9092"));
  EXPECT_EQ(loaded.options.pipeline.window.length, pipeline::Windower::Options{}.length);
}

TEST(Load, ReadsEveryKindOfValue) {
  const Loaded loaded = load_with(
      "window: {length: 64, grace: 1.5s, max_missing: 0.25, period: auto}\n"
      "state: {dir: /tmp/x}\n"
      "log: {level: debug}\n"
      "data_faults: {enabled: false}\n"
      "runtime: {queue_bytes: 8MiB}\n");
  EXPECT_THAT(loaded.problems, IsEmpty());
  const Options& options = loaded.options;
  EXPECT_EQ(options.pipeline.window.length, 64);
  EXPECT_EQ(options.pipeline.window.grace, 1500ms);
  EXPECT_EQ(options.pipeline.window.period, 0ms);
  EXPECT_EQ(options.pipeline.window.max_missing, 0.25);
  EXPECT_EQ(options.service.state_dir, "/tmp/x");
  EXPECT_EQ(options.log.level, LogOptions::Level::kDebug);
  EXPECT_FALSE(options.pipeline.faults.enabled);
  EXPECT_EQ(options.service.poll.queue_bytes, 8 << 20);
}

TEST(Load, ReadsChannelsAsNamesOrEntries) {
  const Loaded loaded = load(
      "kafka: {brokers: a:9092}\n"
      "input:\n"
      "  topics: telemetry\n"
      "  channels: [cpu, {field: /a/b, name: ab, unit: \"%\"}]\n"
      "alerts: {topic: alerts}\n",
      "a.yaml", testing::FakeSurroundings{}.context());
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.options.input.topics, ElementsAre("telemetry"))
      << "one value is a list of one";
  using Channel = connectors::SampleDecoder::ChannelSpec;
  EXPECT_THAT(loaded.options.input.records.channels,
              ElementsAre(Field(&Channel::field, "cpu"),
                          AllOf(Field(&Channel::field, "/a/b"), Field(&Channel::name, "ab"),
                                Field(&Channel::unit, "%"))));
}

TEST(Load, FindsAllProblemsInTheOrderOfTheFile) {
  const Loaded loaded = load(
      "window:\n"
      "  length: 4\n"
      "  lenght: 64\n"
      "log: {level: loud}\n",
      "a.yaml", {});
  EXPECT_EQ(format_problems(loaded.problems, loaded.file),
            R"(anomalyd: 6 problems in a.yaml; nothing was started

a.yaml:2:11: window.length: 4 is too small; expected 8..1024 rows
     2 |   length: 4
a.yaml:3:3: window.lenght: unknown option; did you mean 'window.length'?
     3 |   lenght: 64
a.yaml:4:14: log.level: 'loud' is unknown; expected debug, info, warning or error
     4 | log: {level: loud}
a.yaml: kafka.brokers: is missing; expected a list of host:port
a.yaml: input.topics: is missing; expected a list of topics, or of patterns that begin with ^
a.yaml: alerts.topic: is missing; expected a topic

Run 'anomalyctl config explain window' for every option of that section.
)");
}

TEST(Load, SaysWhatIsWrongWithANumber) {
  EXPECT_EQ(problem_of("window: {length: 4}"),
            "4:18: window.length: 4 is too small; expected 8..1024 rows");
  EXPECT_EQ(problem_of("window: {length: 5000}"),
            "4:18: window.length: 5000 is too large; expected 8..1024 rows");
  EXPECT_EQ(problem_of("window: {length: many}"),
            "4:18: window.length: 'many' cannot be read as a whole number; expected 8..1024 rows");
  EXPECT_EQ(problem_of("window: {max_missing: lots}"),
            "4:23: window.max_missing: 'lots' cannot be read as a number; expected 0..1");
  EXPECT_EQ(problem_of("window: {max_missing: 1.5}"),
            "4:23: window.max_missing: 1.5 is too large; expected 0..1");
}

TEST(Load, SaysWhatIsWrongWithAValueThatNeedsAUnit) {
  EXPECT_EQ(problem_of("window: {period: 20}"),
            "4:18: window.period: 20 has no unit; expected auto or 1ms..1d with one of us, ms, s, "
            "m, h, d, w");
  EXPECT_EQ(problem_of("window: {period: 20 parsecs}"),
            "4:18: window.period: '20 parsecs' cannot be read as a duration; expected auto or "
            "1ms..1d");
  EXPECT_EQ(problem_of("window: {period: 2500us}"),
            "4:18: window.period: 2500us is too fine; expected multiples of 1ms");
  EXPECT_EQ(problem_of("runtime: {queue_bytes: 4096}"),
            "4:24: runtime.queue_bytes: 4096 has no unit; expected 1MiB..16GiB with one of B, KiB, "
            "MiB, GiB");
}

TEST(Load, SaysWhatIsWrongWithAName) {
  EXPECT_EQ(problem_of("log: {level: inof}"),
            "4:14: log.level: 'inof' is unknown; expected debug, info, warning or error; did you "
            "mean 'info'?");
  EXPECT_EQ(problem_of("data_faults: {enabled: yes}"),
            "4:24: data_faults.enabled: 'yes' cannot be read as true or false; expected true or "
            "false");
}

TEST(Load, SaysWhatIsWrongWithTheShapeOfAValue) {
  EXPECT_EQ(problem_of("window: {length: [1, 2]}"),
            "4:18: window.length: found a list; expected 8..1024 rows");
  EXPECT_EQ(problem_of("window: {length: }"),
            "4:18: window.length: found nothing; expected 8..1024 rows");
  EXPECT_EQ(problem_of("window: 12"),
            "4:9: window: found a single value; expected 'name: value' lines");
  EXPECT_EQ(problem_of("log: {level: {a: b}}"),
            "4:14: log.level: found a section; expected debug, info, warning or error");
}

TEST(Load, TakesAnEmptySectionForItsDefaults) {
  EXPECT_THAT(load_with("window:\n  # length: 64\n").problems, IsEmpty());
}

TEST(Load, RefusesAnEmptyListThatIsRequired) {
  const Loaded loaded =
      load("kafka: {brokers: []}\ninput: {topics: ['']}\nalerts: {topic: ''}\n", "a.yaml", {});
  EXPECT_THAT(loaded.problems,
              ElementsAre(Field(&Problem::what, "is empty; expected a list of host:port"),
                          Field(&Problem::what, HasSubstr("has an empty entry; expected ")),
                          Field(&Problem::what, "is empty; expected a topic")));
}

TEST(Load, FindsOptionsThatAreGivenTwice) {
  EXPECT_EQ(problem_of("window:\n  length: 32\n  length: 64\n"),
            "6:3: window.length: given twice; expected once, as on line 5");
}

TEST(Load, PutsAMissingOptionOfAGivenSectionAtThatSection) {
  const Loaded loaded = load("kafka: {brokers: [a]}\ninput: {}\nalerts: {topic: x}\n", "a", {});
  EXPECT_THAT(loaded.problems,
              ElementsAre(AllOf(Field(&Problem::path, "input.topics"), Field(&Problem::line, 2))));
}

TEST(Load, SuggestsTheSectionWhereAnOptionIsAtHome) {
  EXPECT_EQ(problem_of("window: {max_delay: 20ms}"),
            "4:10: window.max_delay: unknown option; did you mean 'batch.max_delay'?");
  EXPECT_EQ(problem_of("widnow: {length: 20}"),
            "4:1: widnow: unknown option; did you mean 'window'?");
  EXPECT_EQ(problem_of("completely: {else: 20}"), "4:1: completely: unknown option");
}

TEST(Load, FindsLinesWithoutAColon) {
  EXPECT_EQ(problem_of("window:\n  length: 32\n  wide\n"),
            "6:3: window: a line without a colon; expected 'name: value'");
}

TEST(Load, SaysWhatIsWrongWithAChannel) {
  const auto problem_of_channels = [](std::string_view channels) {
    const Loaded loaded = load(
        "kafka: {brokers: [a]}\nalerts: {topic: x}\n"
        "input: {topics: [t], channels: " +
            std::string{channels} + "}\n",
        "a.yaml", {});
    return loaded.problems.empty() ? "" : loaded.problems.front().what;
  };
  EXPECT_EQ(problem_of_channels("[{name: a}]"), "an entry without 'field'; expected 'field'");
  EXPECT_EQ(problem_of_channels("['']"), "an entry without 'field'; expected 'field'");
  EXPECT_EQ(problem_of_channels("[{field: a, units: b}]"),
            "unknown field; expected field, name, unit");
  EXPECT_EQ(problem_of_channels("[[a]]"),
            "found a list; expected a list of entries with field, name, unit");
  EXPECT_EQ(problem_of_channels("a"),
            "found a single value; expected a list of entries with field, name, unit");
  EXPECT_EQ(problem_of_channels("[{field: a, field: b}]"), "given twice; expected once");
}

TEST(Load, ChecksOptionsAgainstEachOther) {
  EXPECT_EQ(problem_of("window: {length: 16, stride: 17}"),
            "4:22: window.stride: 17 is too large; expected at most window.length, which is 16");
}

TEST(Load, DoesNotCompareWithAnOptionThatIsItselfWrong) {
  EXPECT_EQ(problem_of("window: {length: x, stride: 1024}"),
            "4:18: window.length: 'x' cannot be read as a whole number; expected 8..1024 rows");
}

TEST(Load, AsksThePartsThemselvesOnceTheirOptionsAreInOrder) {
  Context context = testing::FakeSurroundings{}.context();
  context.checks.push_back({{"model"}, [](const Options& options) -> std::optional<std::string> {
                              return "no device '" + options.model.device + "'";
                            }});
  const auto problems_of = [&](const std::string& model) {
    return load(std::string{kMinimal} + model, "a.yaml", context).problems;
  };
  EXPECT_THAT(problems_of("model: {device: cuda:9}"),
              ElementsAre(AllOf(Field(&Problem::line, 4), Field(&Problem::path, "model"),
                                Field(&Problem::what, "no device 'cuda:9'"))));
  EXPECT_THAT(problems_of("model: {device: cuda:9, scope: none}"),
              ElementsAre(Field(&Problem::path, "model.scope")));
}

TEST(Load, SaysWhatIsWrongWithABudget) {
  const Loaded loaded = load(
      "kafka: {brokers: [a]}\ninput: {topics: [t]}\n"
      "alerts: {topic: x, budget: some}\n",
      "a.yaml", {});
  EXPECT_THAT(loaded.problems,
              ElementsAre(AllOf(Field(&Problem::path, "alerts.budget"), Field(&Problem::column, 28),
                                Field(&Problem::what, HasSubstr("'some'")))));
}

TEST(Load, RefusesWhatIsNotYaml) {
  EXPECT_THAT(load_with("a: [1\n").problems,
              ElementsAre(Field(&Problem::what, HasSubstr("not valid YAML: "))));
}

TEST(Load, TakesAFileThatIsNotOursWithoutListingAllOfIt) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const Loaded loaded = load(text, "a.yaml", {});
  EXPECT_THAT(loaded.problems, SizeIs(100));
  EXPECT_THAT(loaded.problems.back().what, "and more; these are the first 99 problems");
}

TEST(LoadReferences, ReplacesThemBeforeTheValueIsRead) {
  const testing::FakeSurroundings surroundings{.variables = {{"LENGTH", "64"}}};
  const Loaded loaded = load_with("window: {length: \"${LENGTH}\"}", surroundings);
  EXPECT_EQ(loaded.options.pipeline.window.length, 64);
  const Origin& origin = loaded.origins.at("window.length");
  EXPECT_EQ(origin.line, 4);
  EXPECT_THAT(origin.sources, ElementsAre("environment LENGTH"));
}

TEST(LoadReferences, AreAProblemWhenTheyLeadNowhere) {
  EXPECT_EQ(problem_of("log:\n  level: ${LEVEL}"),
            "5:10: log.level: environment variable 'LEVEL' is not set; expected a value, or a "
            "default as in ${LEVEL:-default}");
  EXPECT_EQ(problem_of("log:\n  level: ${file:/nope}"),
            "5:10: log.level: reading a file: '/nope': no such file");
}

TEST(LoadKafkaProperties, AsksTheKafkaSideAboutEachOne) {
  Context context = testing::FakeSurroundings{}.context();
  context.kafka_property = [](const std::string& name, const std::string&) -> Status {
    if (name == "fetch.wait.max.ms") return {};
    return fail(ErrorKind::kInvalid, "unknown property; did you mean 'fetch.wait.max.ms'?");
  };
  const Loaded loaded = load(
      "kafka:\n"
      "  brokers: [a:9092]\n"
      "  properties:\n"
      "    fetch.wait.max.ms: 100\n"
      "    fetch.wait: 100\n"
      "input: {topics: [t]}\n"
      "alerts: {topic: x}\n",
      "a.yaml", context);
  EXPECT_THAT(loaded.options.kafka.properties, Contains(Pair("fetch.wait.max.ms", "100")));
  EXPECT_THAT(loaded.problems,
              ElementsAre(AllOf(Field(&Problem::line, 5), Field(&Problem::column, 17),
                                Field(&Problem::path, "kafka.properties.fetch.wait"),
                                Field(&Problem::what, HasSubstr("did you mean")))));
}

TEST(LoadKafkaProperties, PointsPropertiesToTheirPlace) {
  const Loaded loaded = load(
      "kafka: {brokers: [a], security.protocol: ssl}\n"
      "input: {topics: [t]}\nalerts: {topic: x}\n",
      "a.yaml", {});
  EXPECT_THAT(loaded.problems, ElementsAre(Field(&Problem::what,
                                                 "unknown option; properties of librdkafka go "
                                                 "under 'kafka.properties'")));
}

TEST(LoadSecrets, AreInNoProblem) {
  const testing::FakeSurroundings surroundings{.variables = {{"KAFKA_PASSWORD", "hunter2"}},
                                               .files = {{"/pass", "hunter2"}}};
  Context context = surroundings.context();
  context.kafka_property = [](const std::string&, const std::string&) -> Status {
    return fail(ErrorKind::kInvalid, "unknown property");
  };
  for (const std::string text : {
           "kafka: {pasword: hunter2}\n",
           "kafka:\n  properties:\n    sasl.passwrd: hunter2\n",
           "kafka:\n  properties:\n    sasl.pw: hunter2\n",
           "kafka:\n  properties:\n    sasl.pw: a\n    sasl.pw: hunter2\n",
           "kafka:\n  properties:\n    sasl.password: [hunter2]\n",
           "kafka:\n  properties: {sasl.password: hunter2\n",
           "kafka:\n  properties:\n    sasl.password: \"hunter2\n",
           "kafka:\n  properties:\n    ssl.key.pem: |\n      BEGIN\n  hunter2\n",
           "kafka:\n  passphrase: hunter2\n",
           "window: {length: '${file:/pass}'}\n",
           "log: {level: '${KAFKA_PASSWORD}'}\n",
           "alerts: {budget: '${file:/pass}'}\n",
       }) {
    const Loaded loaded = load(text, "a.yaml", context);
    EXPECT_THAT(loaded.problems, Not(IsEmpty()));
    EXPECT_THAT(format_problems(loaded.problems, "a.yaml"), Not(HasSubstr("hunter2"))) << text;
  }
}

TEST(LoadSecrets, ThatWereMaskedInAPrintAreRefused) {
  const Loaded loaded = load(
      "kafka: {brokers: [a], properties: {sasl.password: '***'}}\n"
      "input: {topics: [t]}\nalerts: {topic: x}\n",
      "a.yaml", {});
  EXPECT_THAT(loaded.problems, ElementsAre(Field(&Problem::what,
                                                 "is masked; expected the secret, or ${file:/path} "
                                                 "with it")));
}

TEST(LoadSecrets, LeaveTheRestOfASourceLineAlone) {
  EXPECT_EQ(source_of("window: {length: 4}"), "window: {length: 4}");
  EXPECT_EQ(source_of("log_token: abc"), "log_token: ***");
}

TEST(LoadFile, SaysThatItCannotBeRead) {
  EXPECT_THAT(
      load_file("/nope/a.yaml").problems,
      ElementsAre(Field(&Problem::what,
                        "cannot be read: No such file or directory; expected a YAML file")));
  EXPECT_THAT(
      load_file("/").problems,
      ElementsAre(Field(&Problem::what, "cannot be read: it is a folder; expected a YAML file")));
}

}  // namespace
}  // namespace anomalyd::config
