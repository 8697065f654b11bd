#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

#include "connectors/kafka/kafka_admin.hpp"
#include "connectors/kafka/kafka_producer.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/kafka_arguments.hpp"
#include "tools/pace.hpp"
#include "tools/progress.hpp"
#include "tools/row_encoder.hpp"
#include "tools/row_source.hpp"
#include "tools/time_text.hpp"

namespace anomalyd::tools {
namespace {

using std::chrono::seconds;

/// Where rows go and how fast: the same for every kind of input.
struct ProduceArguments {
  KafkaArguments kafka;
  std::string topic;
  int partitions = 4;
  std::string format = "json";
  double rate = 0;
  double speed = 0;
  std::string backfill = "0s";
  std::string truth;
  bool to_stdout = false;
  bool quiet = false;

  void add_to(CLI::App& command) {
    kafka.add_to(command);
    command.add_option("--topic", topic, "Topic; {group} in it stands for the group of a series");
    command.add_option("--partitions", partitions, "Of a topic that is made because it is missing")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    command.add_option("--format", format, "json, json_long, csv or influx")
        ->check(CLI::IsMember({"json", "json_long", "csv", "influx"}))
        ->capture_default_str();
    command.add_option("--rate", rate, "Rows per second; 0 is as fast as it goes")
        ->check(CLI::NonNegativeNumber);
    command
        .add_option("--speed", speed,
                    "Scaled time: seconds of the data per second here; 0 is without waiting")
        ->check(CLI::NonNegativeNumber);
    command
        .add_option("--backfill", backfill,
                    "With --speed: publish this much of the data first, without waiting")
        ->capture_default_str();
    command.add_option("--truth", truth, "Write the known faults to this file");
    command.add_flag("--stdout", to_stdout, "Print the records instead of publishing them");
    command.add_flag("-q,--quiet", quiet, "No progress");
  }
};

/// Takes records: a Kafka producer, or standard output.
class RecordSink {
 public:
  static Result<RecordSink> open(const ProduceArguments& arguments,
                                 const std::vector<std::string>& groups) {
    RecordSink sink{arguments.topic};
    for (const std::string& group : groups) sink.topics_[group] = sink.topic_of(group);
    if (arguments.to_stdout) return sink;
    if (arguments.topic.empty()) {
      return fail(ErrorKind::kInvalid, "no topic; expected --topic NAME or --stdout");
    }
    const auto kafka = arguments.kafka.options();
    if (!kafka) return Failure{kafka.error()};
    if (auto made = make_topics(*kafka, sink.topics_, arguments.partitions); !made) {
      return Failure{made.error()};
    }
    connectors::KafkaProducer::Options options;
    options.kafka = *kafka;
    auto producer = connectors::KafkaProducer::connect(std::move(options));
    if (!producer) return Failure{producer.error()};
    sink.producer_ = *std::move(producer);
    return sink;
  }

  Status send(std::string_view group, std::string_view key, std::string_view value) {
    if (!producer_) {
      fmt::print("{}\n", value);
      return {};
    }
    if (group != last_group_) {
      last_group_ = group;
      last_topic_ = &topics_.at(last_group_);
    }
    return producer_->send({.topic = *last_topic_, .key = key, .value = value});
  }
  /// Waits until the brokers have everything.
  Status finish() {
    if (!producer_) return {};
    if (auto flushed = producer_->flush(std::chrono::minutes{1}); !flushed) return flushed;
    if (producer_->num_failed() == 0) return {};
    return fail(ErrorKind::kUnavailable,
                fmt::format("{} records were refused by the brokers; expected none",
                            producer_->num_failed()));
  }

 private:
  explicit RecordSink(std::string pattern) : pattern_{std::move(pattern)} {}

  std::string topic_of(const std::string& group) const {
    std::string topic = pattern_;
    const std::size_t place = topic.find("{group}");
    if (place != std::string::npos) topic.replace(place, 7, group);
    return topic;
  }
  static Status make_topics(const connectors::KafkaOptions& kafka,
                            const std::map<std::string, std::string>& topics, int partitions) {
    auto admin = connectors::KafkaAdmin::connect(kafka);
    if (!admin) return Failure{admin.error()};
    for (const auto& [group, topic] : topics) {
      auto made = (*admin)->ensure_topic({.name = topic, .partitions = partitions});
      if (!made) return fail(std::move(made.error()), "making topic " + topic);
      if (*made) fmt::print(stderr, "made topic {} with {} partitions\n", topic, partitions);
    }
    return {};
  }

