// Load and measurements around a running Kafka, for tools/bench.
//
//   kafka_bench load    --brokers B --topic T --rows N --series S [--first-row R]
//   kafka_bench raw     --brokers B --topic T          how fast librdkafka alone gives records
//   kafka_bench parse   --rows N                       how fast the decoder alone gives rows
//   kafka_bench latency --brokers B --topic T --alerts A --rate R --seconds N --series S
//                       [--first-fault F --faults M]   in the series F to F + M, once each
//
// Rows are those of the comparison with a Python program: {"series","ts",cpu,mem,net,io}, a few
// dozen bytes of wide JSON. Each command prints one line: a JSON object.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "connectors/codec/alert_encoder.hpp"
#include "connectors/codec/sample_decoder.hpp"
#include "connectors/kafka/kafka_admin.hpp"
#include "connectors/kafka/kafka_producer.hpp"
#include "connectors/kafka/kafka_reader.hpp"
#include "connectors/kafka/kafka_source.hpp"
#include "daemon/core/time.hpp"

namespace anomalyd {
namespace {

using namespace std::chrono_literals;
using connectors::KafkaProducer;

constexpr std::int64_t kStartMillis = 1'700'000'000'000;
constexpr std::int64_t kPeriodMillis = 10'000;

struct Arguments {
  std::string brokers, topic, alerts;
  std::size_t rows = 1'000'000, series = 5'000, first_row = 0, first_fault = 0, faults = 5'000;
  double rate = 100'000, seconds = 20;
};

double seconds_since(MonotonicTime start) {
  return std::chrono::duration<double>(system_clock().monotonic() - start).count();
}

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "kafka_bench: %s\n", result.error().message.c_str());
  std::exit(1);
}

/// Values of ordinary rows, drawn once: drawing must not be what is measured.
class Rows {
 public:
  Rows() {
    std::mt19937 random{1};
    std::normal_distribution<double> noise{0, 1};
    for (auto& row : pool_) {
      row = {50 + 10 * noise(random), 60 + 5 * noise(random), 30 + 8 * noise(random),
             20 + 4 * noise(random)};
    }
  }
  /// Row number `i` of `series`; `offset` is added to every channel.
  std::string_view write(std::size_t series, std::size_t i, std::int64_t millis, double offset) {
    const auto& v = pool_[(i * 7 + series) % pool_.size()];
    const int size = std::snprintf(
        text_, sizeof text_,
        R"({"series":"h%06zu","ts":%lld,"cpu":%.2f,"mem":%.2f,"net":%.2f,"io":%.2f})", series,
        static_cast<long long>(millis), v[0] + offset, v[1] + offset, v[2] + offset, v[3] + offset);
    return {text_, static_cast<std::size_t>(size)};
  }
  /// The id of the row written last.
  [[nodiscard]] std::string_view key() const { return {text_ + 11, 7}; }

 private:
  std::array<std::array<double, 4>, 5003> pool_;
  char text_[256];
};

std::unique_ptr<KafkaProducer> make_producer(const Arguments& a) {
  auto admin = must(connectors::KafkaAdmin::connect({a.brokers, "bench", {}}));
  (void)must(admin->ensure_topic({a.topic, 4, 1, {}}));
  KafkaProducer::Options options;
  options.kafka = {a.brokers, "bench", {}};
  return must(KafkaProducer::connect(options));
}

void send(KafkaProducer& producer, const Arguments& a, std::string_view key, std::string_view row) {
  KafkaProducer::Message message;
  message.topic = a.topic;
  message.key = key;
  message.value = row;
  if (auto sent = producer.send(message); !sent) must<int>(Failure{sent.error()});
}

int load(const Arguments& a) {
  auto producer = make_producer(a);
  Rows rows;
  const MonotonicTime start = system_clock().monotonic();
  for (std::size_t i = 0; i < a.rows; ++i) {
    const std::size_t step = a.first_row + i / a.series;
    const auto millis = kStartMillis + static_cast<std::int64_t>(step) * kPeriodMillis;
    const std::string_view row = rows.write(i % a.series, step, millis, 0);
    send(*producer, a, rows.key(), row);
  }
  if (auto flushed = producer->flush(120s); !flushed) must<int>(Failure{flushed.error()});
  std::printf("{\"produced_per_second\": %.0f}\n",
              static_cast<double>(a.rows) / seconds_since(start));
  return 0;
}

/// Counts records and lets them go.
class Counter final : public SourceHandler {
 public:
  void on_records(std::span<const Record> records) override {
    if (count == 0) first = system_clock().monotonic();
    count += records.size();
    last = system_clock().monotonic();
  }
  std::vector<Position> on_assigned(const std::vector<PartitionId>& partitions) override {
    open = partitions.size();
    return {};
  }
  void on_revoked(const std::vector<PartitionId>&, bool) override {}
  void on_end(const PartitionId&, Offset) override { --open; }
  std::size_t count = 0, open = 1;
  MonotonicTime first, last;
};

int raw(const Arguments& a) {
  connectors::KafkaSource::Options options{};
  options.kafka = {a.brokers, "bench", {}};
  options.topics = {a.topic};
  options.group = "bench-raw-" + std::to_string(system_clock().wall().time_since_epoch().count());
  auto source = must(connectors::KafkaSource::connect(options));
  Counter counter;
  while (counter.open > 0) (void)source->poll(10ms, counter);
  const double seconds = std::chrono::duration<double>(counter.last - counter.first).count();
  source->close(counter);
  std::printf("{\"raw_records_per_second\": %.0f}\n", static_cast<double>(counter.count) / seconds);
  return 0;
}

