#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>

#include "connectors/codec/alert_encoder.hpp"
#include "connectors/kafka/kafka_reader.hpp"
#include "tools/commands.hpp"
#include "tools/fault_report.hpp"
#include "tools/incident_table.hpp"
#include "tools/interrupt.hpp"
#include "tools/kafka_arguments.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

using connectors::KafkaReader;
using namespace std::chrono_literals;

struct Arguments {
  KafkaArguments kafka;
  std::string topic;
  std::string from = "beginning";
  TruthArguments truth;
  std::string budget;
  bool follow = false;
  bool as_json = false;
  bool details = false;
  std::size_t worst = 0;
};

/// The alert topic, brokers and starting point that the arguments ask for.
Result<KafkaReader::Options> reader_options(const Arguments& arguments) {
  KafkaReader::Options options;
  auto kafka = arguments.kafka.options();
  if (!kafka) return Failure{kafka.error()};
  options.kafka = *std::move(kafka);
  std::string topic = arguments.topic;
  if (topic.empty() && !arguments.kafka.config_file.empty()) {
    topic = load_config(arguments.kafka.config_file).options.alert_topic;
  }
  if (topic.empty()) {
    return fail(ErrorKind::kInvalid, "no alert topic; expected --topic NAME or --config FILE");
  }
  options.topics = {topic};
  if (arguments.from == "beginning") return options;
  if (arguments.from == "end") {
    options.from = KafkaReader::From::kEnd;
    return options;
  }
  const auto time = parse_time(arguments.from);
  if (!time) return fail(Error{time.error()}, "--from (or 'beginning' or 'end')");
  options.from = KafkaReader::From::kTime;
  options.time = *time;
  return options;
}

/// Shows each alert as it comes.
class Screen {
 public:
  explicit Screen(const Arguments& arguments)
      : arguments_{arguments},
        colour_{isatty(STDOUT_FILENO) != 0 ? Colour::kAnsi : Colour::kNone} {}

  void take(std::span<const Record> records) {
    for (const Record& record : records) {
      const auto alert = connectors::parse_alert(record.value);
      if (!alert) {
        if (num_foreign_++ == 0) {
          fmt::print(stderr, "anomalyctl: {}[{}]@{}: {}; further ones are only counted\n",
                     record.topic, record.partition, record.offset, alert.error().message);
        }
        continue;
      }
      const bool is_new = book_.add(*alert);
      if (arguments_.as_json) fmt::print("{}\n", record.value);
      if (!arguments_.as_json && arguments_.follow && is_new) show(*alert);
    }
    std::fflush(stdout);
  }

  void show_table() const {
    std::vector<Alert> incidents = book_.incidents();
    const std::size_t total = incidents.size();
    if (arguments_.worst > 0) {
      std::ranges::stable_sort(incidents, std::greater<>{}, &Alert::severity);
      incidents.resize(std::min(total, arguments_.worst));
    }
    fmt::print("{}\n", incident_header());
    for (const Alert& incident : incidents) show(incident);
    fmt::print("{} incidents", total);
    if (num_foreign_ > 0) fmt::print("; {} records of the topic are no alerts", num_foreign_);
    fmt::print("\n");
  }
  [[nodiscard]] const IncidentBook& book() const { return book_; }

 private:
  void show(const Alert& alert) const {
    fmt::print("{}\n", incident_line(alert, colour_));
    const bool opens = arguments_.follow && alert.state == AlertState::kOpen;
    if (arguments_.details || opens) fmt::print("{}", incident_details(alert));
  }

  const Arguments& arguments_;
  Colour colour_;
  IncidentBook book_;
  std::size_t num_foreign_ = 0;  // records that are no alerts
};

Status read_all(KafkaReader& reader, const Arguments& arguments, Screen& screen) {
  const auto& stop = interrupted();
  while (!stop && (arguments.follow || !reader.at_end())) {
    auto polled =
        reader.poll(200ms, [&](std::span<const Record> records) { screen.take(records); });
    if (!polled && !polled.error().retriable()) return polled;
  }
  return {};
}

int run(const Arguments& arguments) {
  const auto known = arguments.truth.load();
  if (!known) return report(known.error());
  auto options = reader_options(arguments);
  if (!options) return report(options.error());
  auto reader = KafkaReader::open(*std::move(options));
  if (!reader) return report(reader.error());

  Screen screen{arguments};
  if (auto read = read_all(**reader, arguments, screen); !read) return report(read.error());
  if (*known) {
    fmt::print("{}", report_table(compare(screen.book(), **known), arguments.budget));
  } else if (!arguments.as_json && !arguments.follow) {
    screen.show_table();
  }
  return kOk;
}

}  // namespace

void add_incidents(CLI::App& app, Command& chosen) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("incidents", "Read the alert topic");
  command->footer(
      "Examples:\n"
      "  anomalyctl incidents --config anomalyd.yaml\n"
      "  anomalyctl incidents --brokers localhost:9092 --topic metrics-alerts --follow\n"
      "  anomalyctl incidents --config anomalyd.yaml --json | jq .data.summary\n"
      "  anomalyctl incidents --config anomalyd.yaml --truth truth.json   # found and missed\n"
      "  anomalyctl incidents --config anomalyd.yaml --truth truth.json --since 2026-11-18");
  arguments->kafka.add_to(*command);
  command->add_option("--topic", arguments->topic, "Alert topic; by default that of --config");
  command->add_option("--from", arguments->from, "beginning, end or a time")->capture_default_str();
  command->add_flag("-f,--follow", arguments->follow,
                    "Show each message as it comes, until stopped");
  command->add_flag("--json", arguments->as_json, "The records as they are, one per line");
  command->add_flag("--details", arguments->details, "Explain every incident");
  command->add_option("--worst", arguments->worst, "Only this many, the most severe first");
  arguments->truth.add_to(*command);
  command->add_option("--budget", arguments->budget,
                      "With --truth: shown beside the achieved rate");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace anomalyd::tools