  std::string pattern_;
  std::map<std::string, std::string> topics_;  // by group
  std::string last_group_;
  const std::string* last_topic_ = nullptr;
  std::unique_ptr<connectors::KafkaProducer> producer_;
};

Status publish(RowSource& source, const ProduceArguments& arguments) {
  if (!arguments.truth.empty()) {
    if (auto written = write_truth(arguments.truth, source.truth()); !written) return written;
  }
  const auto format = RowEncoder::parse_format(arguments.format);
  if (!format) return Failure{format.error()};
  const auto backfill = parse_duration(arguments.backfill);
  if (!backfill) return Failure{backfill.error()};
  auto sink = RecordSink::open(arguments, source.groups());
  if (!sink) return Failure{sink.error()};

  Pace pace{{.rows_per_second = arguments.rate, .speed = arguments.speed, .backfill = *backfill}};
  const bool paced = arguments.rate > 0 || arguments.speed > 0;
  RowEncoder encoder{*format};
  Progress progress{"publishing", "rows", source.num_rows(),
                    arguments.quiet ? Progress::Style::kSilent : Progress::style_of_stderr()};
  const auto& stop = interrupted();
  std::size_t num_rows = 0;
  while (!stop) {
    const auto row = source.next();
    if (!row) return Failure{row.error()};
    if (!*row) break;
    if (paced) wait_unless(stop, pace.wait_for((*row)->time, system_clock().monotonic()));
    Status sent;
    encoder.encode(**row, [&](std::string_view value) {
      if (sent) sent = sink->send((*row)->group, (*row)->series, value);
    });
    if (!sent) return sent;
    if (++num_rows % 256 == 0 || paced) progress.update(num_rows);
  }
  progress.update(num_rows);
  return sink->finish();
}

int run(Result<std::unique_ptr<RowSource>> source, const ProduceArguments& arguments) {
  if (!source) return report(source.error());
  const auto published = publish(**source, arguments);
  return published ? kOk : report(published.error());
}

/// What a fleet is made of, as texts of the command line.
struct FleetArguments {
  Fleet::Options options;
  std::string period = "60s";
  std::string span = "9d";
  std::string clean = "7d";
  std::string day = "24h";
  std::string change;
  std::string change_takes = "0s";
  std::string start;

  void add_to(CLI::App& command) {
    command.add_option("--machines", options.machines, "Number of machines")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command.add_option("--period", period, "Time between two rows")->capture_default_str();
    command.add_option("--span", span, "Time from first to last row")->capture_default_str();
    command.add_option("--clean", clean, "No fault before this much has passed")
        ->capture_default_str();
    command.add_option("--day", day, "Length of a day: a shorter one repeats sooner")
        ->capture_default_str();
    command.add_option("--start", start, "Time of the first row; by default the last row is now");
    command
        .add_option("--diversity", options.diversity,
                    "How differently machines answer to their load: 0 alike, 0.15 much")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    CLI::Option* begin = command.add_option(
        "--change", change, "All machines go to other levels for good once this much has passed");
    command
        .add_option("--change-takes", change_takes,
                    "How long they are on the way; 0s is from one row to the next")
        ->needs(begin)
        ->capture_default_str();
    command.add_option("--faults", options.faults, "Faults to inject, all kinds in turn")
        ->capture_default_str();
    command.add_option("--missing", options.missing, "Share of cells that are missing")
        ->check(CLI::Range(0.0, 0.9))
        ->capture_default_str();
    command.add_option("--seed", options.seed, "Another seed gives another fleet")
        ->capture_default_str();
  }

  Result<Fleet::Options> parse() {
    for (const auto& [text, field] :
         {std::pair{&period, &Fleet::Options::period}, std::pair{&span, &Fleet::Options::span},
          std::pair{&clean, &Fleet::Options::clean}, std::pair{&day, &Fleet::Options::day},
          std::pair{&change_takes, &Fleet::Options::change_takes}}) {
      const auto duration = parse_duration(*text);
      if (!duration) return Failure{duration.error()};
      options.*field = std::chrono::floor<seconds>(*duration);
    }
    if (options.period <= seconds{0} || options.day < options.period) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("--period {} with --day {}; expected a second at least, and a day of "
                              "more than one row",
                              period, day));
    }
    if (!change.empty()) {
      const auto begin = parse_duration(change);
      if (!begin) return Failure{begin.error()};
      options.change = std::chrono::floor<seconds>(*begin);
    }
    options.start = std::chrono::floor<seconds>(system_clock().wall()) - options.span;
    if (start.empty()) return options;
    const auto time = parse_time(start);
    if (!time) return Failure{time.error()};
    options.start = *time;
    return options;
  }
};

