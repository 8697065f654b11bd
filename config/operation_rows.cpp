#include <chrono>

#include "config/option_rows.hpp"

namespace anomalyd::config {

using namespace std::chrono_literals;

void add_operation_rows(Schema& schema) {
  schema.section("batch", "How windows are gathered for one scoring call.");
  schema.option("batch.max_windows", FIELD(service.batch.max_windows))
      .unit("windows")
      .range(1, 1'000'000)
      .help("A batch this large leaves at once.");
  schema.option("batch.max_delay", FIELD(service.batch.max_delay))
      .range(0ms, 60s)
      .help("How long a window may wait for others: the latency that batching adds.");

  schema.section("self_test",
                 "Small faults in copies of live rows, to see all the time which ones are found.");
  schema.option("self_test.enabled", FIELD(service.self_test.enabled))
      .help("Whether that is done. Nothing of it reaches alerts, thresholds or what is learned.");
  schema.option("self_test.interval", FIELD(service.self_test.interval))
      .range(1s, 24h)
      .help("Time between two series that are tested; more where a test takes long.");

  schema.section("state", "What survives a restart.");
  schema.option("state.dir", FIELD(service.state_dir))
      .form("a folder")
      .help("Folder for snapshots, models and the audit log. One daemon works on it at a time.");
  schema.option("state.snapshot_interval", FIELD(service.snapshot_interval))
      .range(1s, 1h)
      .help("Time between two snapshots.");

  schema.section("http", "Metrics, health, status and commands.");
  schema.option("http.listen", FIELD(service.http.listen))
      .form("host:port or unix:PATH")
      .help("Where /metrics, /healthz, /readyz, /status and /models are served. Empty: nowhere.");
  schema.option("http.remote_commands", FIELD(service.http.remote_commands))
      .help(
          "Take commands, such as to promote a model, from other hosts too. There is no password.");

  schema.section("log", "What is logged, and how.");
  schema
      .choice("log.level", FIELD(log.level),
              {{"debug", LogOptions::Level::kDebug},
               {"info", LogOptions::Level::kInfo},
               {"warning", LogOptions::Level::kWarning},
               {"error", LogOptions::Level::kError}})
      .help("The least severe messages that are logged.");
  schema
      .choice("log.format", FIELD(log.format),
              {{"auto", LogOptions::Format::kAuto},
               {"text", LogOptions::Format::kText},
               {"json", LogOptions::Format::kJson}})
      .help("auto writes text to a terminal and JSON elsewhere.");

  schema.section("runtime", "Threads, memory and deadlines of the daemon itself.");
  schema.option("runtime.threads", FIELD(service.threads))
      .unit("threads")
      .range(1, 256)
      .zero("auto")
      .help("Threads that share the partitions; auto is one per processor, at most 8.");
  schema.option("runtime.queue_bytes", FIELD(service.poll.queue_bytes))
      .bytes()
      .range(std::size_t{1} << 20, std::size_t{16} << 30)
      .help("Unfinished samples of all partitions; one with more than its part is paused.");
  schema.option("runtime.poll_timeout", FIELD(service.poll.poll_timeout))
      .range(1ms, 1s)
      .help("Latency that an idle poll of the brokers adds.");
  schema.option("runtime.drain_timeout", FIELD(service.poll.drain_timeout))
      .range(1s, 10min)
      .help("How long a partition that is taken away may finish what it has begun.");
}

}  // namespace anomalyd::config
