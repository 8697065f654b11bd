#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "daemon/pipeline/batcher.hpp"
#include "daemon/pipeline/gate_options.hpp"

namespace anomalyd::runtime {

// The options of the classes of this folder, apart from these: who only reads a configuration does
// not pay for Asio.

/// Of a PollLoop.
struct PollOptions {
  std::size_t queue_bytes = 32 << 20;          ///< Unfinished samples of all partitions, in bytes.
  std::chrono::milliseconds poll_timeout{10};  ///< 1..1000 ms. Latency that an idle poll adds.
  std::chrono::milliseconds drain_timeout{20'000};  ///< How long a revoked partition may finish.
};

/// Of an AdminServer.
struct HttpOptions {
  /// host:port, port 0 takes a free one; or unix:PATH; empty: none.
  std::string listen = "127.0.0.1:9464";
  bool remote_commands = false;  ///< Takes commands from other hosts too.
};

/// What manifests of models say of the configuration they were trained with.
struct ModelOrigin {
  std::string configuration = "{}";  ///< JSON object: the options that shape a model.
  std::uint64_t seed = 0;
};

/// Of a Reservoir.
struct ReservoirOptions {
  std::size_t max_bytes = std::size_t{1} << 30;  ///< 1 MiB..1 TiB. On disk, all groups together.
  std::chrono::milliseconds max_age{std::chrono::hours{24 * 90}};  ///< 1 h..10 years. Event time.
};

/// Of a SelfTester.
struct SelfTestOptions {
  bool enabled = true;
  std::chrono::milliseconds interval{300'000};  ///< 1 s..1 d. Between two series that are sampled.
};

/// Of a Service.
struct ServiceOptions {
  std::filesystem::path state_dir = "/var/lib/anomalyd";  ///< Snapshots and models.
  std::chrono::milliseconds snapshot_interval{30'000};    ///< 1 s..1 h. Between snapshots.
  std::chrono::milliseconds status_interval{1'000};       ///< > 0. Between two looks at itself.
  std::size_t threads = 0;  ///< 0..256. Pool threads; 0 takes one per processor, at most 8.
  std::filesystem::path checkpoint;  ///< A model to begin with, besides those in state_dir.
  ModelOrigin origin;
  bool exit_at_end = false;  ///< Stop when every partition was read to its end: for batch runs.
  PollOptions poll;
  pipeline::Batcher::Options batch;
  HttpOptions http;
  ReservoirOptions reservoir;
  pipeline::GateOptions gate;
  SelfTestOptions self_test;
};

}  // namespace anomalyd::runtime