CLI::App* add_kind(CLI::App& produce, const char* name, const char* help,
                   const std::shared_ptr<ProduceArguments>& arguments) {
  CLI::App* kind = produce.add_subcommand(name, help);
  arguments->add_to(*kind);
  return kind;
}

void add_fleet(CLI::App& produce, Command& chosen) {
  const auto arguments = std::make_shared<ProduceArguments>();
  const auto fleet = std::make_shared<FleetArguments>();
  CLI::App* kind = add_kind(produce, "fleet", "A generated fleet with known faults", arguments);
  fleet->add_to(*kind);
  kind->callback([&chosen, arguments, fleet] {
    chosen = [arguments, fleet]() -> int {
      const auto options = fleet->parse();
      if (!options) return report(options.error());
      return run(fleet_rows(*options), *arguments);
    };
  });
}

void add_series(CLI::App& produce, Command& chosen) {
  struct DataArguments {
    std::string folder;
    std::string only;
    std::string part = "all";
  };
  const auto arguments = std::make_shared<ProduceArguments>();
  const auto data = std::make_shared<DataArguments>();
  CLI::App* kind = add_kind(produce, "data", "Labelled series of a folder", arguments);
  kind->add_option("folder", data->folder, "Folder with manifest.json and gzip CSV files")
      ->required()
      ->check(CLI::ExistingDirectory);
  kind->add_option("--only", data->only, "Groups or entities, with commas between them");
  kind->add_option("--part", data->part, "all, training (rows for learning) or test")
      ->check(CLI::IsMember({"all", "training", "test"}))
      ->capture_default_str();
  kind->callback([&chosen, arguments, data] {
    chosen = [arguments, data]() -> int {
      auto dataset = Dataset::open(data->folder);
      if (!dataset) return report(dataset.error());
      if (auto kept = dataset->keep_only(data->only); !kept) return report(kept.error());
      const DatasetPart part = data->part == "training" ? DatasetPart::kTraining
                               : data->part == "test"   ? DatasetPart::kTest
                                                        : DatasetPart::kAll;
      return run(dataset_rows(*dataset, part), *arguments);
    };
  });
}

void add_csv(CLI::App& produce, Command& chosen) {
  struct CsvArguments {
    std::vector<std::string> files;
    CsvColumns columns;
  };
  const auto arguments = std::make_shared<ProduceArguments>();
  const auto csv = std::make_shared<CsvArguments>();
  CLI::App* kind = add_kind(produce, "csv", "CSV files, plain or gzip", arguments);
  kind->add_option("files", csv->files, "Files with a header line")
      ->required()
      ->check(CLI::ExistingFile);
  kind->add_option("--time", csv->columns.time, "Column with the time; guessed by its name");
  kind->add_option("--series", csv->columns.series,
                   "Column with the series; by default a file is one series");
  kind->callback([&chosen, arguments, csv] {
    chosen = [arguments, csv] {
      return run(csv_rows({csv->files.begin(), csv->files.end()}, csv->columns), *arguments);
    };
  });
}

void add_host(CLI::App& produce, Command& chosen) {
  const auto arguments = std::make_shared<ProduceArguments>();
  const auto every = std::make_shared<std::string>("1s");
  CLI::App* kind = add_kind(produce, "host",
                            "This host's cpu, memory, disk and network, until stopped", arguments);
  kind->add_option("--every", *every, "Time between two rows")->capture_default_str();
  kind->callback([&chosen, arguments, every] {
    chosen = [arguments, every]() -> int {
      const auto period = parse_duration(*every);
      if (!period) return report(period.error());
      const auto millis = std::chrono::floor<std::chrono::milliseconds>(*period);
      return run(host_rows(millis, interrupted()), *arguments);
    };
  });
}

}  // namespace

void add_produce(CLI::App& app, Command& chosen) {
  CLI::App* produce = app.add_subcommand("produce", "Publish samples to a topic");
  produce->require_subcommand(1);
  produce->footer(
      "Examples:\n"
      "  anomalyctl produce csv pump.csv --topic pumps --brokers localhost:9092\n"
      "  anomalyctl produce fleet --machines 20 --topic fleet --truth truth.json \\\n"
      "      --backfill 7d --speed 600 --brokers localhost:9092\n"
      "  anomalyctl produce data DIR --topic 'demo-{group}' --brokers localhost:9092\n"
      "  anomalyctl produce host --topic host-metrics --brokers localhost:9092\n"
      "  anomalyctl produce fleet --span 1h --clean 0s --stdout --format influx | head");
  add_fleet(*produce, chosen);
  add_series(*produce, chosen);
  add_csv(*produce, chosen);
  add_host(*produce, chosen);
}

}  // namespace anomalyd::tools