int parse(const Arguments& a) {
  auto decoder = must(connectors::SampleDecoder::create({}, system_clock()));
  Rows rows;
  std::vector<std::string> values;
  for (std::size_t i = 0; i < 20'000; ++i) {
    values.emplace_back(rows.write(i % a.series, i / a.series, kStartMillis, 0));
  }
  std::size_t count = 0;
  const Decoder::RowFn row = [&](std::string_view, EventTime, std::span<const double>) { ++count; };
  const Decoder::RejectFn reject = [](const Rejected& why) {
    std::fprintf(stderr, "kafka_bench: %s\n", why.detail.c_str());
    std::exit(1);
  };
  Record record;
  record.topic = "bench";
  const MonotonicTime start = system_clock().monotonic();
  for (std::size_t i = 0; i < a.rows; ++i) {
    record.value = values[i % values.size()];
    decoder->decode(record, row, reject);
  }
  std::printf("{\"parsed_rows_per_second\": %.0f}\n",
              static_cast<double>(count) / seconds_since(start));
  return 0;
}

std::int64_t now_millis() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             system_clock().wall().time_since_epoch())
      .count();
}

/// Times from a row's event time, which is the moment it is sent, to its alert's arrival.
class Latencies {
 public:
  explicit Latencies(const Arguments& a) {
    connectors::KafkaReader::Options options;
    options.kafka = {a.brokers, "bench", {{"fetch.wait.max.ms", "5"}}};
    options.topics = {a.alerts};
    options.from = connectors::KafkaReader::From::kEnd;
    reader_ = must(connectors::KafkaReader::open(options));
    thread_ = std::thread{[this] { run(); }};
  }
  std::vector<double> stop() {
    stopping_ = true;
    thread_.join();
    std::sort(millis_.begin(), millis_.end());
    return millis_;
  }

 private:
  void run() {
    while (!stopping_) {
      (void)reader_->poll(5ms, [this](std::span<const Record> records) {
        const std::int64_t now = now_millis();
        for (const Record& record : records) {
          const auto alert = connectors::parse_alert(record.value);
          if (!alert || alert->state != AlertState::kOpen || alert->type != AlertType::kAnomaly)
            continue;
          millis_.push_back(static_cast<double>(now) -
                            static_cast<double>(alert->time.time_since_epoch().count()) / 1000);
        }
      });
    }
  }
  std::unique_ptr<connectors::KafkaReader> reader_;
  std::atomic<bool> stopping_{false};
  std::vector<double> millis_;
  std::thread thread_;
};

/// Sends rows at a steady rate, now and then one that is far off, and times its alert. The first
/// seconds are not timed: caches, the broker's compiler and the reader of alerts are still cold.
int latency(const Arguments& a) {
  auto producer = make_producer(a);
  Latencies latencies{a};
  Rows rows;
  const MonotonicTime start = system_clock().monotonic();
  std::size_t sent = 0, faults = 0;
  while (seconds_since(start) < a.seconds) {
    const auto due = static_cast<std::size_t>(seconds_since(start) * a.rate);
    for (; sent < due; ++sent) {
      // One row in 5000 is far off; never twice in a series, so that each opens its own incident.
      const bool fault = sent % 5000 == 4999 && seconds_since(start) > 5 && faults < a.faults;
      const std::size_t series = fault ? a.first_fault + faults++ : sent % a.series;
      const std::string_view row =
          rows.write(series, sent / a.series, now_millis(), fault ? 400 : 0);
      send(*producer, a, rows.key(), row);
    }
    std::this_thread::sleep_for(1ms);  // a busy wait would take the core that is measured
  }
  if (auto flushed = producer->flush(30s); !flushed) must<int>(Failure{flushed.error()});
  const MonotonicTime sent_all = system_clock().monotonic();
  while (seconds_since(sent_all) < 2) std::this_thread::sleep_for(10ms);
  const std::vector<double> millis = latencies.stop();
  if (millis.empty()) {
    std::fprintf(stderr, "kafka_bench: no alert came for %zu faults\n", faults);
    return 1;
  }
  const auto at = [&](double q) {
    return millis[static_cast<std::size_t>(q * static_cast<double>(millis.size() - 1))];
  };
  std::printf(
      "{\"faults\": %zu, \"alerts\": %zu, \"rate\": %.0f, \"p50_ms\": %.1f, \"p99_ms\": %.1f}\n",
      faults, millis.size(), static_cast<double>(sent) / a.seconds, at(0.5), at(0.99));
  return 0;
}

}  // namespace
}  // namespace anomalyd

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): a bench may end so
  CLI::App app{"Load and measurements around a running Kafka."};
  app.require_subcommand(1);
  anomalyd::Arguments a;
  int (*run)(const anomalyd::Arguments&) = nullptr;
  const auto add = [&](const char* name, int (*command)(const anomalyd::Arguments&)) {
    CLI::App* sub = app.add_subcommand(name);
    sub->add_option("--brokers", a.brokers);
    sub->add_option("--topic", a.topic);
    sub->add_option("--alerts", a.alerts);
    sub->add_option("--rows", a.rows);
    sub->add_option("--series", a.series);
    sub->add_option("--first-row", a.first_row);
    sub->add_option("--first-fault", a.first_fault);
    sub->add_option("--faults", a.faults);
    sub->add_option("--rate", a.rate);
    sub->add_option("--seconds", a.seconds);
    sub->callback([&run, command] { run = command; });
  };
  add("load", anomalyd::load);
  add("raw", anomalyd::raw);
  add("parse", anomalyd::parse);
  add("latency", anomalyd::latency);
  CLI11_PARSE(app, argc, argv);
  return run(a);
}
