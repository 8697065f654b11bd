#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>

#include "connectors/kafka/kafka_reader.hpp"
#include "tools/commands.hpp"
#include "tools/config_text.hpp"
#include "tools/interrupt.hpp"
#include "tools/kafka_arguments.hpp"
#include "tools/topic_guess.hpp"

namespace anomalyd::tools {
namespace {

using connectors::KafkaReader;
using namespace std::chrono_literals;

struct Arguments {
  KafkaArguments kafka;
  std::string topic;
  std::string out = "anomalyd.yaml";
  std::int64_t sample = 5000;
  bool force = false;
};

/// The newest records of the topic, those of each partition in order.
Result<std::vector<SampledRecord>> sample_topic(const Arguments& arguments,
                                                const connectors::KafkaOptions& kafka) {
  KafkaReader::Options options;
  options.kafka = kafka;
  options.topics = {arguments.topic};
  options.from = KafkaReader::From::kTail;
  options.tail = arguments.sample;
  auto reader = KafkaReader::open(std::move(options));
  if (!reader) return Failure{reader.error()};
  std::vector<SampledRecord> records;
  const auto limit = static_cast<std::size_t>(4 * arguments.sample);
  const auto& stop = interrupted();
  while (!stop && !(*reader)->at_end() && records.size() < limit) {
    const auto polled = (*reader)->poll(200ms, [&](std::span<const Record> batch) {
      for (const Record& record : batch) {
        records.push_back({.key = std::string{record.key},
                           .value = std::string{record.value},
                           .timestamp = record.timestamp});
      }
    });
    if (!polled && !polled.error().retriable()) return Failure{polled.error()};
  }
  return records;
}

std::string findings_screen(const TopicGuess& guess) {
  std::string text;
  for (const auto& finding : guess.findings) {
    text += fmt::format("  {:<12} {:<32} {}\n", finding.aspect, finding.value, finding.evidence);
  }
  text +=
      fmt::format("  {:<12} {:<32} {} rows read, {} records rejected\n", "sample",
                  fmt::format("{} series", guess.num_series), guess.num_rows, guess.num_rejected);
  for (const auto& channel : guess.channels) {
    text += fmt::format("  {:<12} {:<32} {:.6g} .. {:.6g}, in {:.0f} % of rows{}\n", "channel",
                        channel.name, channel.min, channel.max, channel.present * 100,
                        channel.counter ? "; only grows, becomes a rate" : "");
  }
  return text;
}

int run(const Arguments& arguments) {
  const bool to_stdout = arguments.out == "-";
  if (!to_stdout && !arguments.force && std::filesystem::exists(arguments.out)) {
    return report({ErrorKind::kInvalid,
                   arguments.out + " exists; expected --out with another name, or --force"});
  }
  const auto kafka = arguments.kafka.options();
  if (!kafka) return report(kafka.error());
  const auto records = sample_topic(arguments, *kafka);
  if (!records) return report(records.error());
  const auto guess = guess_topic(*records, system_clock());
  if (!guess) return report(Error{guess.error()}.while_doing("topic " + arguments.topic));

  const std::string yaml = config_text(*kafka, arguments.topic, *guess);
  fmt::print(stderr, "topic {}:\n{}", arguments.topic, findings_screen(*guess));
  if (to_stdout) {
    fmt::print("{}", yaml);
    return kOk;
  }
  std::ofstream file{arguments.out};
  if (!(file << yaml).flush()) {
    return report({ErrorKind::kInvalid, arguments.out + ": cannot be written"});
  }
  file.close();
  if (!check_and_report(load_config(arguments.out))) return kFailed;
  fmt::print(stderr,
             "\nwrote {0}; next:\n  anomalyd --config {0}\n  anomalyctl status\n  "
             "anomalyctl incidents --config {0} --follow\n",
             arguments.out);
  return kOk;
}

}  // namespace

void add_init(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("init", "Look at a topic and write a configuration for it");
  command->footer("Example:\n  anomalyctl init --brokers localhost:9092 --topic metrics");
  arguments->kafka.add_to(*command);
  command->add_option("--topic", arguments->topic, "Topic to look at")->required();
  command->add_option("--out", arguments->out, "File to write; - prints it")->capture_default_str();
  command->add_option("--sample", arguments->sample, "Records to look at in each partition")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  command->add_flag("--force", arguments->force, "Write over a file that exists");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
