#include "tools/config_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

namespace anomalyd::tools {
namespace {

using connectors::SampleDecoder;

/// A scalar of YAML: plain where that is safe, else in double quotes, which YAML shares with JSON.
std::string scalar(const std::string& text) {
  static constexpr std::array<std::string_view, 8> kWords = {"true", "false", "null", "yes",
                                                             "no",   "on",    "off",  "~"};
  const bool plain =
      !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_') &&
      std::ranges::all_of(text,
                          [](unsigned char c) {
                            return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/';
                          }) &&
      std::ranges::find(kWords, text) == kWords.end();
  return plain ? text : nlohmann::json(text).dump();
}

std::string list(const std::vector<std::string>& texts) {
  std::vector<std::string> scalars;
  for (const auto& text : texts) scalars.push_back(scalar(text));
  return fmt::format("[{}]", fmt::join(scalars, ", "));
}

std::string comma_list(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return list(parts);
}

std::string evidence_for(const TopicGuess& guess, std::string_view aspect) {
  const auto found = std::ranges::find(guess.findings, aspect, &TopicGuess::Finding::aspect);
  return found == guess.findings.end() ? std::string{} : "  # " + found->evidence;
}

std::string channel_lines(const TopicGuess& guess) {
  constexpr std::size_t kListed = 64;
  if (guess.channels.empty() || guess.channels.size() > kListed) {
    return fmt::format("  # channels: every field that holds a number ({} found)\n",
                       guess.channels.size());
  }
  std::string text = "  channels:  # delete the list to take every number, new ones too\n";
  for (const auto& channel : guess.channels) {
    std::string seen = channel.min == channel.max
                           ? fmt::format("always {:g}", channel.min)
                           : fmt::format("{:g} .. {:g}", channel.min, channel.max);
    if (channel.present < 0.99) seen += fmt::format(", in {:.0f} % of rows", channel.present * 100);
    if (channel.counter) seen += ", only grows: becomes a rate per second";
    text += fmt::format("    - {{field: {}, unit: \"\"}}  # {}\n", scalar(channel.name), seen);
  }
  return text;
}

std::string format_lines(const SampleDecoder::Options& input) {
  std::string text;
  if (!input.unwrap.empty()) text += fmt::format("  unwrap: {}\n", scalar(input.unwrap));
  if (input.format == SampleDecoder::Format::kJsonLong) {
    text += fmt::format("  long:\n    channel: {}\n    value: {}\n",
                        scalar(input.long_format.channel), scalar(input.long_format.value));
  }
  if (input.format == SampleDecoder::Format::kCsv) {
    text += fmt::format("  csv:\n    delimiter: {}\n",
                        nlohmann::json(std::string{input.csv.delimiter}).dump());
    if (!input.csv.columns.empty()) {
      text += fmt::format("    columns: {}\n", list(input.csv.columns));
    }
  }
  return text;
}

std::string kafka_lines(const connectors::KafkaOptions& kafka) {
  std::string text = fmt::format("kafka:\n  brokers: {}\n", comma_list(kafka.brokers));
  if (!kafka.properties.empty()) text += "  properties:\n";
  for (const auto& [name, value] : kafka.properties) {
    if (!connectors::is_secret_property(name)) {
      text += fmt::format("    {}: {}\n", name, scalar(value));
      continue;
    }
    std::string variable = "KAFKA_" + name;
    std::ranges::transform(variable, variable.begin(), [](unsigned char c) {
      return std::isalnum(c) ? static_cast<char>(std::toupper(c)) : '_';
    });
    text += fmt::format("    {}: \"${{{}}}\"  # or ${{file:/path}}\n", name, variable);
  }
  return text + "\n";
}

}  // namespace

std::string config_text(const connectors::KafkaOptions& kafka, const std::string& topic,
                        const TopicGuess& guess) {
  const SampleDecoder::Options& input = guess.input;
  std::string text = fmt::format(
      "# Configuration of anomalyd, written by `anomalyctl init` from a look at topic {}:\n"
      "# {} rows of {} series, {} records that could not be read.\n"
      "# Every other option: anomalyctl config explain\n\n",
      topic, guess.num_rows, guess.num_series, guess.num_rejected);
  text += kafka_lines(kafka);
  text += fmt::format("input:\n  topics: {}\n  format: {}{}\n", list({topic}),
                      to_string(input.format), evidence_for(guess, "format"));
  text += format_lines(input);
  if (!input.series.from.empty()) {
    text += fmt::format("  series:\n    from: {}{}\n", list(input.series.from),
                        evidence_for(guess, "series id"));
  }
  if (!input.time.field.empty()) {
    text += fmt::format("  time:\n    field: {}{}\n", scalar(input.time.field),
                        evidence_for(guess, "time"));
    if (input.time.unit != SampleDecoder::TimeUnit::kAuto) {
      text += fmt::format("    unit: {}\n", to_string(input.time.unit));
    }
  }
  text += channel_lines(guess);
  text += fmt::format("\nwindow:\n  period: auto  # {}\n",
                      guess.period ? fmt::format("about {:g} s here",
                                                 static_cast<double>(guess.period->count()) / 1e6)
                                   : "not clear from the sample");
  text += fmt::format(
      "\nalerts:\n  topic: {}\n  budget: 1 per series per week  # how many alerts you can stand\n",
      scalar(topic + "-alerts"));
  text +=
      fmt::format("\nstate:\n  dir: {}  # snapshots and models; a service keeps them in /var/lib\n",
                  scalar("anomalyd-state/" + topic));
  return text;
}

}  // namespace anomalyd::tools
